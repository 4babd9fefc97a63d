"""Small files that must never be seen half written, and that nobody else may read."""

import os
import secrets
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600


def write_new(path: Path, text: str) -> bool:
    """Write a file that is not there yet; ``False``: somebody else was first.

    Raises:
        OSError: it cannot be written.
    """
    draft = _draft(path, text)
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    _flush_folder(path.parent)
    return True


def replace(path: Path, text: str) -> None:
    """Write a file over the one that is there; after a crash there is the one or the other.

    Raises:
        OSError: it cannot be written.
    """
    _draft(path, text).replace(path)
    _flush_folder(path.parent)


def _draft(path: Path, text: str) -> Path:
    folder = path.parent
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Root's PostgreSQL runs as another user, who has to pass through.
        folder.chmod(0o700 if os.geteuid() else 0o711)
    draft = folder / f".{path.name}.{secrets.token_hex(8)}"
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(opened, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if os.geteuid() == 0:  # an operator's command must not lock the service's own user out
        os.chown(draft, folder.stat().st_uid, folder.stat().st_gid)
    return draft


def _flush_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

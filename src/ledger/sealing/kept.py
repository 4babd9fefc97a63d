"""Small files that must never be seen half written, and that nobody else may read."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600
LOCK_SECONDS: Final = 5.0
LOCK_LOOK_SECONDS: Final = 0.01


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


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes out for the time of the block; waits for them, at most 5 seconds.

    The lock is a file of its own, because the one it protects is exchanged.

    Raises:
        OSError: the folder cannot be used, or somebody else stays in.
    """
    _make_folder(path.parent)
    opened = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        _give_to_owner_of(path.parent, opened)
        _lock(opened)
        yield
    finally:
        os.close(opened)


def _lock(opened: int) -> None:
    give_up = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise
            time.sleep(LOCK_LOOK_SECONDS)
        else:
            return


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Root's PostgreSQL runs as another user, who has to pass through.
        folder.chmod(0o700 if os.geteuid() else 0o711)


def _draft(path: Path, text: str) -> Path:
    folder = path.parent
    _make_folder(folder)
    draft = folder / f".{path.name}.{secrets.token_hex(8)}"
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(opened, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        _give_to_owner_of(folder, file.fileno())
    return draft


def _give_to_owner_of(folder: Path, opened: int) -> None:
    """Let an operator's command not lock the service's own user out."""
    if os.geteuid() == 0:
        os.fchown(opened, folder.stat().st_uid, folder.stat().st_gid)


def _flush_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

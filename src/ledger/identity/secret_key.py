"""The key that signs tokens, kept in a file where no operator chose one."""

import os
import secrets
from pathlib import Path

from ledger.domain.errors import Unavailable


class SecretKeyUnusable(Unavailable):
    """The file that keeps the secret key cannot be used.

    Context: ``path``, ``reason``.
    """

    code = "secret-key-unusable"
    advice = "Set LEDGER_SECRET_KEY, or make the file readable, or remove it."


def kept_secret_key(path: Path) -> str:
    """Read the key in ``path``, making it first if it is missing; all who ask at once get the same.

    Raises:
        SecretKeyUnusable: the file or its folder is out of reach, or holds no text.
    """
    try:
        if not path.exists():
            _make(path)
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as reason:
        told = reason.strerror if isinstance(reason, OSError) else "it holds no text"
        raise SecretKeyUnusable(path=str(path), reason=told) from reason


def _make(path: Path) -> None:
    """Write the whole key aside and link it to its name: the first to link wins, nobody reads half a key."""
    folder = path.parent
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Root's PostgreSQL runs as another user, who has to pass through.
        folder.chmod(0o700 if os.geteuid() else 0o711)
    draft = folder / f".{path.name}.{secrets.token_hex(8)}"
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(opened, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0:  # an operator's command must not lock the service's own user out
            os.chown(draft, folder.stat().st_uid, folder.stat().st_gid)
        path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()

"""What the doctor looks at on this machine: the data folder, the secret key, the disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from ledger.cli.checks.findings import Finding, bad, good, warning
from ledger.cli.composing import secret_keys_of
from ledger.settings import Settings

GIBIBYTE: Final = 1024**3
WANTED_BYTES: Final = 2 * GIBIBYTE
NEEDED_BYTES: Final = GIBIBYTE // 5
OTHERS_MAY_READ: Final = 0o044
OTHERS_MAY_WRITE: Final = 0o022
OTHERS_MAY_PASS: Final = 0o011
OTHERS_MAY_DO_ANYTHING: Final = 0o077


def check_folder(settings: Settings) -> Iterator[Finding]:
    """Look at the data folder and what it keeps."""
    folder = settings.data_dir.absolute()
    try:
        if folder.exists():
            yield _mode(folder)
            yield _secret_key(folder / "secret_key", is_chosen=settings.secret_key is not None)
        else:
            yield good("data folder", f"{folder} is not there yet; a start makes it")
        yield _space(folder)
    except OSError as reason:
        yield bad("data folder", f"{folder}: {reason.strerror}", "run this as the user who runs the service")


def _mode(folder: Path) -> Finding:
    mode = folder.stat().st_mode & 0o777
    if mode & OTHERS_MAY_WRITE:
        return bad("data folder", f"others may write to {folder} ({mode:o})", f"chmod 700 {folder}")
    if mode & OTHERS_MAY_READ:
        return warning("data folder", f"others may look into {folder} ({mode:o})", f"chmod go-rw {folder}")
    if mode & OTHERS_MAY_PASS:
        return good("data folder", f"nobody else may look into {folder}, only pass through ({mode:o})")
    return good("data folder", f"{folder} is private ({mode:o})")


def known_secret_keys(settings: Settings) -> list[str]:
    """List the secrets that a start would use; where it would have to make one up, nothing stored fits the answer."""
    if settings.secret_key is not None:
        return secret_keys_of(settings.secret_key, settings)
    try:
        kept = (settings.data_dir.absolute() / "secret_key").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        kept = ""
    return secret_keys_of(SecretStr(kept), settings)


def _secret_key(path: Path, *, is_chosen: bool) -> Finding:
    if is_chosen:
        return good("secret key", "comes from LEDGER_SECRET_KEY")
    if not path.exists():
        return good("secret key", "is not there yet; a start makes it")
    mode = path.stat().st_mode & 0o777
    if mode & OTHERS_MAY_DO_ANYTHING:
        advice = f"chmod 600 {path}; where others can log in, remove it too: everybody has to log in again"
        return bad("secret key", f"others may read {path} ({mode:o})", advice)
    return good("secret key", f"{path} is private ({mode:o})")


def _space(folder: Path) -> Finding:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    seen = f"{free / GIBIBYTE:.1f} GiB free at {there}"
    if free < NEEDED_BYTES:
        return bad("disk", seen, "make room: a database that cannot write stops")
    if free < WANTED_BYTES:
        return warning("disk", seen, "make room before it runs out")
    return good("disk", seen)

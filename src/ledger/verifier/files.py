"""A bundle as a folder: exactly the files that it lists, none of them a way out of it."""

import re
from collections.abc import Callable, Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Final

from ledger.verifier.verdict import Tampered, Unusable

SUMS: Final = "SHA256SUMS"
SUM: Final = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*)")
MOST_NAMED: Final = 20
SMALL: Final = 1_000_000
"""Bytes: the most that a file may have which is read at once."""

Progress = Callable[[int, int], None]
"""Is told how much is done, of how much."""


class NoBundle(Unusable):
    """There is no bundle here."""

    code = "no-bundle"


class SumsMalformed(Tampered):
    """SHA256SUMS is missing, or not in the form that sha256sum writes, sorted by path."""

    code = "sums-malformed"


class FilesDiffer(Tampered):
    """The files are not those that SHA256SUMS lists.

    Context: what is ``changed``, ``missing`` and ``unlisted``, the first twenty of each.
    """

    code = "files-differ"


class FileMissing(Tampered):
    """A file that belongs to the bundle is not there, or is no plain file."""

    code = "file-missing"


class FileUnexpected(Tampered):
    """A file does not belong to the bundle, whatever SHA256SUMS says."""

    code = "file-unexpected"


class FileTooLarge(Tampered):
    """A file is larger than what belongs there can be."""

    code = "file-too-large"


class Folder:
    """The plain files below a folder, by their paths in it, with ``/`` between the names."""

    def __init__(self, root: Path) -> None:
        """Look at what is there.

        Raises:
            NoBundle: there is no such folder.
        """
        if not root.is_dir():
            raise NoBundle(folder=str(root))
        self.root = root
        self.names = set(_names(root, root))

    def read(self, name: str, *, most: int = SMALL) -> bytes:
        """Read a file that has at most so many bytes.

        Raises:
            FileMissing, FileTooLarge: it is not there, or larger.
        """
        path = self.path(name)
        if path.stat().st_size > most:
            raise FileTooLarge(file=name)
        return path.read_bytes()

    def path(self, name: str) -> Path:
        """Say where a file is.

        Raises:
            FileMissing: it is not there.
        """
        path = self.root / name
        if name not in self.names or path.is_symlink() or not path.is_file():
            raise FileMissing(file=name)
        return path

    def below(self, start: str) -> list[str]:
        """List the files whose paths begin so, sorted."""
        return sorted(name for name in self.names if name.startswith(start))


def check_sums(folder: Folder, progress: Progress) -> None:
    """Check that each file is what SHA256SUMS says, and that there is no other.

    Raises:
        SumsMalformed: there is no such list.
        FilesDiffer: they are not.
    """
    sums = _sums(folder)
    present = folder.names - {SUMS}
    sizes = {name: _size(folder, name) for name in sums.keys() & present}
    changed, done, total = [], 0, sum(sizes.values())
    for name in sorted(sizes):
        if _digest(folder, name) != sums[name]:
            changed.append(name)
        done += sizes[name]
        progress(done, total)
    missing, unlisted = sorted(sums.keys() - present), sorted(present - sums.keys())
    if changed or missing or unlisted:
        facts = {"changed": changed, "missing": missing, "unlisted": unlisted}
        raise FilesDiffer(**{what: names[:MOST_NAMED] for what, names in facts.items() if names})


def _sums(folder: Folder) -> dict[str, str]:
    path = folder.root / SUMS
    try:
        text = folder.path(SUMS).read_bytes().decode("ascii")
    except (FileMissing, UnicodeDecodeError) as broken:
        raise SumsMalformed(file=str(path)) from broken
    lines = text.split("\n")
    found = [SUM.fullmatch(line) for line in lines[:-1]]
    pairs = [(line[2], line[1]) for line in found if line is not None]
    names = [name for name, _ in pairs]
    if lines[-1] or len(pairs) != len(lines) - 1 or names != sorted(set(names)):
        raise SumsMalformed(file=str(path))
    return dict(pairs)


def _size(folder: Folder, name: str) -> int:
    path = folder.root / name
    return 0 if path.is_symlink() else path.stat().st_size


def _digest(folder: Folder, name: str) -> str:
    path = folder.root / name
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _names(root: Path, folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _names(root, path)
        else:
            yield path.relative_to(root).as_posix()

"""A folder that is written whole or not at all: under another name until everything in it is on the disk.

Every file is hashed as it is written; SHA256SUMS comes last, in the form that ``sha256sum -c`` reads.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from ledger.domain.errors import LedgerError

PARTIAL: Final = ".partial"
SUMS: Final = "SHA256SUMS"
PACKED: Final = 6
"""Of 9: harder takes thrice the time, and saves next to nothing."""
PRIVATE: Final = 0o700
"""What is in there is for whoever asked for it, until they say otherwise."""


class FolderTaken(LedgerError):
    """There is something in that folder already.

    Context: the ``folder``.
    """

    code = "folder-taken"
    advice = "Name another one, or remove it; what ends in .partial was left by an export that was cut off."


class CannotWrite(LedgerError):
    """The folder cannot be written.

    Context: the ``folder``, and the ``reason``.
    """

    code = "cannot-write"


class Out:
    """A file that is hashed as it is written."""

    def __init__(self, file: BinaryIO) -> None:
        """Write into an open file."""
        self._file = file
        self.digest = sha256()

    def write(self, data: bytes) -> int:
        """Write all of ``data``."""
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Hand on what is held back."""
        self._file.flush()


class Folder:
    """A folder in the making; the paths in it have ``/`` between the names."""

    def __init__(self, root: Path) -> None:
        """Write below ``root``, which is there and empty."""
        self._root = root
        self._sums: dict[str, str] = {}

    def write(self, path: str, content: bytes) -> None:
        """Write a file."""
        with self.open(path) as out:
            out.write(content)

    @contextmanager
    def open(self, path: str) -> Iterator[Out]:
        """Write a file piece by piece."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            out = Out(file)
            yield out
        self._sums[path] = out.digest.hexdigest()

    @contextmanager
    def zipped(self, path: str) -> Iterator[GzipFile]:
        """Write a file piece by piece, packed: the same content gives the same bytes, whenever and under any name."""
        with (
            self.open(path) as out,
            GzipFile(filename="", mode="wb", compresslevel=PACKED, fileobj=out, mtime=0) as packed,
        ):
            yield packed

    def finish(self) -> None:
        """List every file with its hash, and have everything on the disk."""
        sums = "".join(f"{digest}  {path}\n" for path, digest in sorted(self._sums.items()))
        self.write(SUMS, sums.encode())
        for path in self._sums:
            _sync(self._root / path)
        for folder in sorted({self._root, *(path for path in self._root.rglob("*") if path.is_dir())}):
            _sync(folder)


@contextmanager
def new_folder(target: Path) -> Iterator[Folder]:
    """Write a folder: it is there, whole, after the block; whatever ends the block otherwise leaves nothing.

    Raises:
        FolderTaken: it is there already with something in it, or a part of it is.
        CannotWrite: the disk is full, for example.
    """
    partial = target.with_name(target.name + PARTIAL)
    try:
        _make(target, partial)
        folder = Folder(partial)
        try:
            yield folder
            folder.finish()
            partial.rename(target)
            _sync(target.parent)
        except BaseException:  # Ctrl-C too: nothing half may stay that looks like an export
            shutil.rmtree(partial, ignore_errors=True)
            raise
    except OSError as broken:
        raise CannotWrite(folder=str(target), reason=broken.strerror or str(broken)) from broken


def _make(target: Path, partial: Path) -> None:
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise FolderTaken(folder=str(target))
    try:
        partial.mkdir(PRIVATE)
    except FileExistsError as left:
        raise FolderTaken(folder=str(partial)) from left


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

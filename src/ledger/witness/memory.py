"""What a witness remembers: one small file a log, in a folder that knows which key it belongs to.

A witness that forgets is worse than none: it would cosign a history that rolls its own cosignatures back. So what is
remembered is on disk before anybody is told, a file that cannot be read keeps the witness from starting, and so does a
folder that does not know the key.
"""

import fcntl
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.verdict import Unusable, Unverified

LOCK: Final = "lock"
OWNER: Final = "witness"
NAME_DIGITS: Final = 32


class MemoryInUse(Unusable):
    """Another witness is at work in this folder.

    Context: ``path``.
    """

    code = "witness-state-in-use"


class MemoryUnusable(Unusable):
    """This folder does not say what the witness has cosigned before.

    Context: ``path`` and ``reason``.
    """

    code = "witness-state-unusable"


class Memory:
    """The folder, held by this process alone for the time of a ``with`` block."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made when it is entered."""
        self.folder = folder
        self._lock = -1

    def __enter__(self) -> Self:
        """Take the folder.

        Raises:
            MemoryInUse: another process has it.
            MemoryUnusable: it cannot be used at all.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            os.close(self._lock)
            raise MemoryInUse(path=str(self.folder)) from held
        except OSError as reason:
            raise self._unusable(self.folder, str(reason.strerror)) from reason
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def belong_to(self, vkey: str) -> None:
        """Write down that this is the memory of a key that was made just now and has cosigned nothing.

        Raises:
            MemoryUnusable: the folder remembers what another key has cosigned, or cannot be written.
        """
        if any(self.folder.glob("*.checkpoint")):
            raise self._unusable(
                self.folder, "it is the memory of another key: name the file of that one, or another folder"
            )
        try:
            self._write(OWNER, f"{vkey}\n")
        except OSError as reason:
            raise self._unusable(self.folder, str(reason.strerror)) from reason

    def check_owner(self, vkey: str) -> None:
        """Make sure that this is the memory of a key that may have cosigned before.

        Raises:
            MemoryUnusable: it is not, or nobody knows.
        """
        path = self.folder / OWNER
        with suppress(FileNotFoundError):
            if self._read(path).decode(errors="replace").strip() == vkey:
                return
        raise self._unusable(
            path,
            "it is not the memory of this key, which may have cosigned more than is known here; "
            "find that folder, or begin anew with a new key",
        )

    def latest(self, origin: str) -> Checkpoint | None:
        """Read the last checkpoint of a log that was cosigned; ``None``: there was none.

        Raises:
            MemoryUnusable: the file is there and cannot be read.
        """
        path = self.folder / self._file(origin)
        try:
            checkpoint = parse_checkpoint(self._read(path))
        except FileNotFoundError:
            return None
        except Unverified as broken:
            raise self._unusable(path, "it holds no checkpoint") from broken
        if checkpoint.origin != origin:
            raise self._unusable(path, "it is about another log")
        return checkpoint

    def remember(self, origin: str, note: str) -> None:
        """Write down the last checkpoint of a log, as a note; it is on disk when this returns.

        Raises:
            OSError: it is not; what was remembered before still is, or this is.
        """
        self._write(self._file(origin), note)

    def keep_evidence(self, origin: str, note: str) -> None:
        """Keep a checkpoint that contradicts what was cosigned: the first of each log.

        Raises:
            OSError: it could not be kept.
        """
        name = self._file(origin).replace(".checkpoint", ".contradiction")
        if not (self.folder / name).exists():
            self._write(name, note)

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError as reason:
            raise self._unusable(path, str(reason.strerror)) from reason

    def _write(self, name: str, text: str) -> None:
        """Write all of it aside, and give it its name when it is on disk; then the name is brought there, too."""
        draft = self.folder / f".{name}.new"
        opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / name)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @staticmethod
    def _file(origin: str) -> str:
        """Name a log's file: an origin may hold whatever a file system does not take."""
        return sha256(origin.encode(errors="surrogateescape")).hexdigest()[:NAME_DIGITS] + ".checkpoint"

    @staticmethod
    def _unusable(path: Path, reason: str) -> MemoryUnusable:
        return MemoryUnusable(path=str(path), reason=reason)

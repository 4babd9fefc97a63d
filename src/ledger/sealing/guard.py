"""The guard: the last checkpoint that was signed, kept where no backup of the database brings it back (ADR 0025)."""

import asyncio
from pathlib import Path
from typing import Final, Protocol

from ledger.domain.errors import Unavailable
from ledger.sealing import kept

GUARD_FILE: Final = "notary_state"


class GuardUnreachable(Unavailable):
    """The guard of the last checkpoint cannot be read or written.

    Context: ``place``, ``reason``.
    """

    code = "notary-guard-unreachable"
    advice = "Nothing is sealed until it can; nothing is lost. See LEDGER_NOTARY_STATE_URL."


class Guard(Protocol):
    """Holds one signed note."""

    @property
    def place(self) -> str:
        """Say where it is, without a secret."""

    async def read(self) -> str | None:
        """Read the note; ``None``: it holds none.

        Raises:
            GuardUnreachable: it cannot be read.
        """

    async def swap(self, expected: str | None, note: str) -> bool:
        """Hold ``note`` from now on, durably, if it holds ``expected``; tell whether it does.

        Raises:
            GuardUnreachable: it cannot be written, or nobody knows whether it was.
        """

    async def close(self) -> None:
        """Give back what it holds open."""


class FileGuard:
    """A guard in a file; processes of one machine may share it."""

    def __init__(self, path: Path) -> None:
        """Use the file at ``path``, which is made when there is something to hold."""
        self._path = path

    @property
    def place(self) -> str:
        """Say where it is."""
        return str(self._path)

    async def read(self) -> str | None:
        """Read the note; ``None``: there is no file."""
        return await asyncio.to_thread(self._read)

    async def swap(self, expected: str | None, note: str) -> bool:
        """Write the note aside and rename it, if the file holds ``expected``."""
        return await asyncio.to_thread(self._swap, expected, note)

    async def close(self) -> None:
        """Nothing is held open."""

    def _read(self) -> str | None:
        try:
            return self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as reason:
            raise self._unreachable(reason) from reason

    def _swap(self, expected: str | None, note: str) -> bool:
        try:
            with kept.locked(self._path):
                if self._read() != expected:
                    return False
                if expected is None:
                    return kept.write_new(self._path, note)
                kept.replace(self._path, note)
        except OSError as reason:
            raise self._unreachable(reason) from reason
        return True

    def _unreachable(self, reason: OSError | UnicodeDecodeError) -> GuardUnreachable:
        told = reason.strerror if isinstance(reason, OSError) else "it holds no text"
        return GuardUnreachable(place=self.place, reason=told)

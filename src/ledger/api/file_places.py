"""Places for files of the history that are being written: each is read at the pace of whoever takes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ledger.domain.errors import Overloaded

MOST: Final = 4


class TooManyFiles(Overloaded):
    """As many files of the ledger are being written as this service lets."""

    code = "too-many-files"
    advice = "Come again after the time in Retry-After, or ask page by page."


class FilePlaces:
    """Counts the files that are being written."""

    def __init__(self, *, most: int = MOST) -> None:
        """Let ``most`` be written at once."""
        self._most, self._taken = most, 0

    def taken(self) -> int:
        """Say how many are being written."""
        return self._taken

    def check(self) -> None:
        """Refuse one more where there are as many as there may be.

        Raises:
            TooManyFiles: there are.
        """
        if self._taken >= self._most:
            raise TooManyFiles(most=self._most)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a place for the time of the block."""
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

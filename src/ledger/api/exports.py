"""Files of the history that are being written at this moment: each is read at the pace of whoever takes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ledger.domain.errors import Overloaded

MOST: Final = 4


class TooManyExports(Overloaded):
    """As many files of the history are being written as this service lets."""

    code = "too-many-exports"
    advice = "Come again after the time in Retry-After, or ask page by page."


class Exports:
    """Counts them."""

    def __init__(self, *, most: int = MOST) -> None:
        """Let ``most`` be written at once."""
        self._most, self._open = most, 0

    def check(self) -> None:
        """Refuse one more.

        Raises:
            TooManyExports: there are as many as there may be.
        """
        if self._open >= self._most:
            raise TooManyExports(most=self._most)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one for the time of the block."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

"""Where a bundle comes from: the database, or a running service; both give the same bytes."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from ledger.domain.errors import LedgerError
from ledger.domain.export.events import Tier
from ledger.sealing.tree import FULL_WIDTH, Tile


class NothingSealed(LedgerError):
    """Nothing of the ledger is sealed yet."""

    code = "nothing-sealed"
    advice = "The service seals what it writes within a second; 'ledger notary status' says what keeps it."


class NotSealedInTime(LedgerError):
    """The newest events are not sealed yet.

    Context: the ``position`` that is waited for, and the ``size`` of the last checkpoint.
    """

    code = "not-sealed-in-time"
    advice = "'ledger notary status' says whether sealing goes on; without --wait what is sealed is taken."


class NothingIsSealed(LedgerError):
    """Sealing is halted: what is waited for will not be sealed until somebody has looked.

    Context: the ``position`` that is waited for, the ``size`` of the last checkpoint, and why sealing is ``halted``.
    """

    code = "nothing-is-sealed"
    advice = "See 'ledger notary status'; without --wait what is sealed is taken."


class ExportCutShort(LedgerError):
    """Not everything came that was asked for.

    Context: what was ``expected`` and what was ``found``.
    """

    code = "export-cut-short"
    advice = "Nothing is left of it: try again."


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which positions are asked for, to the end if ``last`` is ``None``; the checkpoint is over ``covering`` at least."""

    tier: Tier
    first: int = 1
    last: int | None = None
    covering: int = 1


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Which positions are taken, of a tree of ``size`` leaves, and how much of each; ``note`` is its checkpoint."""

    tier: Tier
    first: int
    last: int
    size: int
    note: str


class Stamp(msgspec.Struct, frozen=True):
    """What a time-stamping authority answered about this checkpoint, as the log alone signed it (RFC 3161)."""

    size: int
    note: str
    token: bytes


class Source(Protocol):
    """Gives the parts of a bundle; ``begin`` comes first, and says what may be taken."""

    async def head(self) -> int:
        """Say the last position there is, sealed or not."""

    async def sealed(self) -> int:
        """Say how far the ledger is sealed."""

    async def halted(self) -> str | None:
        """Say why nothing is sealed until somebody has looked; ``None``: sealing is not halted."""

    async def begin(self, wanted: Wanted) -> Wish:
        """Choose a checkpoint and write the export down, before anything leaves.

        Raises:
            NothingSealed: there is no checkpoint.
        """

    def tiles(self, tiles: Sequence[Tile]) -> AsyncIterator[tuple[Tile, bytes]]:
        """Give tiles, in this order."""

    def bundles(self, tiles: Sequence[Tile]) -> AsyncIterator[tuple[Tile, bytes]]:
        """Give the bundles of entries that these tiles of level 0 are over, in this order."""

    def payloads(self, wish: Wish) -> AsyncIterator[bytes]:
        """Give the lines that open the payloads, many at a time and always whole ones."""

    def people(self, wish: Wish) -> AsyncIterator[bytes]:
        """Give the lines that tell who the people are whom the wanted events name, whole ones."""

    def keys(self, wish: Wish) -> AsyncIterator[bytes]:
        """Give the lines that hold the keys under which something in the wanted events is sealed, whole ones."""

    async def stamps(self, wish: Wish) -> Sequence[Stamp]:
        """Give the time stamps that say something of what is wanted, one a checkpoint."""


def bundles_of(wish: Wish) -> list[Tile]:
    """Name the bundles of entries that cover what is wanted: whole ones, as wide as the tree has them."""
    indexes = range((wish.first - 1) // FULL_WIDTH, (wish.last - 1) // FULL_WIDTH + 1)
    return [Tile(0, index, min(FULL_WIDTH, wish.size - index * FULL_WIDTH)) for index in indexes]


def telling(stamps: Iterable[Stamp], wish: Wish) -> Iterator[Stamp]:
    """Choose, of the time stamps of a ledger in their order, those of what is wanted: the first over all of it ends them."""
    size = 0
    for stamp in stamps:
        if wish.first <= stamp.size <= wish.size and size < min(stamp.size, wish.last):
            size = stamp.size
            yield stamp

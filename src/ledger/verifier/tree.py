"""The tiles of a tree, all of them: that they hang together, and lead to the root that was signed."""

from typing import Final

from ledger.verifier.checkpoint import Checkpoint
from ledger.verifier.tiles import Read, Tile, check_link, check_width, root, tiles_of
from ledger.verifier.verdict import Forked, Tampered


class RootDiffers(Tampered):
    """The tiles agree with each other, and not with the root that was signed: all were changed to fit.

    Context: ``size``, the root ``signed`` and the one ``found``.
    """

    code = "root-differs"


class HistoryDiffers(Forked):
    """The log does not begin with the one that it was at an earlier checkpoint: it tells two stories.

    Context: ``older`` size, the root ``signed`` then and the one ``found`` now.
    """

    code = "history-differs"


class LogShrunk(Forked):
    """The log was larger at an earlier checkpoint: its end is gone.

    Context: ``older`` and ``newer`` size.
    """

    code = "log-shrunk"


class Upper:
    """The tiles above level 0, checked: a two-hundred-and-fiftieth of the whole, held in memory."""

    def __init__(self, size: int, read: Read) -> None:
        """Read them all, and check that they hang together.

        Raises:
            TileBroken, TilesDisagree: they do not.
        """
        self._size = size
        self._tiles = {tile: read(tile) for tile in tiles_of(size) if tile.level}
        for tile, hashes in self._tiles.items():
            check_width(tile, hashes)
        for tile, hashes in self._tiles.items():
            check_link(tile, hashes, self._tiles, size)

    def check(self, tile: Tile, hashes: bytes) -> None:
        """Check a tile of level 0 against the one above it.

        Raises:
            TileBroken, TilesDisagree: it does not fit.
        """
        check_width(tile, hashes)
        check_link(tile, hashes, self._tiles, self._size)

    def root(self, size: int, level_0: Read) -> bytes:
        """Make the root of the first ``size`` leaves; ``level_0`` gives the one tile of level 0 that it needs."""
        return root(size, lambda tile: self._tiles[tile] if tile.level else level_0(tile), within=self._size)


def check_root(checkpoint: Checkpoint, found: bytes) -> None:
    """Compare the root of the tiles with the one that was signed.

    Raises:
        RootDiffers: they are two.
    """
    if found != checkpoint.root:
        raise RootDiffers(size=checkpoint.size, signed=checkpoint.root.hex(), found=found.hex())


OF_TWO_NAMES: Final = (
    "they are of two logs by name: is the earlier checkpoint one of this log, before it was renamed?"
)


def check_history(older: Checkpoint, newer: Checkpoint, upper: Upper, level_0: Read) -> None:
    """Check that the newer tree, already checked itself, begins with the older one.

    Raises:
        LogShrunk, HistoryDiffers: it does not.
    """
    if older.size > newer.size:
        raise LogShrunk(older=older.size, newer=newer.size, **names_of(older, newer))
    found = upper.root(older.size, level_0)
    if found != older.root:
        raise HistoryDiffers(
            older=older.size, signed=older.root.hex(), found=found.hex(), **names_of(older, newer)
        )


def names_of(older: Checkpoint, newer: Checkpoint) -> dict[str, str]:
    """Say how two checkpoints are called, where that is two names: somebody may have taken the wrong one."""
    if older.origin == newer.origin:
        return {}
    return {"older_origin": older.origin, "newer_origin": newer.origin, "hint": OF_TWO_NAMES}

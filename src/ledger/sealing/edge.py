"""The right edge of the tree: all that is needed to grow it and to know its root, a few KiB at any size."""

from collections.abc import Mapping, Sequence
from typing import Final, Self, TypeAlias

from ledger.sealing.tree import FULL_WIDTH, HASH_BYTES, NO_LEAVES, TILE_BITS, Tile, fold

FULL_BYTES: Final = FULL_WIDTH * HASH_BYTES

Grown: TypeAlias = dict[tuple[int, int], bytes]
"""Tiles that changed, by level and index, in their widest state."""


class Edge:
    """The incomplete tile of every level of a tree."""

    def __init__(self) -> None:
        """Begin with the empty tree."""
        self.size = 0
        self._rows: list[bytes] = []

    @classmethod
    def of(cls, size: int, tiles: Mapping[Tile, bytes]) -> Self:
        """Take the edge of a tree of ``size`` leaves from ``edge_tiles(size)``."""
        edge = cls()
        edge.size = size
        edge._rows = [b""] * _levels(size)
        for tile in edge_tiles(size):
            edge._rows[tile.level] = tiles[tile]
        return edge

    def grow(self, leaves: Sequence[bytes]) -> Grown:
        """Add the hashes of leaves; give the tiles that came of it."""
        changed: Grown = {}
        level, new = 0, b"".join(leaves)
        while new:
            if level == len(self._rows):
                self._rows.append(b"")
            row = self._rows[level] + new
            index = self.size >> TILE_BITS * (level + 1)
            whole = len(row) // FULL_BYTES
            tiles = [row[at * FULL_BYTES : (at + 1) * FULL_BYTES] for at in range(whole)]
            self._rows[level] = row[whole * FULL_BYTES :]
            changed |= {(level, index + at): tile for at, tile in enumerate(tiles)}
            if self._rows[level]:
                changed[level, index + whole] = self._rows[level]
            level, new = level + 1, b"".join(map(fold, tiles))
        self.size += len(leaves)
        return changed

    def root(self) -> bytes:
        """Compute the root of the tree as it is."""
        below = b""
        for row in self._rows:
            if row or below:
                below = fold(row + below)
        return below or NO_LEAVES


def edge_tiles(size: int) -> tuple[Tile, ...]:
    """Name the tiles at the edge of a tree of ``size`` leaves: the incomplete ones."""
    widths = [(level, (size >> TILE_BITS * level) % FULL_WIDTH) for level in range(_levels(size))]
    return tuple(Tile(level, size >> TILE_BITS * (level + 1), width) for level, width in widths if width)


def _levels(size: int) -> int:
    return -(-size.bit_length() // TILE_BITS)

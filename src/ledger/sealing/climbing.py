"""Whether the lowest tiles of the tree are those under the root that was signed, place by place.

Each full tile folds to one hash of the tile above it, and what is incomplete at the right edge folds to the root. So whoever
looks at every lowest tile once, with what it is the first below, has looked at the whole tree; and of what does not fit it
is known where.
"""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from ledger.domain.errors import Invalid
from ledger.sealing.edge import Edge, edge_tiles
from ledger.sealing.notes import checkpoint_in
from ledger.sealing.rows import Sealed, read_tiles
from ledger.sealing.tree import FULL_WIDTH, HASH_BYTES, TILE_BITS, Tile, TileMissing, fold
from ledger.store.pool import Connection

Way: TypeAlias = Mapping[Tile, bytes]
"""Tiles by what they are called in a tree of one size."""

ROOT_DIFFERS: Final = "root-differs"
TILE_MISSING: Final = "tile-missing"


def tile_of(level: int, index: int, size: int) -> Tile:
    """Name a tile as a tree of ``size`` leaves has it."""
    return Tile(level, index, min(FULL_WIDTH, (size >> TILE_BITS * level) - index * FULL_WIDTH))


def signed_root(sealed: Sealed) -> bytes | None:
    """Read the root in a checkpoint's note, which the guard of the notary knows; ``None``: it is over something else."""
    try:
        checkpoint = checkpoint_in(sealed.note)
    except Invalid:
        return None
    return checkpoint.root if checkpoint.size == sealed.size else None


def tiles_on_the_way(index: int, size: int) -> tuple[Tile, ...]:
    """Name what ``wrong_on_the_way`` needs, the lowest tile of this ``index`` too."""
    needed = [tile_of(0, index, size)]
    for tile in _folding(index, size):
        needed += [tile, tile_of(tile.level + 1, tile.index // FULL_WIDTH, size)]
    if _is_last(index, size):
        needed += edge_tiles(size)
    return tuple(dict.fromkeys(needed))


async def way_up(conn: Connection, ledger_id: int, index: int, size: int) -> Way | None:
    """Read ``tiles_on_the_way``; ``None``: some of them are not there."""
    try:
        return await read_tiles(conn, ledger_id, tiles_on_the_way(index, size))
    except TileMissing:
        return None


def wrong_on_the_way(index: int, way: Way | None, *, size: int, root: bytes | None) -> str | None:
    """Say what is wrong between the lowest tile of this ``index`` and the ``root`` of its tree; ``None``: nothing.

    That is, its own place in the tile above it; that of every tile which begins with it; for the last one, the edge.
    """
    if way is None:
        return TILE_MISSING
    for tile in _folding(index, size):
        above = way[tile_of(tile.level + 1, tile.index // FULL_WIDTH, size)]
        at = tile.index % FULL_WIDTH * HASH_BYTES
        if fold(way[tile]) != above[at : at + HASH_BYTES]:
            return ROOT_DIFFERS
    if _is_last(index, size) and Edge.of(size, way).root() != root:
        return ROOT_DIFFERS
    return None


def _folding(index: int, size: int) -> Iterator[Tile]:
    """List the full tiles to look at with a lowest one: itself, and every one above that begins with it."""
    level, at = 0, index
    while (tile := tile_of(level, at, size)).width == FULL_WIDTH:
        yield tile
        if at % FULL_WIDTH:
            return
        level, at = level + 1, at // FULL_WIDTH


def _is_last(index: int, size: int) -> bool:
    return index == (size - 1) // FULL_WIDTH

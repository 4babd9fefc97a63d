"""The tree as tiles of 256 hashes (C2SP tlog-tiles): which there are, what they are called, how they hang together."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from ledger.verifier.merkle import EMPTY_ROOT, HASH_BYTES, root_of
from ledger.verifier.verdict import Tampered

WIDTH: Final = 256
BITS: Final = 8
THREE_DIGITS: Final = 1000


class TileBroken(Tampered):
    """A tile does not hold as many hashes as a tree of this size needs."""

    code = "tile-broken"


class TilesDisagree(Tampered):
    """The hash of a tile is not the one in the tile above it.

    Context: the ``tile`` below, and the positions ``first`` to ``last`` that it stands for.
    """

    code = "tiles-disagree"


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """A tile of a tree; ``width``: how many hashes it holds, 256 for a full one."""

    level: int
    index: int
    width: int = WIDTH

    def path(self) -> str:
        """Name its file."""
        return f"tile/{self.level}/{_digits(self.index)}{_partial(self.width)}"


Read = Callable[[Tile], bytes]
"""Gives the hashes of a tile, one behind the other."""


def entries_path(index: int, width: int) -> str:
    """Name the file of the entries whose hashes are in the tile ``index`` of level 0."""
    return f"tile/entries/{_digits(index)}{_partial(width)}"


def width_of(size: int, level: int, index: int) -> int:
    """Say how wide a tile of a tree of ``size`` leaves is; 0: there is none."""
    return max(0, min(WIDTH, (size >> (BITS * level)) - index * WIDTH))


def tiles_of(size: int) -> Iterator[Tile]:
    """List the tiles of a tree of ``size`` leaves: these and no others."""
    level = 0
    while (hashes := size >> (BITS * level)) > 0:
        for index in range(-(-hashes // WIDTH)):
            yield Tile(level=level, index=index, width=width_of(size, level, index))
        level += 1


def edge_of(size: int, *, within: int) -> Iterator[Tile]:
    """List the tiles from which the root of the first ``size`` leaves is made, in a tree that has ``within``."""
    level = 0
    while within >> (BITS * level) > 0:
        index = size >> (BITS * (level + 1))
        if width := width_of(within, level, index):
            yield Tile(level=level, index=index, width=width)
        level += 1


def check_width(tile: Tile, hashes: bytes) -> None:
    """Check that a tile holds as many hashes as it says.

    Raises:
        TileBroken: it does not.
    """
    if len(hashes) != tile.width * HASH_BYTES:
        raise TileBroken(tile=tile.path(), bytes=len(hashes), expected=tile.width * HASH_BYTES)


def check_link(tile: Tile, hashes: bytes, above: Mapping[Tile, bytes], size: int) -> None:
    """Check a full tile against its hash in the tile above it, in a tree of ``size`` leaves.

    Raises:
        TilesDisagree: the hashes are two.
    """
    if tile.width < WIDTH:
        return
    index, slot = divmod(tile.index, WIDTH)
    parent = Tile(level=tile.level + 1, index=index, width=width_of(size, tile.level + 1, index))
    if above[parent][slot * HASH_BYTES : (slot + 1) * HASH_BYTES] != root_of(hashes):
        span = WIDTH ** (tile.level + 1)
        first = tile.index * span + 1
        raise TilesDisagree(tile=tile.path(), first=first, last=first + span - 1)


def root(size: int, read: Read, *, within: int | None = None) -> bytes:
    """Make the root of the first ``size`` leaves from the tiles of a tree that has ``within`` (``None``: as many)."""
    if size == 0:
        return EMPTY_ROOT
    smaller, level = b"", 0
    while size >> (BITS * level) > 0:
        index, count = divmod(size >> (BITS * level), WIDTH)
        row = b""
        if count:
            width = width_of(size if within is None else within, level, index)
            row = read(Tile(level=level, index=index, width=width))[: count * HASH_BYTES]
        if row or smaller:
            smaller = root_of(row + smaller)
        level += 1
    return smaller


def consistency_tiles(older: int, newer: int) -> set[Tile]:
    """List the tiles of the newer tree that show that it begins with the older one."""
    return {*edge_of(older, within=newer), *edge_of(newer, within=newer)}


def roots_from(older: int, newer: int, tiles: Mapping[Tile, bytes]) -> tuple[bytes, bytes]:
    """Make both roots from the tiles that ``consistency_tiles`` names, having checked that they hang together.

    Raises:
        TileBroken: a tile is not as wide as the newer tree makes it.
        TilesDisagree: the tiles are not those of one tree.
    """
    for tile, hashes in tiles.items():
        check_width(tile, hashes)
    for tile, hashes in tiles.items():
        check_link(tile, hashes, tiles, newer)
    return root(older, tiles.__getitem__, within=newer), root(newer, tiles.__getitem__)


def _digits(index: int) -> str:
    path = f"{index % THREE_DIGITS:03}"
    while index := index // THREE_DIGITS:
        path = f"x{index % THREE_DIGITS:03}/{path}"
    return path


def _partial(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"

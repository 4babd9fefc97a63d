"""The Merkle tree over the log (RFC 6962, section 2.1), in tiles of 256 hashes (C2SP tlog-tiles).

Theory. Everything one may want to prove is a row of hashes, each the root over a range of leaves, and every such range
falls into a few perfect subtrees. A perfect subtree of 256 leaves to the power of L is one hash of a tile at level L;
one between two levels is what such hashes, side by side in one tile, fold to. So which tiles a proof needs follows
from ranges alone, before anything is fetched, and the proof from those tiles alone. Nothing here reads or stores.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from ledger.domain.errors import Corrupt, Invalid

HASH_BYTES: Final = 32
FULL_WIDTH: Final = 256
TILE_BITS: Final = 8
MAX_LEVEL: Final = 63
NO_LEAVES: Final = sha256(b"").digest()
"""The root of the empty tree."""
TILE_PATH: Final = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[0-9]{1,3}))?"
)


class TileMissing(Corrupt):
    """A tile of the log's tree is not there, or has not as many hashes as it must have.

    Context: the path of the ``tile``.
    """

    code = "tile-missing"


class OutsideTree(Invalid):
    """The log has no tree of that size, or no such leaf in it.

    Context: what was asked for.
    """

    code = "outside-tree"


class Tile(msgspec.Struct, frozen=True, gc=False):
    """A row of ``width`` hashes, 1 to 256, at one ``level`` of the tree; ``index`` counts the tiles of that level."""

    level: int
    index: int
    width: int = FULL_WIDTH


class _Range(msgspec.Struct, frozen=True, gc=False):
    """The leaves from ``begin`` up to, but not with, ``end``; ``begin`` is a multiple of a power of two >= the length."""

    begin: int
    end: int


class _Row(msgspec.Struct, frozen=True, gc=False):
    """Hashes side by side in one tile, that a perfect subtree folds from."""

    level: int
    tile: int
    begin: int
    end: int


def leaf_hash(entry: bytes) -> bytes:
    """Hash one entry of the log."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees that stand side by side into the one they make."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: bytes) -> bytes:
    """Give the root over hashes that stand side by side, one after the other in ``hashes``; at least one.

    A last one without a partner rises as it is, which is the tree that splitting at powers of two makes.
    """
    row = hashes
    while len(row) > HASH_BYTES:
        pairs = [
            sha256(b"\x01" + row[at : at + 2 * HASH_BYTES]).digest()
            for at in range(0, len(row) - HASH_BYTES, 2 * HASH_BYTES)
        ]
        if len(row) % (2 * HASH_BYTES):
            pairs.append(row[-HASH_BYTES:])
        row = b"".join(pairs)
    return row


def tile_path(tile: Tile) -> str:
    """Write the path of a tile below the log's address: ``tile/0/x001/x234/067.p/8``."""
    return f"tile/{tile.level}/{_index_path(tile.index)}{_width_path(tile.width)}"


def entries_path(index: int, width: int = FULL_WIDTH) -> str:
    """Write the path of the bundle that holds the entries of tile ``index`` at level 0."""
    return f"tile/entries/{_index_path(index)}{_width_path(width)}"


def parse_tile_path(path: str) -> Tile | None:
    """Read a path that ``tile_path`` could have written; ``None`` for every other text."""
    tile = _read_path(path)
    return tile if tile is not None and tile_path(tile) == path else None


def parse_entries_path(path: str) -> Tile | None:
    """Read a path that ``entries_path`` could have written, as the level 0 tile over those entries; else ``None``."""
    tile = _read_path(path)
    return tile if tile is not None and entries_path(tile.index, tile.width) == path else None


def tiles_of(size: int) -> Iterator[Tile]:
    """List the tiles that a tree of ``size`` leaves consists of, level by level; those at its edge are narrower."""
    level = 0
    while (hashes := size >> TILE_BITS * level) > 0:
        full, rest = divmod(hashes, FULL_WIDTH)
        yield from (Tile(level, index) for index in range(full))
        if rest:
            yield Tile(level, full, rest)
        level += 1


def root_tiles(size: int) -> tuple[Tile, ...]:
    """Name the tiles that ``root`` needs."""
    return _tiles_for([_Range(0, size)] if size else [], size)


def root(size: int, tiles: Mapping[Tile, bytes]) -> bytes:
    """Compute the root of the tree of the first ``size`` leaves.

    Raises:
        TileMissing: one of ``root_tiles(size)`` is not in ``tiles``.
    """
    return _hash_of(_Range(0, size), size, tiles) if size else NO_LEAVES


def inclusion_tiles(index: int, size: int) -> tuple[Tile, ...]:
    """Name the tiles that ``inclusion_proof`` needs.

    Raises:
        OutsideTree: leaf ``index`` is not among the first ``size``.
    """
    return _tiles_for(_inclusion(index, size), size)


def inclusion_proof(index: int, size: int, tiles: Mapping[Tile, bytes]) -> tuple[bytes, ...]:
    """Prove that a leaf is in the tree of the first ``size``: PATH(index, D[size]), from its sibling upwards.

    Raises:
        OutsideTree: leaf ``index`` is not among the first ``size``.
        TileMissing: one of ``inclusion_tiles(index, size)`` is not in ``tiles``.
    """
    return tuple(_hash_of(leaves, size, tiles) for leaves in _inclusion(index, size))


def consistency_tiles(old: int, new: int) -> tuple[Tile, ...]:
    """Name the tiles, all of the tree of ``new`` leaves, that ``consistency_proof`` needs.

    Raises:
        OutsideTree: not 1 <= ``old`` <= ``new``.
    """
    return _tiles_for(_consistency(old, new), new)


def consistency_proof(old: int, new: int, tiles: Mapping[Tile, bytes]) -> tuple[bytes, ...]:
    """Prove that the tree of ``new`` leaves begins with that of ``old``: PROOF(old, D[new]); empty for equal sizes.

    Raises:
        OutsideTree: not 1 <= ``old`` <= ``new``; the empty tree needs no proof, and has none.
        TileMissing: one of ``consistency_tiles(old, new)`` is not in ``tiles``.
    """
    return tuple(_hash_of(leaves, new, tiles) for leaves in _consistency(old, new))


def _inclusion(index: int, size: int) -> Sequence[_Range]:
    """List the ranges of PATH(index, D[size]) (RFC 6962, section 2.1.1)."""
    if not 0 <= index < size:
        raise OutsideTree(index=index, size=size)
    begin, end, path = 0, size, list[_Range]()
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_Range(middle, end))
            end = middle
        else:
            path.append(_Range(begin, middle))
            begin = middle
    return path[::-1]


def _consistency(old: int, new: int) -> Sequence[_Range]:
    """List the ranges of PROOF(old, D[new]) (RFC 6962, section 2.1.2)."""
    if not 1 <= old <= new:
        raise OutsideTree(old=old, new=new)
    begin, end, path = 0, new, list[_Range]()
    while end > old:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_Range(middle, end))
            end = middle
        else:
            path.append(_Range(begin, middle))
            begin = middle
    if begin:  # else what is left is the old tree itself, whose root the verifier has
        path.append(_Range(begin, end))
    return path[::-1]


def _split(leaves: int) -> int:
    """Give the greatest power of two that is smaller than ``leaves``, which are two or more."""
    return 1 << (leaves - 1).bit_length() - 1


def _rows(leaves: _Range) -> Iterator[_Row]:
    """Cut a range into perfect subtrees, from the left, the greatest first; say which hashes each folds from."""
    begin = leaves.begin
    while begin < leaves.end:
        height = (leaves.end - begin).bit_length() - 1
        level, rest = divmod(height, TILE_BITS)
        first = begin >> TILE_BITS * level
        yield _Row(level, first // FULL_WIDTH, first % FULL_WIDTH, first % FULL_WIDTH + (1 << rest))
        begin += 1 << height


def _tile_at(level: int, index: int, size: int) -> Tile:
    """Name a tile as a tree of ``size`` leaves has it."""
    return Tile(level, index, min(FULL_WIDTH, (size >> TILE_BITS * level) - index * FULL_WIDTH))


def _tiles_for(ranges: Sequence[_Range], size: int) -> tuple[Tile, ...]:
    rows = (row for leaves in ranges for row in _rows(leaves))
    return tuple(dict.fromkeys(_tile_at(row.level, row.tile, size) for row in rows))


def _hash_of(leaves: _Range, size: int, tiles: Mapping[Tile, bytes]) -> bytes:
    """Give MTH(D[begin:end]) in the tree of ``size`` leaves."""
    peaks = [_peak(row, _tile_at(row.level, row.tile, size), tiles) for row in _rows(leaves)]
    whole = peaks.pop()
    while peaks:
        whole = node_hash(peaks.pop(), whole)
    return whole


def _peak(row: _Row, tile: Tile, tiles: Mapping[Tile, bytes]) -> bytes:
    hashes = tiles.get(tile, b"")
    if len(hashes) != tile.width * HASH_BYTES:
        raise TileMissing(tile=tile_path(tile))
    return fold(hashes[row.begin * HASH_BYTES : row.end * HASH_BYTES])


def _index_path(index: int) -> str:
    """Write an index in groups of three digits, all but the last with an x before them."""
    path = f"{index % 1000:03}"
    while index := index // 1000:
        path = f"x{index % 1000:03}/{path}"
    return path


def _width_path(width: int) -> str:
    return "" if width == FULL_WIDTH else f".p/{width}"


def _read_path(path: str) -> Tile | None:
    """Read whatever looks like a path; whether it is written as it should be, the caller compares."""
    match = TILE_PATH.fullmatch(path)
    if match is None:
        return None
    level = 0 if match["level"] == "entries" else int(match["level"])
    index = int(match["index"].replace("x", "").replace("/", ""))
    width = FULL_WIDTH if match["width"] is None else int(match["width"])
    is_written = match["width"] is None or 1 <= width < FULL_WIDTH
    return Tile(level, index, width) if level <= MAX_LEVEL and is_written else None

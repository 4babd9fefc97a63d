"""The way from the lowest tiles to the root: an honest tree has nothing wrong anywhere, any other one where it differs."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Final

import pytest

from ledger.sealing.climbing import ROOT_DIFFERS, TILE_MISSING, tiles_on_the_way, wrong_on_the_way
from ledger.sealing.edge import Edge
from ledger.sealing.tree import FULL_WIDTH, HASH_BYTES

SIZE: Final = FULL_WIDTH**2 + FULL_WIDTH + 3
"""A full tile at level 1, and incomplete ones at the edge of three levels."""


@cache
def leaf(number: int) -> bytes:
    return sha256(number.to_bytes(8)).digest()


@cache
def made(size: int) -> tuple[Mapping[tuple[int, int], bytes], bytes]:
    edge = Edge()
    return edge.grow([leaf(number) for number in range(size)]), edge.root()


def grown(size: int) -> tuple[dict[tuple[int, int], bytes], bytes]:
    """The tiles of a tree, and its root."""
    tiles, root = made(size)
    return dict(tiles), root


def walked(tiles: Mapping[tuple[int, int], bytes], size: int, root: bytes) -> dict[int, str]:
    """What is wrong, by the index of the lowest tile at which it is noticed."""
    found = dict[int, str]()
    for index in range(-(-size // FULL_WIDTH)):
        needed = tiles_on_the_way(index, size)
        way = {
            tile: tiles[tile.level, tile.index][: tile.width * HASH_BYTES]
            for tile in needed
            if (tile.level, tile.index) in tiles
        }
        wrong = wrong_on_the_way(index, way if len(way) == len(needed) else None, size=size, root=root)
        if wrong is not None:
            found[index] = wrong
    return found


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 65_536, 65_537, SIZE])
def test_an_honest_tree_has_nothing_wrong_anywhere(size: int) -> None:
    tiles, root = grown(size)

    assert walked(tiles, size, root) == {}


def test_tiles_that_have_grown_meanwhile_are_taken_as_they_were() -> None:
    tiles, _ = grown(SIZE)
    _, root = grown(SIZE - 300)

    assert walked(tiles, SIZE - 300, root) == {}


@pytest.mark.parametrize(
    ("tile", "at", "noticed"),
    [
        ((0, 0), 0, {0}),
        ((0, 0), 255, {0}),
        ((0, 1), 7, {1}),
        ((0, 255), 7, {255}),
        ((0, 256), 7, {256}),
        ((0, 257), 0, {257}),  # at the edge, as the next two
        ((0, 257), 2, {257}),
        ((2, 0), 0, {0, 257}),
        ((1, 0), 0, {0}),
        ((1, 0), 9, {0, 9}),  # it folds to something else, too
        ((1, 1), 0, {256, 257}),
    ],
)
def test_one_changed_hash_is_noticed_where_it_is(tile: tuple[int, int], at: int, noticed: set[int]) -> None:
    tiles, root = grown(SIZE)
    begin = at * HASH_BYTES
    hashes = tiles[tile]
    tiles[tile] = hashes[:begin] + leaf(SIZE) + hashes[begin + HASH_BYTES :]

    assert walked(tiles, SIZE, root) == dict.fromkeys(noticed, ROOT_DIFFERS)


@pytest.mark.parametrize(
    ("tile", "noticed"), [((0, 3), {3}), ((0, 257), {257}), ((1, 1), {256, 257}), ((2, 0), {0, 257})]
)
def test_a_tile_that_is_gone_is_missed_where_it_is_needed(tile: tuple[int, int], noticed: set[int]) -> None:
    tiles, root = grown(SIZE)
    del tiles[tile]

    assert walked(tiles, SIZE, root) == dict.fromkeys(noticed, TILE_MISSING)


def test_another_tree_that_agrees_with_itself_is_noticed_at_its_edge() -> None:
    tiles, _ = grown(SIZE)

    assert walked(tiles, SIZE, bytes(HASH_BYTES)) == {257: ROOT_DIFFERS}

"""The tree in tiles is the tree of RFC 6962, and its tiles lie where C2SP tlog-tiles says."""

from collections.abc import Iterable
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.sealing.tree import (
    OutsideTree,
    Tile,
    TileMissing,
    consistency_proof,
    consistency_tiles,
    entries_path,
    fold,
    inclusion_proof,
    inclusion_tiles,
    leaf_hash,
    node_hash,
    parse_entries_path,
    parse_tile_path,
    root,
    root_tiles,
    tile_path,
    tiles_of,
)
from tests.sealing.definition import ENTRIES, entry, hashes_of, mth, path, proof, root_from_inclusion

some = settings(max_examples=150, deadline=None)
sizes = st.integers(1, ENTRIES) | st.integers(1, 600)
indexes = st.integers(0, 2**62) | st.integers(0, 5_000)
widths = st.integers(1, 256)

read = cache(hashes_of)


def of(tiles: Iterable[Tile]) -> dict[Tile, bytes]:
    return {tile: read(tile) for tile in tiles}


@some
@given(sizes)
@example(ENTRIES)
@example(65_536)
@example(65_535)
@example(257)
@example(256)
@example(1)
def test_the_root_from_tiles_is_that_of_the_definition(size: int) -> None:
    assert root(size, of(root_tiles(size))) == mth(0, size)


@some
@given(sizes, st.floats(0, 1, exclude_max=True))
def test_an_inclusion_proof_from_tiles_is_that_of_the_definition(size: int, part: float) -> None:
    index = int(size * part)

    found = inclusion_proof(index, size, of(inclusion_tiles(index, size)))

    assert list(found) == path(index, 0, size)
    assert root_from_inclusion(index, size, leaf_hash(entry(index)), found) == mth(0, size)


@some
@given(sizes, st.floats(0, 1, exclude_max=True))
@example(ENTRIES, 0.5)
def test_a_consistency_proof_from_tiles_is_that_of_the_definition(new: int, part: float) -> None:
    old = 1 + int(new * part)

    assert list(consistency_proof(old, new, of(consistency_tiles(old, new)))) == proof(old, new)


def test_every_proof_of_small_trees_is_that_of_the_definition() -> None:
    for size in range(1, 40):
        tiles = of(tiles_of(size))
        assert root(size, tiles) == mth(0, size)
        for index in range(size):
            assert list(inclusion_proof(index, size, tiles)) == path(index, 0, size)
            assert list(consistency_proof(index + 1, size, tiles)) == proof(index + 1, size)


@some
@given(sizes)
def test_a_proof_needs_no_tile_that_the_tree_has_not(size: int) -> None:
    there = set(tiles_of(size))

    assert set(root_tiles(size)) <= there
    assert set(inclusion_tiles(size // 2, size)) <= there
    assert set(consistency_tiles(1 + size // 2, size)) <= there


@given(st.integers(1, 2**62))
def test_what_a_proof_needs_are_few_tiles_however_large_the_log(size: int) -> None:
    levels = (size.bit_length() + 7) // 8

    assert len(root_tiles(size)) <= levels
    assert len(inclusion_tiles(size // 3, size)) <= 2 * levels


def test_the_root_of_the_empty_tree_is_that_of_nothing() -> None:
    assert root_tiles(0) == ()
    assert root(0, {}).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_tree_of_70000_leaves_has_the_tiles_that_the_specification_counts() -> None:
    tiles = list(tiles_of(70_000))

    by_level = [[tile for tile in tiles if tile.level == level] for level in range(3)]
    assert sum(len(level) for level in by_level) == len(tiles)
    assert [len([tile for tile in level if tile.width == 256]) for level in by_level] == [273, 1, 0]
    assert [[tile.width for tile in level if tile.width < 256] for level in by_level] == [[112], [17], [1]]


def test_a_tree_of_256_leaves_has_a_full_tile_and_one_of_a_single_hash() -> None:
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(0)) == []


@some
@given(sizes)
def test_the_tiles_of_a_tree_are_those_that_its_size_defines(size: int) -> None:
    found = list(tiles_of(size))

    assert len(set(found)) == len(found)
    for level in range(4):
        hashes = size // 256**level
        widths_there = [tile.width for tile in found if tile.level == level]
        assert sum(widths_there) == hashes
        assert len(widths_there) == -(-hashes // 256)


@pytest.mark.parametrize(
    ("tile", "written"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 999), "tile/0/999"),
        (Tile(1, 1000), "tile/1/x001/000"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(0, 1_234_067, 8), "tile/0/x001/x234/067.p/8"),
        (Tile(63, 273, 255), "tile/63/273.p/255"),
    ],
)
def test_the_path_of_a_tile_is_that_of_the_specification(tile: Tile, written: str) -> None:
    assert tile_path(tile) == written
    assert parse_tile_path(written) == tile


def test_the_path_of_an_entry_bundle_is_that_of_the_specification() -> None:
    assert entries_path(1_234_067) == "tile/entries/x001/x234/067"
    assert entries_path(273, 112) == "tile/entries/273.p/112"
    assert parse_entries_path("tile/entries/273.p/112") == Tile(0, 273, 112)


@given(st.integers(0, 63), indexes, widths)
def test_a_path_reads_as_the_tile_it_was_written_of(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)

    assert parse_tile_path(tile_path(tile)) == tile
    assert parse_entries_path(entries_path(index, width)) == Tile(0, index, width)
    assert parse_tile_path(entries_path(index, width)) is None
    assert parse_entries_path(tile_path(tile)) is None


@pytest.mark.parametrize(
    "written",
    [
        "",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/000/",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/x002",
        "tile/0/001.p",
        "tile/0/001.p/",
        "tile/0/001.p/0",
        "tile/0/001.p/08",
        "tile/0/001.p/256",
        "tile/0/001.p/-1",
        "tile/00/001",
        "tile/-1/001",
        "tile/64/001",
        "tile/100/001",
        "tile/0/..",
        "tile/0/../0/001",
        "tile/0/%30%30%31",
        "tile/0/00a",
        "tile/0/\u0660\u0660\u0661",  # digits, but not of ASCII
        "tile/0/001\n",
        "/tile/0/001",
        "tile/0/X001/000",
        "tile/0/" + "x001/" * 7 + "001",
        "tile/entries",
    ],
)
def test_what_is_not_written_as_it_should_be_is_no_path(written: str) -> None:
    assert parse_tile_path(written) is None
    assert parse_entries_path(written.replace("tile/0/", "tile/entries/")) is None


def test_hashes_fold_as_the_definition_splits() -> None:
    hashes = [leaf_hash(entry(index)) for index in range(300)]

    for many in range(1, 300):
        assert fold(b"".join(hashes[:many])) == mth(0, many)
    assert fold(hashes[0] + hashes[1]) == node_hash(hashes[0], hashes[1])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_no_tree_proves_a_leaf_that_it_has_not(index: int, size: int) -> None:
    with pytest.raises(OutsideTree) as refused:
        inclusion_tiles(index, size)

    assert refused.value.context == {"index": index, "size": size}


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 5), (6, 5)])
def test_no_tree_is_proved_to_begin_with_nothing_or_with_a_larger_one(old: int, new: int) -> None:
    with pytest.raises(OutsideTree) as refused:
        consistency_tiles(old, new)

    assert refused.value.context == {"old": old, "new": new}


@pytest.mark.parametrize("given_instead", [None, b"", bytes(32 * 9), bytes(32 * 11)])
def test_a_tile_that_is_missing_or_not_whole_is_named(given_instead: bytes | None) -> None:
    tiles = {} if given_instead is None else {Tile(0, 0, 10): given_instead}

    with pytest.raises(TileMissing) as refused:
        root(10, tiles)

    assert refused.value.context == {"tile": "tile/0/000.p/10"}

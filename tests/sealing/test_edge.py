"""However a tree grows, batch by batch, its tiles and its root are those that RFC 6962 defines."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.sealing.consistency import is_consistent
from ledger.sealing.edge import Edge, edge_tiles
from ledger.sealing.tree import HASH_BYTES, Tile, leaf_hash, tiles_of
from tests.sealing.definition import entry, hashes_of, mth, proof

BATCHES = st.lists(st.one_of(st.integers(0, 40), st.sampled_from([255, 256, 257, 5_000])), max_size=8)
SIZES = st.one_of(st.integers(1, 600), st.integers(1, 70_000))


def leaves(begin: int, end: int) -> list[bytes]:
    return [leaf_hash(entry(index)) for index in range(begin, end)]


def stored(edge: Edge, batches: list[int]) -> dict[tuple[int, int], bytes]:
    """Grow the tree and keep its tiles as the notary does: the later state over the earlier one."""
    tiles: dict[tuple[int, int], bytes] = {}
    for batch in batches:
        tiles |= edge.grow(leaves(edge.size, edge.size + batch))
    return tiles


@settings(deadline=None, max_examples=25)
@example([65_536 - 1, 1, 1])
@example([65_536, 256, 1])
@example([256, 0, 65_280, 300])
@given(BATCHES)
def test_tiles_and_root_are_those_of_the_definition(batches: list[int]) -> None:
    edge = Edge()
    tiles = stored(edge, batches)
    size = sum(batches)
    assert edge.size == size
    assert edge.root() == mth(0, size)
    wanted = list(tiles_of(size))
    assert set(tiles) == {(tile.level, tile.index) for tile in wanted}
    assert all(len(tiles[tile.level, tile.index]) == tile.width * HASH_BYTES for tile in wanted)
    assert all(tiles[tile.level, tile.index] == hashes_of(tile) for tile in wanted)


@settings(deadline=None, max_examples=30)
@example(65_536, 1)
@example(256, 256)
@given(SIZES, st.integers(0, 600))
def test_a_tree_that_was_put_down_grows_on_as_if_it_had_not_been(size: int, more: int) -> None:
    tiles = {tile: hashes_of(tile) for tile in edge_tiles(size)}
    edge = Edge.of(size, tiles)
    assert edge.root() == mth(0, size)
    edge.grow(leaves(size, size + more))
    assert edge.root() == mth(0, size + more)


def test_the_edge_of_any_tree_is_a_few_tiles() -> None:
    assert edge_tiles(0) == ()
    assert edge_tiles(256) == (Tile(1, 0, 1),)
    assert edge_tiles(70_000) == (Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1))
    assert len(edge_tiles(2**40 - 1)) == 5


@settings(deadline=None, max_examples=100)
@given(SIZES, SIZES)
def test_a_proof_of_the_definition_shows_that_one_tree_begins_with_the_other(one: int, other: int) -> None:
    old, new = sorted((one, other))
    roots = {"old_root": mth(0, old), "new_root": mth(0, new)}
    path = proof(old, new)
    assert is_consistent(path, old=old, new=new, **roots)
    assert is_consistent([], old=0, old_root=mth(0, 0), new=new, new_root=mth(0, new))
    assert not is_consistent([*path, bytes(32)], old=old, new=new, **roots)
    assert not is_consistent(path, old=old, new=new, old_root=bytes(32), new_root=mth(0, new))
    assert not is_consistent(path, old=old, new=new, old_root=mth(0, old), new_root=bytes(32))
    if path:
        assert not is_consistent(path[:-1], old=old, new=new, **roots)
        assert not is_consistent([*path[:-1], bytes(32)], old=old, new=new, **roots)
    if old < new:
        assert not is_consistent(path, old=new, old_root=mth(0, new), new=old, new_root=mth(0, old))
        assert not is_consistent([], old=0, old_root=bytes(32), new=new, new_root=mth(0, new))

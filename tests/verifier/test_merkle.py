"""The verifier's tree is the one of RFC 6962, whichever way it is reached."""

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from ledger.verifier.merkle import ProofWrong, check_inclusion, is_consistent, leaf_hash, root_of
from ledger.verifier.tiles import (
    Tile,
    TilesDisagree,
    consistency_tiles,
    entries_path,
    root,
    roots_from,
    tiles_of,
)
from tests.support import rfc6962

LEAVES = [rfc6962.leaf(b"%d" % index) for index in range(70_000)]


def tiles(size: int) -> dict[Tile, bytes]:
    """Every tile, by the definition of its hashes: MTH(D[(n * 256 + i) * 256**l : (n * 256 + i + 1) * 256**l])."""
    rows = [LEAVES[:size]]
    while len(rows[-1]) >= 256:
        row = rows[-1]
        rows.append([rfc6962.mth(row[at : at + 256]) for at in range(0, len(row) // 256 * 256, 256)])
    return {
        Tile(level=level, index=at // 256, width=len(row[at : at + 256])): b"".join(row[at : at + 256])
        for level, row in enumerate(rows)
        for at in range(0, len(row), 256)
    }


sizes = st.one_of(st.integers(1, 600), st.sampled_from([255, 256, 257, 511, 512, 513, 1024]))


def test_a_leaf_has_a_zero_in_front():
    assert leaf_hash(b"entry") == rfc6962.leaf(b"entry")


@given(st.integers(0, 600))
def test_a_row_of_leaves_has_the_root_of_the_definition(size: int):
    assert root_of(b"".join(LEAVES[:size])) == rfc6962.mth(LEAVES[:size])


@given(sizes, st.data())
def test_a_proof_of_inclusion_verifies(size: int, data: st.DataObject):
    index = data.draw(st.integers(0, size - 1))
    path = rfc6962.path(index, LEAVES[:size])

    check_inclusion(index=index, size=size, leaf=LEAVES[index], proof=path, root=rfc6962.mth(LEAVES[:size]))


@given(st.integers(2, 300), st.data())
def test_a_proof_of_inclusion_holds_for_its_own_leaf_index_and_hashes_alone(size: int, data: st.DataObject):
    index = data.draw(st.integers(0, size - 1))
    path = rfc6962.path(index, LEAVES[:size])
    wrong = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
    changed = data.draw(st.integers(0, len(path) - 1))
    top = rfc6962.mth(LEAVES[:size])
    with pytest.raises(ProofWrong):
        check_inclusion(index=index, size=2 * size, leaf=LEAVES[index], proof=path, root=top)
    for at, leaf, hashes in (
        (index, LEAVES[wrong], path),
        (wrong, LEAVES[index], path),
        (index, LEAVES[index], path[:-1]),
        (index, LEAVES[index], [*path, top]),
        (index, LEAVES[index], [*path[:changed], LEAVES[999], *path[changed + 1 :]]),
        (size, LEAVES[index], path),
    ):
        with pytest.raises(ProofWrong):
            check_inclusion(index=at, size=size, leaf=leaf, proof=hashes, root=top)


@given(sizes, st.data())
def test_a_proof_of_consistency_verifies_and_no_other_does(size: int, data: st.DataObject):
    older = data.draw(st.integers(1, size))
    hashes = rfc6962.proof(older, LEAVES[:size])
    before, now = rfc6962.mth(LEAVES[:older]), rfc6962.mth(LEAVES[:size])

    def holds(
        *, old: int = older, old_root: bytes = before, new_root: bytes = now, proof: list[bytes] = hashes
    ) -> bool:
        return is_consistent(older=old, newer=size, older_root=old_root, newer_root=new_root, proof=proof)

    assert holds()
    assert not holds(old_root=LEAVES[0] if older > 1 else LEAVES[1])
    assert not holds(new_root=LEAVES[999])
    assert not holds(proof=[*hashes, now])
    assert not hashes or not holds(proof=hashes[:-1])
    assert older == size or not is_consistent(
        older=older, newer=2 * size, older_root=before, newer_root=now, proof=hashes
    )
    assert not holds(old=0)
    assert not holds(old=size + 1)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 65_535, 65_536, 65_537, 70_000])
def test_the_tiles_of_a_tree_are_those_of_the_specification_and_lead_to_its_root(size: int):
    made = tiles(size)

    assert set(tiles_of(size)) == made.keys()
    assert root(size, made.__getitem__) == rfc6962.mth(LEAVES[:size])


def test_the_empty_tree_has_no_tiles():
    assert list(tiles_of(0)) == []
    assert root(0, {}.__getitem__) == rfc6962.mth([])


def test_tiles_have_the_paths_of_the_specification():
    assert Tile(level=0, index=1_234_067).path() == "tile/0/x001/x234/067"
    assert Tile(level=2, index=0, width=17).path() == "tile/2/000.p/17"
    assert entries_path(1_000, 9) == "tile/entries/x001/000.p/9"


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (1, 2),
        (255, 256),
        (256, 256),
        (256, 257),
        (300, 65_536),
        (65_536, 70_000),
        (65_900, 70_000),
        (512, 70_000),
    ],
)
def test_a_few_tiles_of_the_newer_tree_give_both_roots(older: int, newer: int):
    made = tiles(newer)
    few = {tile: made[tile] for tile in consistency_tiles(older, newer)}

    assert roots_from(older, newer, few) == (rfc6962.mth(LEAVES[:older]), rfc6962.mth(LEAVES[:newer]))
    assert len(few) <= 6


@given(st.integers(1, 1_400), st.integers(0, 1_400))
@settings(max_examples=40, deadline=None)
def test_the_few_tiles_suffice_whatever_the_sizes(older: int, more: int):
    newer = older + more
    made = tiles(newer)
    few = {tile: made[tile] for tile in consistency_tiles(older, newer)}

    assert roots_from(older, newer, few) == (rfc6962.mth(LEAVES[:older]), rfc6962.mth(LEAVES[:newer]))


def test_tiles_that_are_not_of_one_tree_are_found_out():
    """The root alone would not tell: the old edge is below what the newer root is made from."""
    made = tiles(70_000)
    few = {tile: made[tile] for tile in consistency_tiles(300, 70_000)}
    edge = Tile(level=0, index=1)
    few[edge] = LEAVES[0] + few[edge][32:]

    with pytest.raises(TilesDisagree) as refused:
        roots_from(300, 70_000, few)

    assert refused.value.context == {"tile": "tile/0/001", "first": 257, "last": 512}

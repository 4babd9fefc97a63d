"""Programs that nobody here wrote accept our roots and proofs, and refuse each of them with a bit changed."""

from collections.abc import Sequence
from functools import cache
from typing import Final

import pytest
from metamorphic_log import VerifyError, verify_consistency, verify_inclusion
from pymerkle import InmemoryTree

from ledger.sealing.tree import consistency_proof, inclusion_proof, leaf_hash, root, tiles_of
from tests.sealing.definition import entry, hashes_of

SIZES: Final = (1, 2, 3, 7, 8, 100, 255, 256, 257, 512, 513, 1_000)
PAIRS: Final = [(old, new) for old in SIZES for new in SIZES if old < new]


@cache
def tiles(size: int) -> dict:
    return {tile: hashes_of(tile) for tile in tiles_of(size)}


def places(size: int) -> list[int]:
    return sorted({0, size // 3, size // 2, size - 1})


def mutations(proof: Sequence[bytes]) -> list[list[bytes]]:
    """A proof with one hash changed, missing, twice or more than there are."""
    found = [[*proof, bytes(32)]]
    for at, taken in enumerate(proof):
        before, behind = list(proof[:at]), list(proof[at + 1 :])
        changed = bytes([taken[0] ^ 1]) + taken[1:]
        found += [[*before, changed, *behind], [*before, *behind], [*before, taken, taken, *behind]]
    return found


def is_included(index: int, size: int, leaf: bytes, proof: list[bytes], whole: bytes) -> bool:
    try:
        verify_inclusion(index, size, leaf, proof, whole)
    except VerifyError:
        return False
    return True


def is_continued(old: int, new: int, proof: list[bytes], before: bytes, after: bytes) -> bool:
    try:
        verify_consistency(old, new, proof, before, after)
    except VerifyError:
        return False
    return True


@pytest.mark.parametrize("size", SIZES)
def test_another_program_computes_the_same_root(size: int) -> None:
    theirs = InmemoryTree(algorithm="sha256")
    for index in range(size):
        theirs.append_entry(entry(index))

    assert root(size, tiles(size)) == theirs.get_root()


@pytest.mark.parametrize("size", SIZES)
def test_a_referee_accepts_our_inclusion_proofs_and_no_other(size: int) -> None:
    whole = root(size, tiles(size))
    for index in places(size):
        leaf, proof = leaf_hash(entry(index)), list(inclusion_proof(index, size, tiles(size)))

        assert is_included(index, size, leaf, proof, whole)
        assert not is_included(index, size, leaf_hash(b"another"), proof, whole)
        assert not is_included(index, size, leaf, proof, bytes(32))
        assert not any(is_included(index, size, leaf, wrong, whole) for wrong in mutations(proof))


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_referee_accepts_our_consistency_proofs_and_no_other(old: int, new: int) -> None:
    before, after = root(old, tiles(old)), root(new, tiles(new))
    proof = list(consistency_proof(old, new, tiles(new)))

    assert is_continued(old, new, proof, before, after)
    assert not is_continued(old, new, proof, bytes(32), after)
    assert not is_continued(old, new, proof, before, bytes(32))
    assert not any(is_continued(old, new, wrong, before, after) for wrong in mutations(proof))

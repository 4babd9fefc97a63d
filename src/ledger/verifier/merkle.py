"""The tree of RFC 6962, section 2.1, read from its definition; and the checks of proofs of RFC 9162, section 2.1."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from ledger.verifier.verdict import Tampered

HASH_BYTES: Final = 32
LEAF: Final = b"\x00"
NODE: Final = b"\x01"
EMPTY_ROOT: Final = sha256(b"").digest()


class ProofWrong(Tampered):
    """The proof does not lead from the entry to the root that was signed."""

    code = "proof-wrong"


def leaf_hash(entry: bytes) -> bytes:
    """Hash one entry of the log."""
    return sha256(LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees."""
    return sha256(NODE + left + right).digest()


def root_of(row: bytes) -> bytes:
    """Hash a row of neighbouring subtrees, given as their hashes one behind the other, up to one hash.

    All are of one size, a power of two; the last alone may be smaller. Without any: the root of the empty tree.
    """
    hashes = [row[at : at + HASH_BYTES] for at in range(0, len(row), HASH_BYTES)]
    if not hashes:
        return EMPTY_ROOT
    while len(hashes) > 1:
        # What has no neighbour goes up as it is: the tree splits at the largest power of two.
        paired = [
            sha256(NODE + left + right).digest()
            for left, right in zip(hashes[0::2], hashes[1::2], strict=False)
        ]
        if len(hashes) % 2:
            paired.append(hashes[-1])
        hashes = paired
    return hashes[0]


def check_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf at ``index`` is in the tree of ``size`` leaves with this ``root``.

    Raises:
        ProofWrong: it is not, or the proof has too few or too many hashes.
    """
    if not 0 <= index < size:
        raise ProofWrong(leaf_index=index, size=size)
    at, last, reached = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofWrong(leaf_index=index, size=size)
        if at % 2 or at == last:
            reached = node_hash(sibling, reached)
            while at % 2 == 0 and at:  # climbs where there was no neighbour to the right
                at, last = at >> 1, last >> 1
        else:
            reached = node_hash(reached, sibling)
        at, last = at >> 1, last >> 1
    if last or reached != root:
        raise ProofWrong(leaf_index=index, size=size)


def is_consistent(
    *, older: int, newer: int, older_root: bytes, newer_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Tell whether the tree of ``newer`` leaves begins with the one of ``older`` leaves, 0 < older <= newer."""
    if not 0 < older <= newer:
        return False
    if older == newer:
        return not proof and older_root == newer_root
    # A power of two is a subtree of the newer tree: the proof does not repeat its hash.
    path = [older_root, *proof] if older & (older - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = older - 1, newer - 1
    while at % 2:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at % 2 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old == older_root and new == newer_root

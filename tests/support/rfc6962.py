"""The tree of RFC 6962, section 2.1, as its definition says it: recursively, on lists, slowly."""

import hashlib
from collections.abc import Sequence


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """The largest power of two smaller than ``size``."""
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def mth(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node(mth(leaves[:k]), mth(leaves[k:]))


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]), section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*path(index, leaves[:k]), mth(leaves[k:])]
    return [*path(index - k, leaves[k:]), mth(leaves[:k])]


def proof(older: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n]), section 2.1.2."""
    return [] if older == len(leaves) else _subproof(older, leaves, is_whole=True)


def _subproof(older: int, leaves: Sequence[bytes], *, is_whole: bool) -> list[bytes]:
    if older == len(leaves):
        return [] if is_whole else [mth(leaves)]
    k = split(len(leaves))
    if older <= k:
        return [*_subproof(older, leaves[:k], is_whole=is_whole), mth(leaves[k:])]
    return [*_subproof(older - k, leaves[k:], is_whole=False), mth(leaves[:k])]

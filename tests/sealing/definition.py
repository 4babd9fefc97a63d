"""The tree as RFC 6962 defines it: recursively, from the leaves, without tiles. What our quick way is compared with."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import Final

from ledger.sealing.tree import Tile

ENTRIES: Final = 70_000
"""As many as give a tree three levels of tiles, with partial ones on each."""


def entry(index: int) -> bytes:
    return b"entry %d" % index


def mth(begin: int, end: int) -> bytes:
    """MTH(D[begin:end]) (section 2.1)."""
    if begin == end:
        return sha256(b"").digest()
    return _perfect(begin, end) if _is_perfect(begin, end) else _mth(begin, end)


def _is_perfect(begin: int, end: int) -> bool:
    leaves = end - begin
    return leaves & (leaves - 1) == 0 and begin % leaves == 0


@cache
def _perfect(begin: int, end: int) -> bytes:
    return _mth(begin, end)


def _mth(begin: int, end: int) -> bytes:
    if end - begin == 1:
        return sha256(b"\x00" + entry(begin)).digest()
    middle = begin + split(end - begin)
    return sha256(b"\x01" + mth(begin, middle) + mth(middle, end)).digest()


def split(leaves: int) -> int:
    """The largest power of two smaller than ``leaves``."""
    power = 1
    while power * 2 < leaves:
        power *= 2
    return power


def path(index: int, begin: int, end: int) -> list[bytes]:
    """PATH(index, D[begin:end]) (section 2.1.1)."""
    if end - begin == 1:
        return []
    middle = split(end - begin)
    if index < middle:
        return [*path(index, begin, begin + middle), mth(begin + middle, end)]
    return [*path(index - middle, begin + middle, end), mth(begin, begin + middle)]


def proof(old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]) (section 2.1.2)."""
    return _subproof(old, 0, new, known=True)


def _subproof(old: int, begin: int, end: int, *, known: bool) -> list[bytes]:
    if old == end - begin:
        return [] if known else [mth(begin, end)]
    middle = split(end - begin)
    if old <= middle:
        return [*_subproof(old, begin, begin + middle, known=known), mth(begin + middle, end)]
    return [*_subproof(old - middle, begin + middle, end, known=False), mth(begin, begin + middle)]


def hashes_of(tile: Tile) -> bytes:
    """A tile as C2SP tlog-tiles defines it: the roots of its hashes' leaves."""
    leaves = 256**tile.level
    first = tile.index * 256
    return b"".join(mth(i * leaves, (i + 1) * leaves) for i in range(first, first + tile.width))


def root_from_inclusion(index: int, size: int, leaf: bytes, given: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2); ``None``: it has not the right length."""
    at, last, root = index, size - 1, leaf
    for sibling in given:
        if last == 0:
            return None
        if at % 2 or at == last:
            root = sha256(b"\x01" + sibling + root).digest()
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            root = sha256(b"\x01" + root + sibling).digest()
        at, last = at >> 1, last >> 1
    return root if last == 0 else None

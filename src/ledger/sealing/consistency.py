"""Whether one tree begins with another: the other side of ``tree.consistency_proof`` (RFC 9162, section 2.1.4.2)."""

from collections.abc import Sequence

from ledger.sealing.tree import NO_LEAVES, node_hash


def is_consistent(proof: Sequence[bytes], *, old: int, old_root: bytes, new: int, new_root: bytes) -> bool:
    """Say whether ``proof`` shows that the tree of ``new`` leaves begins with that of ``old``."""
    if old == new:
        return not proof and old_root == new_root
    if not old:
        return not proof and old_root == NO_LEAVES
    if old > new:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    inner, last = old - 1, new - 1
    while inner & 1:
        inner, last = inner >> 1, last >> 1
    of_old = of_new = path[0]
    for sibling in path[1:]:
        if not last:
            return False
        if inner & 1 or inner == last:
            of_old, of_new = node_hash(sibling, of_old), node_hash(sibling, of_new)
            while not inner & 1 and inner:
                inner, last = inner >> 1, last >> 1
        else:
            of_new = node_hash(of_new, sibling)
        inner, last = inner >> 1, last >> 1
    return not last and of_old == old_root and of_new == new_root

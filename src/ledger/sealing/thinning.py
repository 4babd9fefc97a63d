"""Which checkpoints of a while may go, where a few of them tell all that anybody needs to know of it."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from ledger.domain.errors import Invalid
from ledger.sealing.notes import Note

Signed: TypeAlias = frozenset[tuple[str, bytes]]
"""By whom a checkpoint is signed: names and ids of keys."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint that may have to go: how many cosigned it, and whether it stays whatever the others are."""

    size: int
    signed: Signed
    cosigned: int
    is_held: bool


def signed_by(note: str) -> Signed:
    """Name the keys below a checkpoint; none: it is no note, so somebody has written to the rows."""
    try:
        return frozenset((one.name, one.key_id) for one in Note.parse(note).signatures)
    except Invalid:
        return frozenset()


def dispensable(
    several: Sequence[Candidate], *, before: Signed | None = None, after: Signed | None = None
) -> list[int]:
    """Choose who goes of the checkpoints of one while, the smallest first; what is left is left the next time, too.

    The last one stays, and the one that most have cosigned, and where the keys change the last of the old and the first
    of the new: whoever trusts the old one follows there. ``before`` and ``after`` signed the neighbours of this while
    (``None``: there is none).
    """
    if not several:
        return []
    last = several[-1].size
    best = max(several, key=lambda one: (one.cosigned, one.size)).size
    signed = [before, *(one.signed for one in several), after]
    return [
        one.size
        for at, one in enumerate(several, start=1)
        if not (one.is_held or one.size in {last, best} or _is_edge(signed, at))
    ]


def _is_edge(signed: Sequence[Signed | None], at: int) -> bool:
    around = (signed[at - 1], signed[at + 1])
    return any(neighbour is not None and neighbour != signed[at] for neighbour in around)

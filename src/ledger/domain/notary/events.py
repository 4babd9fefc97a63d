"""What people do to the notary: one stream, itself under the checkpoints that it tells of.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).

Only the operator of the machine does it. Keys are public ones, as auditors are given them; roots are in lower-case
hexadecimal.
"""

from typing import TypeAlias

from ledger.domain.event import Event


class NotaryKeyRotated(Event, frozen=True, kw_only=True, tag="notary-key-rotated"):
    """Another key signs from now on; the next checkpoint has the signatures of both."""

    reason: str
    vkey: str
    previous: str


class NotaryAdopted(Event, frozen=True, kw_only=True, tag="notary-adopted"):
    """What the database held was taken as the log, although the notary had halted over it.

    ``cause`` is the code of the halt; ``size`` and ``root`` are those of the tree that was adopted. ``guard_size`` and
    ``guard_root`` are what the guard knew (``None``: nothing that could be read). ``vkey`` signs from then on.
    """

    reason: str
    cause: str
    origin: str
    vkey: str
    size: int
    root: str
    guard_size: int | None
    guard_root: str | None


NotaryEvent: TypeAlias = NotaryKeyRotated | NotaryAdopted

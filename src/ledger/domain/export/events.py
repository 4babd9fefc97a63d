"""What somebody takes out of the ledger: one stream for each time.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).

``by`` is ``None`` for the operator of the machine.
"""

from enum import StrEnum
from typing import TypeAlias

from ledger.domain.event import Event
from ledger.domain.ids import DecisionId, PersonId, Position


class Tier(StrEnum):
    """How much of each event goes out; each holds all that the one before it does."""

    ENVELOPE = "envelope"
    PAYLOAD = "payload"
    DISCLOSED = "disclosed"


class LedgerExported(Event, frozen=True, kw_only=True, tag="ledger-exported"):
    """The positions from ``first`` to ``last`` were asked for, of a tree of ``size`` leaves.

    ``tier`` says what of them: the envelopes; the payloads too; and who the people in them are, with the keys of
    what is sealed.
    """

    by: PersonId | None
    tier: Tier
    first: Position
    last: Position
    size: int


class DecisionExported(Event, frozen=True, kw_only=True, tag="decision-exported"):
    """All about one decision was asked for, names and files included, as it was after its event at ``last``."""

    by: PersonId | None
    decision_id: DecisionId
    last: Position


ExportEvent: TypeAlias = LedgerExported | DecisionExported

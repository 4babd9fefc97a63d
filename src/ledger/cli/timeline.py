"""The history of one decision in sentences, from its own events."""

from collections.abc import Mapping

import msgspec

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.telling import what, who
from ledger.domain.event import Utc
from ledger.domain.ids import DecisionId, PersonId, Position
from ledger.identity.people import names_of
from ledger.store.ledger import Ledger
from ledger.store.streams import read_stream, recorded

NOBODY = "nobody (a timer)"
ERASED = "somebody erased"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event: where it lies in the ledger, when it was recorded, who did what, and its leaf hash."""

    position: Position
    recorded_at: Utc
    who: str
    what: str
    leaf: str


async def timeline(ledger: Ledger, decision: DecisionId) -> list[Entry]:
    """Read one decision's events from the log, with user names for the people in them; none: it is unknown."""
    stream = await read_stream(ledger, ledger.decision_stream(decision))
    events = [recorded(stored, DECISION.event_types) for stored in stream.events]
    people = {person for item in events if (person := who(item.event)) is not None}
    names = await names_of(ledger.pool, ledger.ledger_id, sorted(people))
    return [
        Entry(
            position=item.position,
            recorded_at=item.recorded_at,
            who=_name(who(item.event), names),
            what=what(item.event),
            leaf=item.leaf.hex(),
        )
        for item in events
    ]


def _name(person: PersonId | None, names: Mapping[PersonId, str]) -> str:
    return NOBODY if person is None else names.get(person, ERASED)

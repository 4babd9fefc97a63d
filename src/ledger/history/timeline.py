"""The history of one decision in sentences, from its own events."""

from collections.abc import Mapping
from typing import Final

import msgspec

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.telling import what, who
from ledger.domain.event import Utc, type_name
from ledger.domain.ids import DecisionId, EventId, PersonId, Position, Version
from ledger.identity.people import names_of
from ledger.store.ledger import Ledger
from ledger.store.streams import read_stream, recorded

NOBODY: Final = "nobody (a timer)"
ERASED: Final = "somebody erased"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event: where it lies in the ledger, when it was recorded, who did what, and its leaf hash.

    ``at`` is when it happened by the clock of whoever wrote it; for imported records that is long before they were
    recorded. ``person`` is ``None`` where no person did it.
    """

    position: Position
    version: Version
    event_id: EventId
    type: str
    at: Utc
    recorded_at: Utc
    person: PersonId | None
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
            version=item.version,
            event_id=item.event_id,
            type=type_name(type(item.event)),
            at=item.event.at,
            recorded_at=item.recorded_at,
            person=who(item.event),
            who=_name(who(item.event), names),
            what=what(item.event),
            leaf=item.leaf.hex(),
        )
        for item in events
    ]


def _name(person: PersonId | None, names: Mapping[PersonId, str]) -> str:
    return NOBODY if person is None else names.get(person, ERASED)

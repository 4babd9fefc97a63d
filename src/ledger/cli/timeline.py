"""The history of one decision in sentences, from its own events."""

from collections.abc import Mapping, Sequence
from typing import assert_never

import msgspec

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    ClaimReleased,
    ClaimRenewed,
    DecisionClaimed,
    DecisionEscalated,
    DecisionEvent,
    DecisionResolved,
    DecisionSubmitted,
    VoteCast,
)
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
    people = {person for item in events if (person := _who(item.event)) is not None}
    names = await names_of(ledger.pool, ledger.ledger_id, sorted(people))
    return [
        Entry(
            position=item.position,
            recorded_at=item.recorded_at,
            who=_name(_who(item.event), names),
            what=_what(item.event),
            leaf=item.leaf.hex(),
        )
        for item in events
    ]


def _name(person: PersonId | None, names: Mapping[PersonId, str]) -> str:
    return NOBODY if person is None else names.get(person, ERASED)


def _who(event: DecisionEvent) -> PersonId | None:
    match event:
        case DecisionSubmitted():
            return event.submitted_by
        case DecisionClaimed() | ClaimRenewed():
            return event.holder
        case ClaimReleased() | DecisionEscalated():
            return event.by
        case VoteCast():
            return event.voter
        case DecisionResolved():
            return event.decided_by
        case _:
            assert_never(event)


def _what(event: DecisionEvent) -> str:
    match event:
        case DecisionSubmitted():
            said = f"submitted it, {event.priority.value}, {event.item.confidence:g} % sure"
        case DecisionClaimed():
            said = f"took it until {event.expires_at:%H:%M}"
        case ClaimRenewed():
            said = f"keeps it until {event.expires_at:%H:%M}"
        case ClaimReleased():
            said = f"gave it back ({event.cause.value.replace('_', ' ')})"
        case VoteCast():
            said = f"voted to {event.choice.value}{_actions(event.approved_actions)}{_quoted(event.notes)}"
        case DecisionResolved():
            said = f"settled it: {event.outcome.value}"
        case DecisionEscalated():
            said = f"moved it up to level {event.level}{_quoted(event.reason)}"
        case _:
            assert_never(event)
    return said


def _actions(actions: Sequence[str]) -> str:
    return f" {', '.join(actions)}" if actions else ""


def _quoted(text: str) -> str:
    return f": “{text}”" if text else ""

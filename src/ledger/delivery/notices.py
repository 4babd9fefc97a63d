"""Notices: what the outside is told about decisions, the same by event stream, WebSocket and webhook.

Theory. A notice is made of one event of a decision and of what was submitted, which the decision's first event says.
Its type is the name the event is stored by, in public form, and so as stable as the log. Free text stays out: who
wants notes, comments or the item fetches them, and is then asked who they are. Events of other streams are nobody's
business, and neither is who submitted it, which a notice carries for filtering alone. Machines are told less than
people: not who works on what they submitted and who votes how, only who answered.

An event that this release cannot read is told all the same, by what the log says of every event: nobody who follows
must miss one. Only where the submission itself is unreadable is there nothing that could be told.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, get_args
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace

from ledger.domain.decision.events import (
    ClaimReleased,
    ClaimRenewed,
    DecisionAssigned,
    DecisionClaimed,
    DecisionEscalated,
    DecisionEvent,
    DecisionReprioritised,
    DecisionSubmitted,
    HandoverOffered,
    Milestone,
    MilestonePassed,
    Priority,
    VoteCast,
    VotesInvalidated,
)
from ledger.domain.decision.evolving import Answering, answer_in
from ledger.domain.decision.item import ThreatAnalysis, kind_of
from ledger.domain.decision.state import Status
from ledger.domain.errors import Corrupt
from ledger.domain.event import Utc, type_name
from ledger.domain.ids import DecisionId, PersonId, Position, StreamName
from ledger.identity.people import ERASED, names_of
from ledger.store.history import PAGE, read_page
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.store.streams import Stored, recorded, stored_in
from ledger.tracing import Parent

log = structlog.get_logger()

EVENT_TYPES: Final[tuple[type[DecisionEvent], ...]] = get_args(DecisionEvent)
TYPES: Final = tuple(type_name(event_type) for event_type in EVENT_TYPES)
CHANGES_OF_PRIORITY: Final = (type_name(DecisionReprioritised),)
"""Stored types after which a decision has another priority than it was submitted with."""

# $1 ledger, $2 streams, $3 types of events that are wanted beside each stream's first
SUBJECTS: Final = """
select e.position, e.stream, e.version, e.type, e.schema_version, e.event_id, e.recorded_at, e.actor,
       e.command_id, e.leaf_hash, e.payload
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, leaf_hash,
           payload
    from ledger.events
    where ledger_id = $1 and stream = asked.stream and (version = 1 or type = any($3))
    order by version
    offset 0
) e
order by e.stream, e.version
"""


class AlertType(StrEnum):
    """What an analyst may be alerted to; wire values."""

    NEW_DECISION = "new_decision"
    CRITICAL_THREAT = "critical_threat"
    APT_DETECTED = "apt_detected"
    HONEYTOKEN_TRIGGERED = "honeytoken_triggered"
    DECISION_REQUIRED = "decision_required"
    SYSTEM_ALERT = "system_alert"
    INCIDENT_ESCALATED = "incident_escalated"


THREATS: Final = {"apt": (AlertType.APT_DETECTED,), "honeytoken": (AlertType.HONEYTOKEN_TRIGGERED,)}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one event; names and values are public.

    ``status`` is how the decision stands after it, ``None`` where the event does not say; ``by`` the user name of
    whoever did it, ``None`` where no person did.
    """

    position: Position
    type: str
    analysis_id: DecisionId
    kind: str
    status: Status | None
    priority: Priority
    at: Utc
    by: str | None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What is ``told``, and what is needed to tell it to the right people; ``submitted_by`` is never told.

    ``parent`` is the span that telling it is a part of.
    """

    told: Told
    parent: Parent
    stream: StreamName
    submitted_by: PersonId
    alerts: tuple[AlertType, ...]


class NoticePage(msgspec.Struct, frozen=True, kw_only=True):
    """Notices in order; go on ``after`` this position, unless it is the last page."""

    notices: tuple[Notice, ...]
    after: Position
    is_last: bool


def for_submitter(notices: Iterable[Notice], submitted_by: PersonId) -> Iterator[Notice]:
    """Give what a machine is told of what it submitted: nothing of leases, votes and assignments, few names."""
    for notice in notices:
        if notice.submitted_by != submitted_by or notice.told.type in FOR_PEOPLE:
            continue
        is_answer = notice.told.type in ANSWERS
        yield notice if is_answer else replace(notice, told=replace(notice.told, by=None))


async def read_notices(
    ledger: Ledger, *, after: Position, submitted_by: PersonId | None = None, limit: int = PAGE
) -> NoticePage:
    """Look through the next positions behind ``after``, at most ``limit``, for what is to be told.

    ``submitted_by`` leaves out what this machine is not told (``for_submitter``). To resume, go on after the position of the last notice that
    was dealt with, or after the page's own.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    page = await read_page(ledger, after=after, types=TYPES, limit=limit)
    told = await _notices(ledger, page.events) if page.events else ()
    return NoticePage(
        notices=told if submitted_by is None else tuple(for_submitter(told, submitted_by)),
        after=page.after,
        is_last=page.is_last,
    )


def public_type(stored_type: str) -> str:
    """Name an event type as the outside knows it: ``decision-submitted`` is told as ``decision.submitted``."""
    return f"decision.{stored_type.removeprefix('decision-').replace('-', '_')}"


FOR_PEOPLE: Final = frozenset(
    public_type(type_name(event_type))
    for event_type in (
        DecisionClaimed,
        ClaimRenewed,
        ClaimReleased,
        HandoverOffered,
        DecisionAssigned,
        VoteCast,
        VotesInvalidated,
    )
)
"""What machines are not told of."""
ANSWERS: Final = frozenset(public_type(type_name(event_type)) for event_type in get_args(Answering))
"""What machines are told by whom, as the answer says it too."""


async def _notices(ledger: Ledger, events: Sequence[Stored]) -> tuple[Notice, ...]:
    subjects = await _subjects(ledger, sorted({stored.stream for stored in events}))
    actors = {person for stored in events if (person := _person(stored)) is not None}
    names = await names_of(ledger.pool, ledger.ledger_id, sorted(actors)) if actors else {}
    return tuple(_told(events, subjects, names))


def _told(
    events: Sequence[Stored], subjects: Mapping[StreamName, "_Subject"], names: Mapping[PersonId, str]
) -> Iterator[Notice]:
    for stored in events:
        subject = subjects.get(stored.stream)
        if subject is None:
            log.error("notices.submission.unreadable", position=stored.position)
            continue
        person, event = _person(stored), _event(stored)
        told = Told(
            position=stored.position,
            type=public_type(stored.type),
            analysis_id=subject.submission.decision_id,
            kind=_kind(subject.submission),
            status=None if event is None else _status_after(event),
            priority=subject.priority_at(stored.position),
            at=stored.recorded_at if event is None else event.at,
            by=None if person is None else names.get(person, ERASED),
        )
        yield Notice(
            told=told,
            parent=stored.parent(),
            stream=stored.stream,
            submitted_by=subject.submission.submitted_by,
            alerts=() if event is None else tuple(_alerts(event)),
        )


class _Subject(msgspec.Struct, frozen=True):
    """What a decision is about, and every priority it has had, each with the position from which it had it."""

    submission: DecisionSubmitted
    priorities: tuple[tuple[Position, Priority], ...]

    def priority_at(self, position: Position) -> Priority:
        return [priority for since, priority in self.priorities if since <= position][-1]


async def _subjects(ledger: Ledger, streams: Sequence[StreamName]) -> dict[StreamName, _Subject]:
    async with reading(ledger.pool) as conn:
        rows = await conn.fetch(SUBJECTS, ledger.ledger_id, list(streams), CHANGES_OF_PRIORITY)
    found: defaultdict[StreamName, list[tuple[Position, DecisionEvent]]] = defaultdict(list)
    for stored in map(stored_in, rows):
        event = _event(stored)
        if event is not None:
            found[stored.stream].append((stored.position, event))
    return {
        stream: _Subject(first, tuple(_priorities(events)))
        for stream, events in found.items()
        if isinstance(first := events[0][1], DecisionSubmitted)
    }


def _priorities(events: Sequence[tuple[Position, DecisionEvent]]) -> Iterator[tuple[Position, Priority]]:
    for position, event in events:
        if isinstance(event, DecisionSubmitted | DecisionReprioritised):
            yield position, event.priority


def _kind(submission: DecisionSubmitted) -> str:
    return kind_of(submission.item)


def _event(stored: Stored) -> DecisionEvent | None:
    try:
        return recorded(stored, EVENT_TYPES).event
    except Corrupt as unreadable:
        log.warning("notices.event.unreadable", position=stored.position, code=unreadable.code)
        return None


def _person(stored: Stored) -> PersonId | None:
    """Say who did it; the service itself and whoever operates it are nobody."""
    try:
        return PersonId(UUID(stored.actor))
    except ValueError:
        return None


def _status_after(event: DecisionEvent) -> Status | None:
    """Say how a decision stands after an event that alone decides that."""
    match event:
        case DecisionSubmitted():
            return Status.PENDING
        case _ if isinstance(event, Answering):
            return answer_in(event).status
        case _:
            return None


def _alerts(event: DecisionEvent) -> Iterator[AlertType]:
    """Say what analysts are alerted to by an event; most are no alarm."""
    match event:
        case DecisionSubmitted():
            yield AlertType.NEW_DECISION
            if event.priority is Priority.CRITICAL:
                yield AlertType.CRITICAL_THREAT
            if isinstance(event.item, ThreatAnalysis):
                yield from THREATS.get(event.item.threat_level.strip().lower(), ())
        case DecisionEscalated():
            yield AlertType.INCIDENT_ESCALATED
        case MilestonePassed(milestone=Milestone.HALF_TIME):
            yield AlertType.DECISION_REQUIRED
        case _:
            return

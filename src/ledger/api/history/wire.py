"""The history in the words of the wire: events as they are stored, as they read today, and who is meant."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from ledger.domain.errors import Corrupt
from ledger.domain.event import Utc
from ledger.domain.ids import CommandId, DecisionId, EventId, PersonId, Position, StreamName, Version
from ledger.history.naming import persons_of
from ledger.history.timeline import Entry
from ledger.identity.people import ERASED
from ledger.store.codec import encode, read
from ledger.store.envelope import timestamp
from ledger.store.event_types import EVENT_TYPES
from ledger.store.streams import Stored


class Form(StrEnum):
    """As what events are shown."""

    STORED = "stored"
    CURRENT = "current"
    BOTH = "both"


class CurrentForm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event as this release reads it; ``unreadable`` is the code of why it cannot.

    ``upcasters`` are the steps from what is stored to it, in their order; none where it is stored in today's version.
    """

    schema_version: int | None = None
    upcasters: tuple[str, ...] = ()
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    unreadable: str | None = None


class EventTold(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the ledger.

    ``payload`` is the JSON that is stored, ``envelope`` the very text that is hashed: ``leaf_hash`` is
    SHA-256(0x00 ‖ envelope), in hexadecimal. ``actor`` is a person's id, ``system``, ``operator`` or ``imported``.
    ``people`` stands in the lines of files: the user names of the persons in it. A payload that is no JSON any more,
    because somebody changed the stored bytes, is shown as text.
    """

    position: Position
    event_id: EventId
    stream: StreamName
    version: Version
    type: str
    schema_version: int
    recorded_at: str
    actor: str
    payload: msgspec.Raw | msgspec.UnsetType
    envelope: str
    leaf_hash: str
    command_id: CommandId
    causation_id: EventId | None
    correlation_id: str
    current: CurrentForm | msgspec.UnsetType = msgspec.UNSET
    people: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events; the next page is the same call with ``after`` = ``next`` (``null``: there is nothing more).

    A page may hold few events, or none, and yet have a next one: it has looked through as much as one may. ``head`` is
    the last position of the ledger when the page was made. ``people`` has the user names of the persons in the events;
    of somebody who was erased it says so.
    """

    events: tuple[EventTold, ...]
    next: Position | None
    head: Position
    people: dict[str, str]


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a decision: who did what, in words.

    ``at`` is when it happened, ``recorded_at`` when the ledger wrote it down; ``proof`` is the address of the proof that
    it stands there unchanged. ``person`` is ``null`` where a timer did it.
    """

    version: Version
    position: Position
    event_id: EventId
    type: str
    at: Utc
    recorded_at: Utc
    person: PersonId | None
    who: str
    what: str
    leaf_hash: str
    proof: str


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that happened to a decision, in order."""

    decision_id: DecisionId
    stream: StreamName
    version: Version
    entries: tuple[TimelineEntry, ...]


def people_told(persons: Iterable[PersonId], names: Mapping[PersonId, str]) -> dict[str, str]:
    """Write user names by person id, in the order of the ids."""
    return {str(person): names.get(person, ERASED) for person in sorted(persons)}


def told(event: Stored, form: Form) -> EventTold:
    """Write an event."""
    return EventTold(
        position=event.position,
        event_id=event.event_id,
        stream=event.stream,
        version=event.version,
        type=event.type,
        schema_version=event.schema_version,
        recorded_at=timestamp(event.recorded_at),
        actor=event.actor,
        payload=msgspec.UNSET if form is Form.CURRENT else _as_stored(event.payload or b""),
        envelope=(event.envelope or b"").decode(errors="replace"),
        leaf_hash=event.leaf.hex(),
        command_id=event.command_id,
        causation_id=event.causation_id,
        correlation_id=event.correlation_id,
        current=msgspec.UNSET if form is Form.STORED else _current(event),
    )


def line(event: Stored, form: Form, names: Mapping[PersonId, str]) -> EventTold:
    """Write an event as a line of a file: with the people in it."""
    return replace(told(event, form), people=people_told(persons_of(event), names))


def _as_stored(payload: bytes) -> msgspec.Raw:
    try:
        return msgspec.json.decode(payload, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.Raw(msgspec.json.encode(payload.decode(errors="replace")))


def _current(event: Stored) -> CurrentForm:
    try:
        reading = read(EVENT_TYPES, event.type, event.schema_version, event.payload or b"")
    except Corrupt as unreadable:
        return CurrentForm(unreadable=unreadable.code)
    return CurrentForm(
        schema_version=type(reading.event).schema_version,
        upcasters=reading.upcasters,
        payload=msgspec.Raw(encode(reading.event)),
    )


def entry_told(entry: Entry) -> TimelineEntry:
    """Write an entry of a timeline."""
    return TimelineEntry(
        version=entry.version,
        position=entry.position,
        event_id=entry.event_id,
        type=entry.type,
        at=entry.at,
        recorded_at=entry.recorded_at,
        person=entry.person,
        who=entry.who,
        what=entry.what,
        leaf_hash=entry.leaf,
        proof=proof_of(entry.event_id),
    )


def proof_of(event: EventId) -> str:
    """Give the address of the proof that an event stands in the ledger."""
    return f"/api/audit/events/{event}/proof"

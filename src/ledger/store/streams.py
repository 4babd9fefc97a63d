"""The only doors to the log: append to a stream, read a stream, read the whole log in order."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Generic, TypeVar
from uuid import UUID, uuid5

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from ledger.domain.errors import Corrupt, VersionConflict
from ledger.domain.event import Event, type_name
from ledger.domain.ids import NO_EVENTS, START, CommandId, EventId, Position, StreamName, Version
from ledger.store.appends import APPEND_IN, Append, Appended, Landed, NewEvent, send_one, stamp
from ledger.store.codec import decode, encode
from ledger.store.envelope import NO_LEAF, Provenance
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection, ImpossibleTime, reading
from ledger.store.snapshots import Snapshot, fingerprint_of
from ledger.tracing import Appending, Parent, span_id_of

E = TypeVar("E", bound=Event)

# $1 ledger, $2 streams
READ_STREAMS: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id,
       envelope, leaf_hash, payload
from ledger.events
where ledger_id = $1 and stream = any($2)
order by stream, version
"""
# $1 ledger, $2 stream, $3 up to this version
READ_UNTIL: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, leaf_hash, payload
from ledger.events
where ledger_id = $1 and stream = $2 and version <= $3
order by version
"""
# $1 ledger, $2 stream
READ_FIRST_PAYLOAD: Final = """
select payload from ledger.events where ledger_id = $1 and stream = $2 and version = 1
"""
# The subqueries are fenced by "offset 0": a plan made while the tables are still empty would else join by ledger
# alone, and read the whole log for every command until somebody analyzes them.
# $1 ledger, arrays: $2 streams, $3 what their snapshots must have been made by
LOAD_STREAMS: Final = """
select asked.stream as name, s.version as snapshot_version, s.position as snapshot_position,
       s.leaf_hash as snapshot_leaf,
       case when e.version is null or e.version = s.version + 1 then s.state end as state,
       e.position, e.stream, e.version, e.type, e.schema_version, e.event_id, e.recorded_at, e.actor,
       e.command_id, e.envelope, e.leaf_hash, e.payload
from unnest($2::text[], $3::text[]) as asked(stream, fingerprint)
left join lateral (
    select version, position, leaf_hash, state from work.snapshots
    where ledger_id = $1 and stream = asked.stream and fingerprint = asked.fingerprint
    offset 0
) s on true
left join lateral (
    select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, envelope,
           leaf_hash, payload
    from ledger.events
    where ledger_id = $1 and stream = asked.stream and version > coalesce(s.version, 0)
    order by version
    offset 0
) e on true
order by asked.stream, e.version
"""
# $1 ledger, $2 first event id of a command
READ_COMMAND: Final = """
select e.position, e.stream, e.version, e.type, e.schema_version, e.event_id, e.recorded_at, e.actor,
       e.command_id, e.envelope, e.leaf_hash, e.payload
from (
    select stream, version, command_id from ledger.events
    where ledger_id = $1 and event_id >= $2 and event_id <= $2
    order by event_id
    limit 1
) first
cross join lateral (
    select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, envelope,
           leaf_hash, payload
    from ledger.events
    where ledger_id = $1 and stream = first.stream and version >= first.version and command_id = first.command_id
    order by version
    offset 0
) e
order by e.version
"""
MAX_LOG_BYTES: Final = 16 * 1024 * 1024
# $1 ledger, $2 after this position, $3 types whose payload is wanted, $4 at most this many positions,
# $5 none behind this many bytes
READ_LOG: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, correlation_id,
       leaf_hash, payload
from (
    select *, sum(octet_length(payload)) over (
        order by position rows between unbounded preceding and 1 preceding) as bytes_before
    from (
        select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id,
               correlation_id, leaf_hash, case when type = any($3) then payload end as payload
        from ledger.events
        where ledger_id = $1 and position > $2
        order by position
        limit $4
    ) page
) sized
where coalesce(bytes_before, 0) < $5
order by position
"""


class Recorded(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """An event with its place in the log; ``leaf`` is its leaf hash."""

    position: Position
    stream: StreamName
    version: Version
    event_id: EventId
    command_id: CommandId
    recorded_at: datetime
    actor: str
    leaf: bytes
    event: E


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it lies in the log, not decoded.

    ``payload`` is ``None`` where it was not asked for; ``envelope`` and ``causation_id`` are there
    where the history is read, ``correlation_id`` there and where the log is.
    """

    position: Position
    stream: StreamName
    version: Version
    type: str
    schema_version: int
    event_id: EventId
    command_id: CommandId
    recorded_at: datetime
    actor: str
    leaf: bytes
    payload: bytes | None
    envelope: bytes | None = None
    causation_id: EventId | None = None
    correlation_id: str = ""

    def parent(self) -> Parent:
        """Name the span of its append, that what follows from it is a part of."""
        return Parent(self.correlation_id, span_id_of(self.command_id))


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's events in order, not decoded, or those after its ``snapshot``; an empty one is at version 0."""

    name: StreamName
    events: tuple[Stored, ...]
    snapshot: Snapshot | None = None

    def version(self) -> Version:
        """Count its events."""
        last = self._last()
        return last.version if last else NO_EVENTS

    def position(self) -> Position:
        """Give its last event's position; 0 for an empty stream."""
        last = self._last()
        return last.position if last else START

    def last_leaf(self) -> bytes:
        """Give its last event's leaf hash; empty for an empty stream."""
        last = self._last()
        return last.leaf if last else NO_LEAF

    def _last(self) -> Stored | Snapshot | None:
        return self.events[-1] if self.events else self.snapshot


def recorded(stored: Stored, event_types: tuple[type[E], ...]) -> Recorded[E]:
    """Decode a stored event as one of ``event_types``.

    Raises:
        Corrupt: it is none of them, or cannot be read by this release.
    """
    if stored.payload is None:
        raise Corrupt(position=stored.position, reason="its payload was not asked for")
    return Recorded(
        position=stored.position,
        stream=stored.stream,
        version=stored.version,
        event_id=stored.event_id,
        command_id=stored.command_id,
        recorded_at=stored.recorded_at,
        actor=stored.actor,
        leaf=stored.leaf,
        event=decode(event_types, stored.type, stored.schema_version, stored.payload),
    )


async def read_streams(ledger: Ledger, names: Sequence[StreamName]) -> dict[StreamName, Stream]:
    """Read whole streams in one round trip; a name without events gives an empty stream.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    found: defaultdict[StreamName, list[Stored]] = defaultdict(list)
    for stored in await _fetch(ledger, READ_STREAMS, list(names)):
        found[stored.stream].append(stored)
    return {name: Stream(name=name, events=tuple(found[name])) for name in names}


async def read_stream(ledger: Ledger, name: StreamName) -> Stream:
    """Read one whole stream, as ``read_streams`` does."""
    return (await read_streams(ledger, [name]))[name]


async def read_until(
    conn: Connection, ledger_id: int, name: StreamName, version: Version
) -> tuple[Stored, ...]:
    """Read a stream's events up to ``version``."""
    rows = await conn.fetch(READ_UNTIL, ledger_id, name, version)
    return tuple(stored_in(row) for row in rows)


async def read_first_payload(conn: Connection, ledger_id: int, name: StreamName) -> bytes | None:
    """Read what a stream's first event says, and nothing else of its row; ``None``: there is none."""
    payload: bytes | None = await conn.fetchval(READ_FIRST_PAYLOAD, ledger_id, name)
    return payload


async def load_streams(ledger: Ledger, names: Sequence[StreamName]) -> dict[StreamName, Stream]:
    """Read streams in one round trip, each as its snapshot, if a good one exists, and the events after it.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    async with reading(ledger.pool) as conn:
        rows = await conn.fetch(
            LOAD_STREAMS, ledger.ledger_id, names, [fingerprint_of(name) for name in names]
        )
    events: defaultdict[StreamName, list[Stored]] = defaultdict(list)
    snapshots: dict[StreamName, Snapshot] = {}
    for row in rows:
        name = StreamName(row["name"])
        if row["state"] is not None:
            snapshots[name] = _snapshot(name, row)
        if row["position"] is not None:
            events[name].append(stored_in(row))
    return {
        name: Stream(name=name, events=tuple(events[name]), snapshot=snapshots.get(name)) for name in names
    }


async def read_command(ledger: Ledger, first_event: EventId) -> tuple[Stored, ...]:
    """Read the events of the command whose first event has this id, with envelopes; none: it has not happened."""
    return await _fetch(ledger, READ_COMMAND, first_event)


async def read_log(
    conn: Connection, ledger_id: int, *, after: Position, wanted: Sequence[str], limit: int
) -> tuple[Stored, ...]:
    """Read the next positions after ``after``: every one, with the payload of ``wanted`` types only.

    They are ``limit``, or fewer where the log ends or their payloads come to 16 MiB; the last may exceed that.
    """
    rows = await conn.fetch(READ_LOG, ledger_id, after, list(wanted), limit, MAX_LOG_BYTES)
    return tuple(stored_in(row) for row in rows)


async def _fetch(ledger: Ledger, statement: str, argument: list[StreamName] | EventId) -> tuple[Stored, ...]:
    async with reading(ledger.source) as conn:
        rows = await conn.fetch(statement, ledger.ledger_id, argument)
    return tuple(stored_in(row) for row in rows)


def stored_in(row: asyncpg.Record) -> Stored:
    """Take an event from a row of the log.

    Raises:
        ImpossibleTime: it was recorded at no time at all, but at one of the two infinities.
    """
    if row["recorded_at"].tzinfo is None:  # how the driver gives those
        raise ImpossibleTime(position=row["position"], stream=row["stream"])
    return Stored(
        position=row["position"],
        stream=row["stream"],
        version=row["version"],
        type=row["type"],
        schema_version=row["schema_version"],
        event_id=row["event_id"],
        command_id=row["command_id"],
        recorded_at=row["recorded_at"],
        actor=row["actor"],
        leaf=row["leaf_hash"],
        payload=row["payload"],
        envelope=row.get("envelope"),
        causation_id=row.get("causation_id"),
        correlation_id=row.get("correlation_id", ""),
    )


def _snapshot(name: StreamName, row: asyncpg.Record) -> Snapshot:
    return Snapshot(
        stream=name,
        version=row["snapshot_version"],
        position=row["snapshot_position"],
        leaf=row["snapshot_leaf"],
        state=row["state"],
    )


def event_ids(provenance: Provenance, count: int) -> tuple[EventId, ...]:
    """Name ``count`` events of a command: the same names whenever it is sent again.

    Those of a keyless command count up from its own time-ordered id, which keeps the index dense.
    """
    if provenance.is_keyed:
        return tuple(EventId(uuid5(provenance.command_id, str(number))) for number in range(1, count + 1))
    first = provenance.command_id
    return tuple(EventId(UUID(int=first.int + number) if number else first) for number in range(count))


def new_command_id() -> CommandId:
    """Make the id of a command that nobody will send again."""
    return CommandId(uuid7())


def keyed_command_id(caller: UUID, key: str) -> CommandId:
    """Name a command by its caller and the key the caller chose; the same pair gives the same id."""
    return CommandId(uuid5(caller, key))


def draft(
    stream: Stream, events: Sequence[Event], provenance: Provenance, reads: Sequence[Stream] = ()
) -> Append:
    """Prepare ``events`` to follow ``stream`` as it was read, on the strength of ``reads`` as they were read."""
    ids = event_ids(provenance, len(events))
    return Append(
        stream=stream.name,
        expected=stream.version(),
        prev=stream.last_leaf(),
        provenance=provenance,
        reads=tuple([(read.name, read.version()) for read in reads]),
        events=tuple([_new(event_id, event) for event_id, event in zip(ids, events, strict=True)]),
    )


def _new(event_id: EventId, event: Event) -> NewEvent:
    return NewEvent(
        event_id=event_id,
        type=type_name(type(event)),
        schema_version=event.schema_version,
        payload=encode(event),
    )


async def append(ledger: Ledger, drafted: Append) -> Landed:
    """Append, and return once it is committed and flushed; see ``Appender.append`` for what it raises."""
    with _appending(drafted) as span:
        landed = await ledger.appender.append(drafted)
        span.has_landed = isinstance(landed, Appended)
    ledger.appended.ring()
    return landed


async def append_in(conn: Connection, ledger_id: int, drafted: Append) -> Landed:
    """Append in the caller's transaction; all of its events or none.

    The ledger's head stays locked until that transaction ends: append last, then commit, which must follow within 5
    seconds. When anything fails, the caller rolls back and runs its whole unit of work again.

    Raises:
        VersionConflict: another writer got there first, on the stream or on one it read.
    """
    with _appending(drafted) as span:
        landed = await send_one(conn, ledger_id, stamp(drafted, ledger_id), statement=APPEND_IN)
        if isinstance(landed, VersionConflict | Corrupt):
            raise landed
        span.has_landed = isinstance(landed, Appended)
    return landed


def _appending(drafted: Append) -> Appending:
    return Appending(
        drafted.provenance.command_id,
        {"ledger.stream": drafted.stream, "ledger.events": len(drafted.events)},
    )

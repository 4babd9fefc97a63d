"""One append and the SQL functions that take it: what is sent, what comes back, what each answer means."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from ledger.domain.errors import Corrupt, VersionConflict
from ledger.domain.ids import EventId, Position, StreamName, Version
from ledger.measures import Counter
from ledger.store.envelope import Provenance, leaf_hash, seal
from ledger.store.pool import Connection

SALT_BYTES: Final = 16
APPENDED, CONFLICT, DUPLICATE, READ_CONFLICT, BROKEN_CHAIN = range(5)

# $1 ledger, an append each: $2 streams, $3 expected versions, $4 previous leaves, $5 event counts,
# $6 recorded at, $7 actors, $8 commands, $9 causations, $10 correlations, $11 first event ids;
# a read stream each: $12 append, $13 stream, $14 version; an event each: $15 append, $16 ordinal, $17 type,
# $18 schema version, $19 event id, $20 envelope, $21 salt, $22 payload. What comes as text is written by _literal.
APPEND_BATCH: Final = """
select append, status, first_position, version, stream from ledger.append_batch(
    $1, $2::text::text[], $3::text::integer[], $4::text::bytea[], $5::text::integer[], $6::text::timestamptz[],
    $7::text::text[], $8::text::uuid[], $9::text::uuid[], $10::text::text[], $11::text::uuid[],
    $12::text::integer[], $13::text::text[], $14::text::integer[], $15::text::integer[], $16::text::integer[],
    $17::text::text[], $18::text::smallint[], $19::text::uuid[], $20, $21::text::bytea[], $22)
"""
# $1 ledger, $2 stream, $3 expected version, $4 previous leaf, $5 recorded at, $6 actor, $7 command,
# $8 causation, $9 correlation; arrays: $10 read streams, $11 their versions, $12 types,
# $13 schema versions, $14 event ids, $15 envelopes, $16 salts, $17 payloads.
APPEND_ONE: Final = """
select append, status, first_position, version, stream from ledger.append_one(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""


_conflicts = Counter(
    "ledger_append_conflicts",
    "Appends that met another writer, on the stream they write or on one they read; they are tried again",
    ["aggregate", "on"],
)


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event on its way into the log."""

    event_id: EventId
    type: str
    schema_version: int
    payload: bytes


class Append(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One command's events for one stream.

    ``expected`` is the version the command saw, ``prev`` the leaf hash of that version's event (empty for
    a new stream); ``reads`` are the other streams it relied on, at the versions it saw.
    """

    stream: StreamName
    expected: Version
    prev: bytes
    events: tuple[NewEvent, ...]
    provenance: Provenance
    reads: tuple[tuple[StreamName, Version], ...] = ()


class SealedEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A new event with the very bytes that will be stored."""

    event: NewEvent
    salt: bytes
    envelope: bytes
    leaf: bytes


class SealedAppend(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An append stamped with its time and salts: made once, sent as often as it takes."""

    append: Append
    recorded_at: datetime
    events: tuple[SealedEvent, ...]


class Appended(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The events are in the log, committed and flushed.

    ``version`` is the stream's version after them; ``leaves`` their leaf hashes in order.
    """

    version: Version
    first_position: Position
    recorded_at: datetime
    leaves: tuple[bytes, ...]


class Duplicate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The command had taken effect before; ``version`` is the one after all of its events."""

    stream: StreamName
    version: Version
    first_position: Position


class BrokenChainOfHashes(Corrupt):
    """The stream's last event is not the one this command saw, although its version is."""

    code = "broken-chain"


class ReadConflict(VersionConflict):
    """A stream this command relied on has changed."""

    code = "read-conflict"


Landed = Appended | Duplicate


def stamp(append: Append, ledger_id: int) -> SealedAppend:
    """Give an append its time and its salts, and write its envelopes."""
    recorded_at = datetime.now(UTC)
    sealed: list[SealedEvent] = []
    prev = append.prev
    for ordinal, event in enumerate(append.events, start=1):
        salt = secrets.token_bytes(SALT_BYTES)
        envelope = seal(
            provenance=append.provenance,
            event_id=event.event_id,
            ledger_id=ledger_id,
            stream=append.stream,
            version=Version(append.expected + ordinal),
            event_type=event.type,
            schema_version=event.schema_version,
            recorded_at=recorded_at,
            salt=salt,
            payload=event.payload,
            prev=prev,
        )
        prev = leaf_hash(envelope)
        sealed.append(SealedEvent(event=event, salt=salt, envelope=envelope, leaf=prev))
    return SealedAppend(append=append, recorded_at=recorded_at, events=tuple(sealed))


async def send_one(
    conn: Connection, ledger_id: int, sealed: SealedAppend
) -> Landed | VersionConflict | Corrupt:
    """Send a single append; in the caller's transaction if there is one."""
    append, events = sealed.append, sealed.events
    row = await conn.fetchrow(
        APPEND_ONE,
        ledger_id,
        append.stream,
        append.expected,
        append.prev,
        sealed.recorded_at,
        append.provenance.actor,
        append.provenance.command_id,
        append.provenance.causation_id,
        append.provenance.correlation_id,
        [stream for stream, _ in append.reads],
        [version for _, version in append.reads],
        [item.event.type for item in events],
        [item.event.schema_version for item in events],
        [item.event.event_id for item in events],
        [item.envelope for item in events],
        [item.salt for item in events],
        [item.event.payload for item in events],
    )
    if row is None:
        raise BrokenChainOfHashes(stream=append.stream)
    return _meaning(row, sealed)


async def send_batch(
    conn: Connection, ledger_id: int, batch: Sequence[SealedAppend]
) -> list[Landed | VersionConflict | Corrupt]:
    """Send a batch of appends; the answers come in the batch's order."""
    rows = await conn.fetch(APPEND_BATCH, ledger_id, *_appends(batch), *_reads(batch), *_events(batch))
    return [_meaning(row, sealed) for row, sealed in zip(rows, batch, strict=True)]


def _literal(values: Sequence[int | UUID | datetime | None]) -> str:
    """Write an array as PostgreSQL reads it; the driver would look into each element by itself, ten times as slow."""
    return "{" + msgspec.json.encode(values).decode()[1:-1] + "}"


def _texts(values: Sequence[str]) -> str:
    return _quoted([value.replace("\\", "\\\\").replace('"', '\\"') for value in values])


def _bytes(values: Sequence[bytes]) -> str:
    return _quoted([f"\\\\x{value.hex()}" for value in values])


def _quoted(values: Sequence[str]) -> str:
    return '{"' + '","'.join(values) + '"}' if values else "{}"


def _appends(batch: Sequence[SealedAppend]) -> tuple[str, ...]:
    appends = [sealed.append for sealed in batch]
    origins = [append.provenance for append in appends]
    return (
        _texts([append.stream for append in appends]),
        _literal([append.expected for append in appends]),
        _bytes([append.prev for append in appends]),
        _literal([len(append.events) for append in appends]),
        _literal([sealed.recorded_at for sealed in batch]),
        _texts([origin.actor for origin in origins]),
        _literal([origin.command_id for origin in origins]),
        _literal([origin.causation_id for origin in origins]),
        _texts([origin.correlation_id for origin in origins]),
        _literal([append.events[0].event_id for append in appends]),
    )


def _reads(batch: Sequence[SealedAppend]) -> tuple[str, ...]:
    numbered = [(number, read) for number, sealed in enumerate(batch, 1) for read in sealed.append.reads]
    return (
        _literal([number for number, _ in numbered]),
        _texts([stream for _, (stream, _) in numbered]),
        _literal([version for _, (_, version) in numbered]),
    )


def _events(batch: Sequence[SealedAppend]) -> tuple[str | list[bytes], ...]:
    items = [item for sealed in batch for item in sealed.events]
    events = [item.event for item in items]
    return (
        _literal([number for number, sealed in enumerate(batch, 1) for _ in sealed.events]),
        _literal([ordinal for sealed in batch for ordinal, _ in enumerate(sealed.events, 1)]),
        _texts([event.type for event in events]),
        _literal([event.schema_version for event in events]),
        _literal([event.event_id for event in events]),
        [item.envelope for item in items],
        _bytes([item.salt for item in items]),
        [event.payload for event in events],
    )


def _meaning(row: asyncpg.Record, sealed: SealedAppend) -> Landed | VersionConflict | Corrupt:
    version = Version(row["version"])
    match row["status"]:
        case status if status == APPENDED:
            return Appended(
                version=version,
                first_position=Position(row["first_position"]),
                recorded_at=sealed.recorded_at,
                leaves=tuple(item.leaf for item in sealed.events),
            )
        case status if status == DUPLICATE:
            stream = StreamName(row["stream"])
            return Duplicate(stream=stream, version=version, first_position=Position(row["first_position"]))
        case status if status == READ_CONFLICT:
            _count_conflict(sealed, "read")
            expected = dict(sealed.append.reads)[row["stream"]]
            return ReadConflict(stream=row["stream"], expected=expected, actual=version)
        case status if status == BROKEN_CHAIN:
            return BrokenChainOfHashes(stream=row["stream"], version=version)
        case _:
            _count_conflict(sealed, "written")
            return VersionConflict(stream=row["stream"], expected=sealed.append.expected, actual=version)


def _count_conflict(sealed: SealedAppend, on: str) -> None:
    _conflicts.add((sealed.append.stream.partition("-")[0], on))

"""One append and the SQL functions that take it: what is sent, what comes back, what each answer means."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import asyncpg
import msgspec

from ledger.domain.errors import Corrupt, VersionConflict
from ledger.domain.ids import EventId, Position, StreamName, Version
from ledger.store.envelope import Provenance, leaf_hash, seal
from ledger.store.pool import Connection

SALT_BYTES: Final = 16
APPENDED, CONFLICT, DUPLICATE, READ_CONFLICT, BROKEN_CHAIN = range(5)

# $1 ledger, an append each: $2 streams, $3 expected versions, $4 previous leaves, $5 event counts,
# $6 recorded at, $7 actors, $8 commands, $9 causations, $10 correlations, $11 first event ids;
# a read stream each: $12 append, $13 stream, $14 version; an event each: $15 append, $16 ordinal, $17 type,
# $18 schema version, $19 event id, $20 envelope, $21 salt, $22 payload.
APPEND_BATCH: Final = """
select append, status, first_position, version, stream from ledger.append_batch(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
"""
# $1 ledger, $2 stream, $3 expected version, $4 previous leaf, $5 recorded at, $6 actor, $7 command,
# $8 causation, $9 correlation; arrays: $10 read streams, $11 their versions, $12 types,
# $13 schema versions, $14 event ids, $15 envelopes, $16 salts, $17 payloads.
APPEND_ONE: Final = """
select append, status, first_position, version, stream from ledger.append_one(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way into the log."""

    event_id: EventId
    type: str
    schema_version: int
    payload: bytes


class Append(msgspec.Struct, frozen=True, kw_only=True):
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


class SealedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A new event with the very bytes that will be stored."""

    event: NewEvent
    salt: bytes
    envelope: bytes
    leaf: bytes


class SealedAppend(msgspec.Struct, frozen=True, kw_only=True):
    """An append stamped with its time and salts: made once, sent as often as it takes."""

    append: Append
    recorded_at: datetime
    events: tuple[SealedEvent, ...]


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """The events are in the log, committed and flushed.

    ``version`` is the stream's version after them; ``leaves`` their leaf hashes in order.
    """

    version: Version
    first_position: Position
    recorded_at: datetime
    leaves: tuple[bytes, ...]


class Duplicate(msgspec.Struct, frozen=True, kw_only=True):
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


def _appends(batch: Sequence[SealedAppend]) -> tuple[list[object], ...]:
    return (
        [sealed.append.stream for sealed in batch],
        [sealed.append.expected for sealed in batch],
        [sealed.append.prev for sealed in batch],
        [len(sealed.events) for sealed in batch],
        [sealed.recorded_at for sealed in batch],
        [sealed.append.provenance.actor for sealed in batch],
        [sealed.append.provenance.command_id for sealed in batch],
        [sealed.append.provenance.causation_id for sealed in batch],
        [sealed.append.provenance.correlation_id for sealed in batch],
        [sealed.append.events[0].event_id for sealed in batch],
    )


def _reads(batch: Sequence[SealedAppend]) -> tuple[list[int], list[StreamName], list[Version]]:
    numbered = [(number, read) for number, sealed in enumerate(batch, 1) for read in sealed.append.reads]
    return (
        [number for number, _ in numbered],
        [stream for _, (stream, _) in numbered],
        [version for _, (_, version) in numbered],
    )


def _events(
    batch: Sequence[SealedAppend],
) -> tuple[list[int], list[int], list[str], list[int], list[EventId], *tuple[list[bytes], ...]]:
    numbered = [
        (number, ordinal, item)
        for number, sealed in enumerate(batch, 1)
        for ordinal, item in enumerate(sealed.events, 1)
    ]
    items = [item for _, _, item in numbered]
    return (
        [number for number, _, _ in numbered],
        [ordinal for _, ordinal, _ in numbered],
        [item.event.type for item in items],
        [item.event.schema_version for item in items],
        [item.event.event_id for item in items],
        [item.envelope for item in items],
        [item.salt for item in items],
        [item.event.payload for item in items],
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
            expected = dict(sealed.append.reads)[row["stream"]]
            return ReadConflict(stream=row["stream"], expected=expected, actual=version)
        case status if status == BROKEN_CHAIN:
            return BrokenChainOfHashes(stream=row["stream"], version=version)
        case _:
            return VersionConflict(stream=row["stream"], expected=sealed.append.expected, actual=version)

"""One append: what is sent of it, what comes back, what each answer means."""

import os
from datetime import UTC, datetime
from typing import Final

import asyncpg
import msgspec

from ledger.domain.errors import Corrupt, VersionConflict
from ledger.domain.ids import EventId, Position, StreamName, Version
from ledger.measures import Counter
from ledger.store.envelope import Provenance, leaf_hash, seal
from ledger.store.pool import Connection

SALT_BYTES: Final = 16
APPENDED, CONFLICT, DUPLICATE, READ_CONFLICT, BROKEN_CHAIN = range(5)

# $1 ledger, $2 stream, $3 expected version, $4 previous leaf, $5 recorded at, $6 actor, $7 command,
# $8 causation, $9 correlation; arrays: $10 read streams, $11 their versions, $12 types,
# $13 schema versions, $14 event ids, $15 envelopes, $16 salts, $17 payloads.
APPEND_ONE: Final = """
select append, status, first_position, version, stream from ledger.append_one(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""
# Everybody's appends wait behind the caller's commit: whoever falls asleep before it must not keep them for long.
# $1 to $17 as in APPEND_ONE
APPEND_IN: Final = APPEND_ONE.replace(
    "select ", "select set_config('idle_in_transaction_session_timeout', '5s', true), "
)

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
    """A new event with the very bytes that will be stored.

    ``follows`` is the leaf hash that its stream must end with; ``None`` behind another event of its append.
    """

    event: NewEvent
    version: Version
    follows: bytes | None
    salt: bytes
    envelope: bytes
    leaf: bytes


class SealedAppend(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An append stamped with its time and salts: made once, sent as often as it takes; ``size`` is in bytes."""

    append: Append
    recorded_at: datetime
    events: tuple[SealedEvent, ...]
    size: int


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
    prev, version, size = append.prev, append.expected, 0
    for event in append.events:
        version = Version(version + 1)
        salt = os.urandom(SALT_BYTES)
        envelope = seal(
            provenance=append.provenance,
            event_id=event.event_id,
            ledger_id=ledger_id,
            stream=append.stream,
            version=version,
            event_type=event.type,
            schema_version=event.schema_version,
            recorded_at=recorded_at,
            salt=salt,
            payload=event.payload,
            prev=prev,
        )
        follows = None if sealed else prev
        prev = leaf_hash(envelope)
        sealed.append(
            SealedEvent(
                event=event, version=version, follows=follows, salt=salt, envelope=envelope, leaf=prev
            )
        )
        size += len(envelope) + len(event.payload)
    return SealedAppend(append=append, recorded_at=recorded_at, events=tuple(sealed), size=size)


async def send_one(
    conn: Connection, ledger_id: int, sealed: SealedAppend, *, statement: str = APPEND_ONE
) -> Landed | VersionConflict | Corrupt:
    """Send a single append, which commits by itself, or by ``APPEND_IN`` in the caller's transaction."""
    append, events = sealed.append, sealed.events
    row = await conn.fetchrow(
        statement,
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
    return meaning(row, sealed)


def meaning(row: asyncpg.Record, sealed: SealedAppend) -> Landed | VersionConflict | Corrupt:
    """Say what the server's answer to an append means."""
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

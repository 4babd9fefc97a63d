"""The record of every event that a read model could not apply: why, since when, and what became of it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from ledger.domain.event import Utc
from ledger.domain.ids import EventId, FailureId, Position, StreamName
from ledger.projections.faults import CODE_VERSION, Category, Fault
from ledger.projections.projection import Feed
from ledger.store.pool import Connection
from ledger.store.streams import Stored

RETRY_WAITS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds after a failed attempt until the next one that nobody asks for; after these it waits for a person."""
MOST: Final = 10_000

# $1 ledger, $2 failure, $3 projection, $4 version, $5 sequence, $6 stream, $7 position, $8 event id,
# $9 event type, $10 schema version, $11 error type, $12 message, $13 traceback, $14 fingerprint,
# $15 category, $16 code version, $17 seconds until the next attempt
RECORD: Final = """
insert into views.failures (
    ledger_id, failure_id, projection, version, sequence, stream, position, event_id, event_type, schema_version,
    error_type, error_message, traceback, fingerprint, category, code_version, attempts, first_seen_at,
    last_seen_at, next_retry_at, state)
select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1, now.at, now.at,
       now.at + make_interval(secs => $17), 'retrying'
from (select clock_timestamp() as at offset 0) as now
"""
# $1 ledger, $2 failure, $3 error type, $4 message, $5 traceback, $6 fingerprint, $7 category,
# $8 code version, $9 seconds until the next attempt (null: none)
AGAIN: Final = """
update views.failures
set attempts = attempts + 1, last_seen_at = clock_timestamp(), error_type = $3, error_message = $4,
    traceback = $5, fingerprint = $6, category = $7, code_version = $8,
    next_retry_at = clock_timestamp() + make_interval(secs => $9),
    state = case when $9::double precision is null then 'waiting' else 'retrying' end
where ledger_id = $1 and failure_id = $2
"""
# $1 ledger, $2 failure, $3 resolution, $4 reason, $5 by whom
RESOLVE: Final = """
update views.failures
set state = 'resolved', resolution = $3, reason = $4, resolved_by = $5, resolved_at = clock_timestamp(),
    next_retry_at = null
where ledger_id = $1 and failure_id = $2
"""
SELECT: Final = """
select f.failure_id, f.projection, f.version, f.sequence, f.stream, f.position, f.event_id, f.event_type,
       f.schema_version, f.error_type, f.error_message, f.traceback, f.fingerprint, f.category, f.code_version,
       f.attempts, f.first_seen_at, f.last_seen_at, f.next_retry_at, f.state, f.resolution, f.reason,
       f.resolved_by, f.resolved_at,
       case when f.state = 'resolved' then 0 else (
           select count(*) - 1 from views.parked p
           where p.ledger_id = f.ledger_id and p.projection = f.projection and p.version = f.version
             and p.sequence = f.sequence
       ) end as followers
from views.failures f
"""
# $1 ledger, $2 failure
FIND: Final = SELECT + "where f.ledger_id = $1 and f.failure_id = $2"
# $1 ledger, $2 projection, $3 version, $4 sequences
ACTIVE: Final = (
    SELECT
    + """
where f.ledger_id = $1 and f.projection = $2 and f.version = $3 and f.sequence = any($4) and f.state <> 'resolved'
"""
)
# $1 ledger, $2 projection, $3 version, $4 resolved ones too, $5 at most this many
LIST: Final = (
    SELECT
    + """
where f.ledger_id = $1 and f.projection = $2 and f.version = $3 and ($4 or f.state <> 'resolved')
order by f.position, f.first_seen_at
limit $5
"""
)
# $1 ledger, $2 projection, $3 version
DUE: Final = (
    SELECT
    + """
where f.ledger_id = $1 and f.projection = $2 and f.version = $3 and f.state = 'retrying'
  and f.next_retry_at <= clock_timestamp()
order by f.next_retry_at
limit 1
"""
)


class FailureState(StrEnum):
    """How a failure stands: it is tried again by itself, waits for a person, or is over."""

    RETRYING = "retrying"
    WAITING = "waiting"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """What ended a failure."""

    AUTO_RETRY = "auto_retry"
    MANUAL_REPLAY = "manual_replay"
    MANUAL_SKIP = "manual_skip"
    MANUAL_FIX = "manual_fix"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be applied; ``followers`` counts those of its sequence that wait behind it.

    ``next_retry_at`` is ``None`` when it is not tried again by itself; the last four fields are ``None`` until it
    is resolved.
    """

    failure_id: FailureId
    projection: str
    version: int
    sequence: str
    stream: StreamName
    position: Position
    event_id: EventId
    event_type: str
    schema_version: int
    error_type: str
    error_message: str
    traceback: str
    fingerprint: str
    category: Category
    code_version: str
    attempts: int
    first_seen_at: Utc
    last_seen_at: Utc
    next_retry_at: Utc | None
    state: FailureState
    resolution: Resolution | None
    reason: str | None
    resolved_by: str | None
    resolved_at: Utc | None
    followers: int


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a failure is resolved, why, and by whom (a person's id, or ``operator`` or ``system``)."""

    resolution: Resolution
    by: str
    reason: str | None = None


UNASKED: Final = Ending(resolution=Resolution.AUTO_RETRY, by="system")


async def record(conn: Connection, ledger_id: int, feed: Feed, culprit: Stored, fault: Fault) -> FailureId:
    """Write down that ``culprit`` could not be applied for the first time."""
    failure = FailureId(uuid7())
    await conn.execute(
        RECORD,
        ledger_id,
        failure,
        feed.name,
        feed.version,
        feed.sequence(culprit),
        culprit.stream,
        culprit.position,
        culprit.event_id,
        culprit.type,
        culprit.schema_version,
        *_told(fault),
        RETRY_WAITS[0],
    )
    return failure


async def failed_again(conn: Connection, ledger_id: int, failure: Failure, fault: Fault) -> None:
    """Write down another attempt that failed; after the last of the waits it is left to a person."""
    wait = RETRY_WAITS[failure.attempts] if failure.attempts < len(RETRY_WAITS) else None
    await conn.execute(AGAIN, ledger_id, failure.failure_id, *_told(fault), wait)


async def resolve(conn: Connection, ledger_id: int, failure: FailureId, ending: Ending) -> None:
    """Write down how a failure ended."""
    await conn.execute(RESOLVE, ledger_id, failure, ending.resolution.value, ending.reason, ending.by)


async def find(conn: Connection, ledger_id: int, failure: FailureId) -> Failure | None:
    """Look one up; ``None``: there is none with this id."""
    row = await conn.fetchrow(FIND, ledger_id, failure)
    return None if row is None else _failure(row)


async def active_of(
    conn: Connection, ledger_id: int, feed: Feed, sequences: Sequence[str]
) -> dict[str, Failure]:
    """Find what keeps these sequences parked, by sequence; those that are not parked are missing."""
    rows = await conn.fetch(ACTIVE, ledger_id, feed.name, feed.version, list(sequences))
    return {row["sequence"]: _failure(row) for row in rows}


async def list_of(
    conn: Connection, ledger_id: int, feed: Feed, *, with_resolved: bool = False, limit: int = MOST
) -> tuple[Failure, ...]:
    """List a projection's failures by position."""
    rows = await conn.fetch(LIST, ledger_id, feed.name, feed.version, with_resolved, limit)
    return tuple(_failure(row) for row in rows)


async def next_due(conn: Connection, ledger_id: int, feed: Feed) -> Failure | None:
    """Find the failure that has waited longest for its next attempt; ``None``: it is nobody's turn."""
    row = await conn.fetchrow(DUE, ledger_id, feed.name, feed.version)
    return None if row is None else _failure(row)


def _told(fault: Fault) -> tuple[str, ...]:
    return (
        fault.error_type,
        fault.message,
        fault.traceback,
        fault.fingerprint,
        fault.category.value,
        CODE_VERSION,
    )


def _failure(row: asyncpg.Record) -> Failure:
    return msgspec.convert(dict(row), Failure)

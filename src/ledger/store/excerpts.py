"""Pieces of the log by where they lie: single positions, and parts of several streams at once."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from ledger.domain.ids import EventId, Position, StreamName, Version
from ledger.store.pool import Connection
from ledger.store.streams import Stored, stored_in

# $1 ledger, $2 positions
READ_POSITIONS: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, leaf_hash,
       payload
from ledger.events
where ledger_id = $1 and position = any($2)
order by position
"""
# $1 ledger, $2 streams, $3 up to this position, $4 wanted types
READ_LOG_OF: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, leaf_hash,
       payload
from ledger.events
where ledger_id = $1 and stream = any($2) and position <= $3 and type = any($4)
order by position
"""
# $1 ledger, $2 from this position, $3 to this one, $4 types, $5 at most this many
STREAMS_BETWEEN: Final = """
select distinct stream from ledger.events
where ledger_id = $1 and position between $2 and $3 and type = any($4)
order by stream
limit $5
"""
# A range and a limit, not an equality: a generic plan made while the table is still empty would read the whole log.
# $1 ledger, $2 event
LOCATE: Final = """
select position, stream, actor from ledger.events
where ledger_id = $1 and event_id >= $2 and event_id <= $2
order by event_id
limit 1
"""
# $1 ledger, $2 stream, $3 up to this version, $4 wanted types
LAST_OF: Final = """
select event_id from ledger.events
where ledger_id = $1 and stream >= $2 and stream <= $2 and version <= $3 and type = any($4)
order by stream desc, version desc
limit 1
"""


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event lies, in which stream, and who acted."""

    position: Position
    stream: StreamName
    actor: str


async def locate(conn: Connection, ledger_id: int, event: UUID) -> Located | None:
    """Find an event; ``None``: there is none of that id."""
    row = await conn.fetchrow(LOCATE, ledger_id, event)
    if row is None:
        return None
    return Located(position=Position(row["position"]), stream=StreamName(row["stream"]), actor=row["actor"])


async def last_of(
    conn: Connection, ledger_id: int, stream: StreamName, *, upto: Version, wanted: Sequence[str]
) -> EventId | None:
    """Name the last of the ``wanted`` events of a stream up to a version; ``None``: there is none."""
    found = await conn.fetchval(LAST_OF, ledger_id, stream, upto, list(wanted))
    return None if found is None else EventId(found)


async def read_positions(
    conn: Connection, ledger_id: int, positions: Sequence[Position]
) -> tuple[Stored, ...]:
    """Read the events at these positions, in order."""
    rows = await conn.fetch(READ_POSITIONS, ledger_id, list(positions))
    return tuple(stored_in(row) for row in rows)


async def read_log_of(
    conn: Connection, ledger_id: int, streams: Sequence[str], *, upto: Position, wanted: Sequence[str]
) -> tuple[Stored, ...]:
    """Read the ``wanted`` events of some streams up to a position, in the order of the log."""
    rows = await conn.fetch(READ_LOG_OF, ledger_id, list(streams), upto, list(wanted))
    return tuple(stored_in(row) for row in rows)


async def streams_between(
    conn: Connection,
    ledger_id: int,
    *,
    first: Position,
    last: Position,
    types: Sequence[str],
    limit: int,
) -> list[StreamName]:
    """Name up to ``limit`` streams that have events of ``types`` from ``first`` to ``last``, both included."""
    rows = await conn.fetch(STREAMS_BETWEEN, ledger_id, first, last, list(types), limit)
    return [StreamName(row["stream"]) for row in rows]

"""Rows of the log as they lie there, every column: for whoever compares them with each other."""

from typing import Final

import msgspec

from ledger.domain.ids import Position
from ledger.store.pool import Connection
from ledger.store.streams import MAX_LOG_BYTES

# Whoever changed a row may have changed the table too: moments that no program can hold, and nothing at all, come as text.
# $1 ledger, $2 after this position, $3 at most this many, $4 none behind this many bytes
READ_ROWS: Final = """
select position, coalesce(stream, '') as stream, coalesce(version, 0) as version, coalesce(type, '') as type,
       coalesce(schema_version, 0) as schema_version, coalesce(event_id::text, '') as event_id,
       coalesce(to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
           || case when recorded_at < '0001-01-01 00:00Z' then ' BC' else '' end, '') as recorded_at,
       coalesce(actor, '') as actor, coalesce(command_id::text, '') as command_id,
       coalesce(causation_id::text, '') as causation_id, coalesce(correlation_id, '') as correlation_id,
       coalesce(envelope, '') as envelope, coalesce(leaf_hash, '') as leaf_hash, coalesce(salt, '') as salt,
       coalesce(payload, '') as payload
from (
    select *, sum(octet_length(payload)) over (
        order by position rows between unbounded preceding and 1 preceding) as bytes_before
    from (
        select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, causation_id,
               correlation_id, envelope, leaf_hash, salt, payload
        from ledger.events
        where ledger_id = $1 and position > $2
        order by position
        limit $3
    ) page
) sized
where coalesce(bytes_before, 0) < $4
order by position
"""

# $1 ledger, $2 up to this position
COUNT_ROWS: Final = "select count(*) from ledger.events where ledger_id = $1 and position <= $2"
# $1 ledger, $2 up to this position
READ_ADDED: Final = """
select position, array_agg(coalesce(stream, '') order by version) as streams
from ledger.events
where ledger_id = $1 and position <= $2
group by position having position < 1 or count(*) > 1
order by position limit 1
"""


class WholeRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of the table of events; ids and the moment as an envelope writes them, empty where there is none."""

    position: int
    stream: str
    version: int
    type: str
    schema_version: int
    event_id: str
    recorded_at: str
    actor: str
    command_id: str
    causation_id: str
    correlation_id: str
    envelope: bytes
    leaf_hash: bytes
    salt: bytes
    payload: bytes


async def read_rows(conn: Connection, ledger_id: int, *, after: Position, limit: int) -> tuple[WholeRow, ...]:
    """Read the next rows: ``limit``, or fewer where the log ends or their payloads come to 16 MiB; none at its end."""
    rows = await conn.fetch(READ_ROWS, ledger_id, after, limit, MAX_LOG_BYTES)
    return tuple(WholeRow(**row) for row in rows)


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """The first position that has a row too many, the streams of all its rows, and how many such rows there are in all."""

    position: int
    streams: list[str]
    rows: int


async def find_added(conn: Connection, ledger_id: int, *, upto: Position) -> Added | None:
    """Look for rows up to a position beside the one that each has: a second one, or some before the first position.

    Reading page by page never sees them; reading a stream does.
    """
    rows = int(await conn.fetchval(COUNT_ROWS, ledger_id, upto)) - upto
    if rows <= 0:
        return None
    first = await conn.fetchrow(READ_ADDED, ledger_id, upto)
    return None if first is None else Added(position=first["position"], streams=first["streams"], rows=rows)

"""Rows of the log as they lie there, every column: for whoever compares them with each other."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from ledger.domain.ids import Position
from ledger.store.pool import Connection
from ledger.store.streams import MAX_LOG_BYTES

# $1 ledger, $2 after this position, $3 at most this many, $4 none behind this many bytes
READ_ROWS: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, causation_id,
       correlation_id, envelope, leaf_hash, salt, payload
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


class WholeRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of the table of events."""

    position: int
    stream: str
    version: int
    type: str
    schema_version: int
    event_id: UUID
    recorded_at: datetime
    actor: str
    command_id: UUID
    causation_id: UUID | None
    correlation_id: str
    envelope: bytes
    leaf_hash: bytes
    salt: bytes
    payload: bytes


async def read_rows(conn: Connection, ledger_id: int, *, after: Position, limit: int) -> tuple[WholeRow, ...]:
    """Read the next rows: ``limit``, or fewer where the log ends or their payloads come to 16 MiB; none at its end."""
    rows = await conn.fetch(READ_ROWS, ledger_id, after, limit, MAX_LOG_BYTES)
    return tuple(WholeRow(**row) for row in rows)

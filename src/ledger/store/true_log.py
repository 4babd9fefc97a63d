"""Reading the log for what is made anew of it: each payload must fit the hash in its envelope.

The rows of a read model may be the last that hold what an event truly said: nothing false is written over them. Following
the log does without it, as nothing true is lost there, and its speed matters.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import asyncpg

from ledger.domain.errors import Corrupt
from ledger.domain.ids import Position
from ledger.store.pool import Connection
from ledger.store.streams import MAX_LOG_BYTES, Stored, stored_in

# As READ_LOG, with what a wanted payload is held against.
# $1 ledger, $2 after this position, $3 types whose payload is wanted, $4 at most this many positions,
# $5 none behind this many bytes
READ_TRUE_LOG: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, correlation_id,
       leaf_hash, payload, salt, envelope
from (
    select *, sum(octet_length(payload)) over (
        order by position rows between unbounded preceding and 1 preceding) as bytes_before
    from (
        select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id,
               correlation_id, leaf_hash, case when type = any($3) then payload end as payload,
               case when type = any($3) then salt end as salt, case when type = any($3) then envelope end as envelope
        from ledger.events
        where ledger_id = $1 and position > $2
        order by position
        limit $4
    ) page
) sized
where coalesce(bytes_before, 0) < $5
order by position
"""
# $1 ledger, $2 streams, $3 up to this position, $4 wanted types
READ_TRUE_LOG_OF: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, leaf_hash,
       payload, salt, envelope
from ledger.events
where ledger_id = $1 and stream = any($2) and position <= $3 and type = any($4)
order by position
"""


class PayloadChanged(Corrupt):
    """What an event says was changed after it was recorded: nothing is made anew of it."""

    code = "payload-changed"
    advice = "The rows may be the last that hold what was true; go on by docs/operations/tampered.md."


async def read_true_log(
    conn: Connection, ledger_id: int, *, after: Position, wanted: Sequence[str], limit: int
) -> tuple[Stored, ...]:
    """Read the next positions as ``read_log`` does, their envelopes too.

    Raises:
        PayloadChanged: a wanted payload does not fit the hash in its envelope.
    """
    return _true(await conn.fetch(READ_TRUE_LOG, ledger_id, after, list(wanted), limit, MAX_LOG_BYTES))


async def read_true_log_of(
    conn: Connection, ledger_id: int, streams: Sequence[str], *, upto: Position, wanted: Sequence[str]
) -> tuple[Stored, ...]:
    """Read the ``wanted`` events of some streams as ``read_log_of`` does, their envelopes too.

    Raises:
        PayloadChanged: one does not fit the hash in its envelope.
    """
    return _true(await conn.fetch(READ_TRUE_LOG_OF, ledger_id, list(streams), upto, list(wanted)))


def _true(rows: Sequence[asyncpg.Record]) -> tuple[Stored, ...]:
    for row in rows:
        if row["payload"] is not None and not _fits(row["salt"] + row["payload"], row["envelope"]):
            raise PayloadChanged(position=row["position"], stream=row["stream"])
    return tuple(stored_in(row) for row in rows)


def _fits(opened: bytes, envelope: bytes) -> bool:
    """Look for the hash where envelopes have it; unescaped quotes stand nowhere within their strings."""
    return b'","data":"%b","prev":"' % hashlib.sha256(opened).hexdigest().encode() in envelope

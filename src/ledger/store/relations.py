"""Events that hang together: by trace, by cause, by the decision that was asked for instead."""

from collections.abc import Sequence
from typing import Final

from ledger.domain.ids import DecisionId, EventId, Position
from ledger.store.findings import looking
from ledger.store.pool import Connection
from ledger.store.streams import Stored, stored_in

# Each names positions, by which the index of the history knows what to pass over (ADR 0030).
# $1 ledger, $2 up to this position, $3 traces, $4 at most this many
OF_TRACES: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, causation_id,
       correlation_id, envelope, leaf_hash, payload
from ledger.events
where ledger_id = $1 and position > 0 and position <= $2 and correlation_id = any($3)
order by position
limit $4
"""
# $1 ledger, $2 up to this position, $3 causing events, $4 at most this many
CAUSED_BY: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, causation_id,
       correlation_id, envelope, leaf_hash, payload
from ledger.events
where ledger_id = $1 and position > 0 and position <= $2 and causation_id = any($3)
order by position
limit $4
"""
# $1 ledger, $2 events
NAMED: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, causation_id,
       correlation_id, envelope, leaf_hash, payload
from ledger.events
where ledger_id = $1 and event_id = any($2)
order by position
"""
# $1 ledger, $2 up to this position, $3 the decision asked for instead, $4 at most this many
SUPERSEDED_BY: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, causation_id,
       correlation_id, envelope, leaf_hash, payload
from ledger.events
where ledger_id = $1 and position > 0 and position <= $2 and type = 'decision-superseded'
  and case type when 'decision-superseded' then convert_from(payload, 'UTF8')::json ->> 'successor' end = $3
order by position
limit $4
"""


async def of_traces(
    conn: Connection, ledger_id: int, traces: Sequence[str], *, upto: Position, limit: int
) -> tuple[Stored, ...]:
    """Read the events of some traces."""
    async with looking(conn):
        rows = await conn.fetch(OF_TRACES, ledger_id, upto, list(traces), limit)
    return tuple(stored_in(row) for row in rows)


async def caused_by(
    conn: Connection, ledger_id: int, causes: Sequence[EventId], *, upto: Position, limit: int
) -> tuple[Stored, ...]:
    """Read what came of some events."""
    async with looking(conn):
        rows = await conn.fetch(CAUSED_BY, ledger_id, upto, list(causes), limit)
    return tuple(stored_in(row) for row in rows)


async def named(conn: Connection, ledger_id: int, events: Sequence[EventId]) -> tuple[Stored, ...]:
    """Read events by their ids."""
    rows = await conn.fetch(NAMED, ledger_id, list(events))
    return tuple(stored_in(row) for row in rows)


async def superseded_by(
    conn: Connection, ledger_id: int, successor: DecisionId, *, upto: Position, limit: int
) -> tuple[Stored, ...]:
    """Read which decisions were superseded by this one."""
    async with looking(conn):
        rows = await conn.fetch(SUPERSEDED_BY, ledger_id, upto, successor, limit)
    return tuple(stored_in(row) for row in rows)

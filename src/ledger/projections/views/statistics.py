"""Statistics: what counts of each item, a row each; every count is a sum over rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias, assert_never, get_args

import msgspec
from msgspec.structs import replace

from ledger.domain.decision.events import DecisionEscalated, DecisionResolved, DecisionSubmitted, Priority
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId, StreamName
from ledger.projections.projection import Projection, fold_rows, must_exist, streams_of
from ledger.store.pool import Connection
from ledger.store.streams import Recorded

CountedEvent: TypeAlias = DecisionSubmitted | DecisionEscalated | DecisionResolved

# One range of the key at a time, in its order: another index of this ledger looks as good while the table is, or is
# known to be, empty, and would be read whole ever after.
# $1 ledger, $2 streams
LOAD: Final = """
select s.stream, s.priority, s.submitted_by, s.submitted_at, s.is_answered, s.resolved_at
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select stream, priority, submitted_by, submitted_at, is_answered, resolved_at
    from statistics_v1
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) s
"""
# $1 ledger; arrays, an item each: $2 stream, $3 priority, $4 submitted by, $5 submitted at, $6 is answered,
# $7 resolved at
SAVE: Final = """
insert into statistics_v1 (
    ledger_id, stream, priority, submitted_by, submitted_at, is_answered, resolved_at)
select $1, s.stream, s.priority, s.submitted_by, s.submitted_at, s.is_answered, s.resolved_at
from unnest($2::text[], $3::text[], $4::uuid[], $5::timestamptz[], $6::boolean[], $7::timestamptz[])
    as s(stream, priority, submitted_by, submitted_at, is_answered, resolved_at)
on conflict (ledger_id, stream) do update
set is_answered = excluded.is_answered, resolved_at = excluded.resolved_at
"""
# $1 ledger, $2 the moment of asking, $3 only what this person submitted (null: everything)
SUMMARY: Final = """
select open.total_pending, open.critical_pending, open.high_pending, open.medium_pending, open.low_pending,
       completed.total_completed, completed.avg_response_time_minutes, recent.decisions_last_24h
from (
    select count(*) as total_pending,
           count(*) filter (where priority = 'critical') as critical_pending,
           count(*) filter (where priority = 'high') as high_pending,
           count(*) filter (where priority = 'medium') as medium_pending,
           count(*) filter (where priority = 'low') as low_pending
    from views.statistics_v1
    where ledger_id = $1 and resolved_at is null and ($3::uuid is null or submitted_by = $3)
) as open
cross join (
    select count(*) as total_completed,
           coalesce(avg(extract(epoch from resolved_at - submitted_at)) / 60, 0)::double precision
               as avg_response_time_minutes
    from views.statistics_v1
    where ledger_id = $1 and resolved_at is not null and ($3::uuid is null or submitted_by = $3)
) as completed
cross join (
    select count(*) as decisions_last_24h
    from views.statistics_v1
    where ledger_id = $1 and submitted_at > $2::timestamptz - interval '24 hours'
      and ($3::uuid is null or submitted_by = $3)
) as recent
"""
# $1 ledger, $2 only what this person submitted (null: everything)
TOTALS: Final = """
select open.pending_decisions, open.critical_pending, ever.total_decisions, ever.total_responses
from (
    select count(*) as pending_decisions, count(*) filter (where priority = 'critical') as critical_pending
    from views.statistics_v1
    where ledger_id = $1 and resolved_at is null and ($2::uuid is null or submitted_by = $2)
) as open
cross join (
    select count(*) as total_decisions, count(*) filter (where is_answered) as total_responses
    from views.statistics_v1
    where ledger_id = $1 and ($2::uuid is null or submitted_by = $2)
) as ever
"""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of open and completed decisions; the average runs from submission to verdict, in minutes."""

    total_pending: int
    critical_pending: int
    high_pending: int
    medium_pending: int
    low_pending: int
    total_completed: int
    avg_response_time_minutes: float
    decisions_last_24h: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions are open, were ever submitted, and have an answer (an escalation is one)."""

    pending_decisions: int
    critical_pending: int
    total_decisions: int
    total_responses: int


class _Item(msgspec.Struct, frozen=True, kw_only=True):
    priority: Priority
    submitted_by: PersonId
    submitted_at: Utc
    is_answered: bool = False
    resolved_at: Utc | None = None


async def summary(
    conn: Connection, ledger_id: int, now: datetime, *, submitted_by: PersonId | None = None
) -> Summary:
    """Count as of ``now``, of one submitter or of all (``None``)."""
    row = await conn.fetchrow(SUMMARY, ledger_id, now, submitted_by)
    return msgspec.convert(dict(row or {}), Summary)


async def totals(conn: Connection, ledger_id: int, *, submitted_by: PersonId | None = None) -> Totals:
    """Count what there is, of one submitter or of all (``None``)."""
    row = await conn.fetchrow(TOTALS, ledger_id, submitted_by)
    return msgspec.convert(dict(row or {}), Totals)


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[CountedEvent]]) -> None:
    """Add and answer the items of the batch."""
    before = await _load(conn, ledger_id, streams_of(batch))
    folded = fold_rows(before, batch, _evolve)
    items = [(stream, item) for stream, item in folded.items() if item is not None]
    await conn.execute(
        SAVE,
        ledger_id,
        [stream for stream, _ in items],
        [item.priority.value for _, item in items],
        [item.submitted_by for _, item in items],
        [item.submitted_at for _, item in items],
        [item.is_answered for _, item in items],
        [item.resolved_at for _, item in items],
    )


async def _load(conn: Connection, ledger_id: int, streams: Sequence[StreamName]) -> dict[StreamName, _Item]:
    return {
        StreamName(row["stream"]): _Item(
            priority=Priority(row["priority"]),
            submitted_by=row["submitted_by"],
            submitted_at=row["submitted_at"],
            is_answered=row["is_answered"],
            resolved_at=row["resolved_at"],
        )
        for row in await conn.fetch(LOAD, ledger_id, streams)
    }


def _evolve(row: _Item | None, item: Recorded[CountedEvent]) -> _Item:
    event = item.event
    match event:
        case DecisionSubmitted():
            return _Item(priority=event.priority, submitted_by=event.submitted_by, submitted_at=event.at)
        case DecisionEscalated():
            return replace(must_exist(row, item), is_answered=True)
        case DecisionResolved():
            return replace(must_exist(row, item), is_answered=True, resolved_at=event.at)
        case _:
            assert_never(event)


STATISTICS: Final = Projection[CountedEvent](
    name="statistics",
    version=1,
    event_types=get_args(CountedEvent),
    tables=("statistics_v1",),
    apply=apply,
)

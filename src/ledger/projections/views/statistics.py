"""Statistics: what counts of each item, a row each, and what people did; every count is a sum over rows."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, get_args

import asyncpg
import msgspec

from ledger.domain.decision.events import Priority
from ledger.domain.decision.state import Status
from ledger.domain.ids import PersonId, StreamName
from ledger.domain.terms import Action
from ledger.projections.projection import Projection, add_rows, columns_of, fold_rows, load_rows
from ledger.projections.statistics_rows import Counted, CountedEvent, evolve
from ledger.store.pool import Connection
from ledger.store.streams import Recorded

# One range of the key at a time, in its order: another index of this ledger looks as good while the table is, or is
# known to be, empty, and would be read whole ever after.
# $1 ledger, $2 streams
LOAD: Final = """
select s.*
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select stream, kind, priority, level, recommended, submitted_by, submitted_at, claimed_at, holder, held_since,
           is_answered, status, ended_at, is_override, agrees, human_seen
    from statistics_v2
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) s
"""
# In the order of _values.
COUNTED: Final = """
ledger_id, stream, kind, priority, level, recommended, submitted_by, submitted_at, claimed_at, holder,
held_since, is_answered, status, ended_at, is_override, agrees, human_seen
"""
# $1 ledger; arrays, an item each: $2 stream, $3 kind, $4 priority, $5 level, $6 recommended actions between commas,
# $7 submitted by, $8 submitted at, $9 claimed at, $10 holder, $11 held since, $12 is answered, $13 status, $14 ended at,
# $15 is override, $16 agrees, $17 human seen
SAVE: Final = """
insert into statistics_v2 (
    ledger_id, stream, kind, priority, level, recommended, submitted_by, submitted_at, claimed_at, holder, held_since,
    is_answered, status, ended_at, is_override, agrees, human_seen)
select $1, s.stream, s.kind, s.priority, s.level, s.recommended, s.submitted_by, s.submitted_at, s.claimed_at, s.holder,
       s.held_since, s.is_answered, s.status, s.ended_at, s.is_override, s.agrees, s.human_seen
from unnest($2::text[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::uuid[], $8::timestamptz[],
            $9::timestamptz[], $10::uuid[], $11::timestamptz[], $12::boolean[], $13::text[], $14::timestamptz[],
            $15::boolean[], $16::boolean[], $17::boolean[])
    as s(stream, kind, priority, level, recommended, submitted_by, submitted_at, claimed_at, holder, held_since,
         is_answered, status, ended_at, is_override, agrees, human_seen)
on conflict (ledger_id, stream) do update
set priority = excluded.priority, level = excluded.level, recommended = excluded.recommended,
    claimed_at = excluded.claimed_at, holder = excluded.holder, held_since = excluded.held_since,
    is_answered = excluded.is_answered, status = excluded.status, ended_at = excluded.ended_at,
    is_override = excluded.is_override, agrees = excluded.agrees, human_seen = excluded.human_seen
"""
# In the order of _acts.
ACTED: Final = """
ledger_id, stream, version, kind, submitted_by, act, person, at, agrees, held_seconds
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
    from views.statistics_v2
    where ledger_id = $1 and ended_at is null and ($3::uuid is null or submitted_by = $3)
) as open
cross join (
    select count(*) as total_completed,
           coalesce(avg(extract(epoch from ended_at - submitted_at)) / 60, 0)::double precision
               as avg_response_time_minutes
    from views.statistics_v2
    where ledger_id = $1 and status in ('approved', 'rejected') and ($3::uuid is null or submitted_by = $3)
) as completed
cross join (
    select count(*) as decisions_last_24h
    from views.statistics_v2
    where ledger_id = $1 and submitted_at > $2::timestamptz - interval '24 hours'
      and ($3::uuid is null or submitted_by = $3)
) as recent
"""
# $1 ledger, $2 only what this person submitted (null: everything)
TOTALS: Final = """
select open.pending_decisions, open.critical_pending, ever.total_decisions, ever.total_responses
from (
    select count(*) as pending_decisions, count(*) filter (where priority = 'critical') as critical_pending
    from views.statistics_v2
    where ledger_id = $1 and ended_at is null and ($2::uuid is null or submitted_by = $2)
) as open
cross join (
    select count(*) as total_decisions, count(*) filter (where is_answered) as total_responses
    from views.statistics_v2
    where ledger_id = $1 and ($2::uuid is null or submitted_by = $2)
) as ever
"""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of open and completed decisions; the average runs from submission to verdict, in minutes.

    Completed are those that people approved or rejected; what ended otherwise is neither open nor completed.
    """

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
    """Count the events of the batch."""
    loaded = await load_rows(conn, LOAD, ledger_id, batch)
    before = {StreamName(row["stream"]): _counted(row) for row in loaded}
    rows = [row for row in fold_rows(before, batch, evolve).values() if row is not None]
    known = [row for row in rows if row.stream in before]
    if known:
        await conn.execute(SAVE, ledger_id, *columns_of(map(_values, known)))
    fresh = [(ledger_id, *_values(row)) for row in rows if row.stream not in before]
    if fresh:
        await add_rows(conn, "statistics_v2", COUNTED, fresh)
    acts = [act for row in rows for act in _acts(ledger_id, row)]
    if acts:
        await add_rows(conn, "statistics_acts_v2", ACTED, acts)


def _values(row: Counted) -> tuple[object, ...]:
    recommended = None if row.recommended is None else ",".join(row.recommended)
    return (
        *(row.stream, row.kind, row.priority.value, row.level, recommended),
        *(row.submitted_by, row.submitted_at, row.claimed_at, row.holder, row.held_since),
        *(row.is_answered, row.status and row.status.value),
        *(row.ended_at, row.is_override, row.agrees, row.human_seen),
    )


def _acts(ledger_id: int, row: Counted) -> Iterator[tuple[object, ...]]:
    for act in row.acts:
        yield (
            *(ledger_id, row.stream, act.version, row.kind, row.submitted_by),
            *(act.act.value, act.person, act.at, act.agrees, act.held_seconds),
        )


def _counted(row: asyncpg.Record) -> Counted:
    recommended = row["recommended"]
    return Counted(
        stream=row["stream"],
        kind=row["kind"],
        priority=Priority(row["priority"]),
        recommended=None if recommended is None else tuple(Action(name) for name in recommended.split(",")),
        submitted_by=row["submitted_by"],
        submitted_at=row["submitted_at"],
        level=row["level"],
        claimed_at=row["claimed_at"],
        holder=row["holder"],
        held_since=row["held_since"],
        is_answered=row["is_answered"],
        status=None if row["status"] is None else Status(row["status"]),
        ended_at=row["ended_at"],
        is_override=row["is_override"],
        agrees=row["agrees"],
        human_seen=row["human_seen"],
    )


STATISTICS: Final = Projection[CountedEvent](
    name="statistics",
    version=2,
    event_types=get_args(CountedEvent),
    tables=("statistics_v2", "statistics_acts_v2"),
    apply=apply,
)

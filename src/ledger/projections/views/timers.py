"""Timers: when something of a decision falls due; only what has a clock, or an override to countersign, has a row."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias, assert_never, get_args

import asyncpg
import msgspec
from msgspec.structs import replace

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    DecisionOverridden,
    DecisionSubmitted,
    InformationProvided,
    InformationRequested,
    Milestone,
    MilestonePassed,
    OverrideCountersigned,
    OverrideLapsed,
)
from ledger.domain.decision.evolving import Ending, evolve
from ledger.domain.decision.state import case_of
from ledger.domain.decision.timing import Clocks, Timer, clocks_of, due_moments
from ledger.domain.event import Utc
from ledger.domain.ids import StreamName
from ledger.projections.projection import Projection, fold_rows, load_rows, must_exist, must_hit
from ledger.store.pool import Connection
from ledger.store.streams import Recorded

TimedEvent: TypeAlias = (
    DecisionSubmitted
    | MilestonePassed
    | InformationRequested
    | InformationProvided
    | Ending
    | OverrideCountersigned
    | OverrideLapsed
)

# One range of the key at a time, in its order: another index of this ledger looks as good while the table is, or is
# known to be, empty, and would be read whole ever after.
# $1 ledger, $2 streams
LOAD: Final = """
select found.*
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select stream, half_at, target_at, deadline_at, pause_seconds, is_stopped, half_passed, breach_passed,
           countersign_by
    from timers_v1
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) found
"""
# $1 ledger; arrays, a decision each: $2 stream, $3 half time, $4 target, $5 deadline, $6 longest pause, $7 is stopped,
# $8 half has passed, $9 breach has passed, $10 countersign by, $11 due at
SAVE: Final = """
insert into timers_v1 (
    ledger_id, stream, half_at, target_at, deadline_at, pause_seconds, is_stopped, half_passed, breach_passed,
    countersign_by, due_at)
select $1, t.stream, t.half_at, t.target_at, t.deadline_at, t.pause_seconds, t.is_stopped, t.half_passed,
       t.breach_passed, t.countersign_by, t.due_at
from unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::integer[], $7::boolean[],
            $8::boolean[], $9::boolean[], $10::timestamptz[], $11::timestamptz[])
    as t(stream, half_at, target_at, deadline_at, pause_seconds, is_stopped, half_passed, breach_passed,
         countersign_by, due_at)
on conflict (ledger_id, stream) do update
set half_at = excluded.half_at, target_at = excluded.target_at, deadline_at = excluded.deadline_at,
    pause_seconds = excluded.pause_seconds, is_stopped = excluded.is_stopped,
    half_passed = excluded.half_passed, breach_passed = excluded.breach_passed,
    countersign_by = excluded.countersign_by, due_at = excluded.due_at
"""
# $1 ledger, $2 streams
CLOSE: Final = "delete from timers_v1 where ledger_id = $1 and stream = any($2)"
# $1 ledger, $2 due up to this moment, $3 and $4 after this moment and stream, $5 at most this many
DUE: Final = """
select stream, half_at, target_at, deadline_at, pause_seconds, is_stopped, half_passed, breach_passed, countersign_by,
       due_at
from views.timers_v1
where ledger_id = $1 and due_at <= $2 and (due_at, stream) > ($3, $4)
order by due_at, stream
limit $5
"""
# $1 ledger, $2 due after this moment
NEXT: Final = """
select due_at from views.timers_v1 where ledger_id = $1 and due_at > $2 order by due_at limit 1
"""
# $1 ledger, $2 due up to this moment, $3 at most this many
BACKLOG: Final = """
select count(*) as timers, min(due_at) as oldest
from (
    select due_at from views.timers_v1 where ledger_id = $1 and due_at <= $2 order by due_at, stream limit $3
) as due
"""


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """The timers of one decision: of its ``clocks`` while it is open, of its override afterwards."""

    stream: StreamName
    clocks: Clocks | None
    countersign_by: Utc | None = None

    def due(self) -> dict[Timer, Utc]:
        """Say what falls due when."""
        moments = {} if self.clocks is None else due_moments(self.clocks)
        return moments if self.countersign_by is None else {**moments, Timer.COUNTERSIGN: self.countersign_by}


class Backlog(msgspec.Struct, frozen=True):
    """How many decisions have something due, and since when the oldest has; ``None``: nothing is."""

    timers: int
    oldest: datetime | None


class After(msgspec.Struct, frozen=True):
    """Where a page ended: go on after it."""

    due_at: datetime
    stream: StreamName


async def due(
    conn: Connection, ledger_id: int, moment: datetime, *, after: After, limit: int
) -> tuple[tuple[Timers, ...], After | None]:
    """Read up to ``limit`` decisions of which something is due at ``moment``, the longest due first.

    The second is where to go on; ``None``: that was all.
    """
    rows = await conn.fetch(DUE, ledger_id, moment, after.due_at, after.stream, limit)
    more = After(rows[-1]["due_at"], rows[-1]["stream"]) if len(rows) == limit else None
    return tuple(_timers(row) for row in rows), more


async def next_after(conn: Connection, ledger_id: int, moment: datetime) -> datetime | None:
    """Say when after ``moment`` the next timer is due; ``None``: there is none."""
    found: datetime | None = await conn.fetchval(NEXT, ledger_id, moment)
    return found


async def backlog(conn: Connection, ledger_id: int, moment: datetime, *, at_most: int) -> Backlog:
    """Count what is due at ``moment`` and has not been seen to, up to ``at_most``."""
    row = await conn.fetchrow(BACKLOG, ledger_id, moment, at_most)
    return Backlog(0, None) if row is None else Backlog(row["timers"], row["oldest"])


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[TimedEvent]]) -> None:
    """Set, move and take away the timers of the batch's decisions."""
    loaded = await load_rows(conn, LOAD, ledger_id, batch)
    before = {StreamName(row["stream"]): _timers(row) for row in loaded}
    after = fold_rows(before, batch, _evolve)
    kept = [row for row in after.values() if row is not None]
    if kept:
        await conn.execute(SAVE, ledger_id, *_columns(kept))
    gone = [stream for stream, row in after.items() if row is None and stream in before]
    if gone:
        must_hit(await conn.execute(CLOSE, ledger_id, gone), len(gone))


def _evolve(row: Timers | None, item: Recorded[TimedEvent]) -> Timers | None:
    event = item.event
    if isinstance(event, Ending):
        return _ended(item.stream, event)
    match event:
        case DecisionSubmitted():
            clocks = clocks_of(case_of(evolve(DECISION.initial, event)))
            return Timers(stream=item.stream, clocks=clocks) if due_moments(clocks) else None
        case MilestonePassed() | InformationRequested() | InformationProvided():
            if isinstance(event, MilestonePassed):
                must_exist(row, item)
            return row and replace(row, clocks=row.clocks and _clocks_after(row.clocks, event))
        case OverrideCountersigned() | OverrideLapsed():
            must_exist(row, item)
            return None
        case _:
            assert_never(event)


def _ended(stream: StreamName, event: Ending) -> Timers | None:
    """Keep until when an override is to be countersigned; after any other end nothing falls due."""
    if not isinstance(event, DecisionOverridden):
        return None
    return Timers(stream=stream, clocks=None, countersign_by=event.countersign_by)


def _clocks_after(
    clocks: Clocks, event: MilestonePassed | InformationRequested | InformationProvided
) -> Clocks:
    match event:
        case MilestonePassed():
            return replace(clocks, passed=(*clocks.passed, event.milestone))
        case InformationRequested():
            return replace(clocks, is_stopped=event.pauses_clock)
        case InformationProvided():
            return replace(
                clocks,
                half_at=_half_after(clocks, event),
                target_at=event.target_at,
                deadline_at=event.deadline_at,
                is_stopped=False,
            )
        case _:
            assert_never(event)


def _half_after(clocks: Clocks, event: InformationProvided) -> Utc | None:
    """Half time moves with what it is half the way to."""
    before, now = clocks.target_at or clocks.deadline_at, event.target_at or event.deadline_at
    if clocks.half_at is None or before is None or now is None:
        return None
    return clocks.half_at + (now - before)


def _columns(rows: Sequence[Timers]) -> tuple[list[object], ...]:
    clocks = [row.clocks for row in rows]
    return (
        [row.stream for row in rows],
        [each and each.half_at for each in clocks],
        [each and each.target_at for each in clocks],
        [each and each.deadline_at for each in clocks],
        [0 if each is None else each.pause_seconds for each in clocks],
        [each is not None and each.is_stopped for each in clocks],
        [each is not None and Milestone.HALF_TIME in each.passed for each in clocks],
        [each is not None and Milestone.BREACH in each.passed for each in clocks],
        [row.countersign_by for row in rows],
        [min(row.due().values(), default=None) for row in rows],
    )


def _timers(row: asyncpg.Record) -> Timers:
    if row["countersign_by"] is not None:
        return Timers(stream=row["stream"], clocks=None, countersign_by=row["countersign_by"])
    noted = ((Milestone.HALF_TIME, row["half_passed"]), (Milestone.BREACH, row["breach_passed"]))
    clocks = Clocks(
        half_at=row["half_at"],
        target_at=row["target_at"],
        deadline_at=row["deadline_at"],
        pause_seconds=row["pause_seconds"],
        is_stopped=row["is_stopped"],
        passed=tuple(milestone for milestone, has_passed in noted if has_passed),
    )
    return Timers(stream=row["stream"], clocks=clocks)


TIMERS: Final = Projection[TimedEvent](
    name="timers",
    version=1,
    event_types=get_args(TimedEvent),
    tables=("timers_v1",),
    apply=apply,
    is_awaited=False,
)

"""The queue: open decisions, the most urgent and then the oldest first; a verdict takes one off."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, get_args

import asyncpg
import msgspec
from msgspec.structs import replace

from ledger.domain.decision.events import (
    CommentAdded,
    DecisionCancelled,
    DecisionEvent,
    DecisionExpired,
    DecisionOverridden,
    DecisionResolved,
    DecisionSubmitted,
    DecisionSuperseded,
    DecisionWithdrawn,
    OutcomeReported,
    OverrideCountersigned,
    OverrideLapsed,
    Priority,
    ResponseRedeemed,
)
from ledger.domain.decision.state import Status
from ledger.domain.ids import START, DecisionId, PersonId, Position, StreamName, Version
from ledger.projections.projection import (
    Projection,
    fold_rows,
    must_exist,
    must_hit,
    streams_of,
)
from ledger.projections.standing import Standing, standing_columns, standing_of, stands_after
from ledger.projections.submission import RANKS, written
from ledger.store.pool import Connection
from ledger.store.streams import Recorded

LAST_RANK: Final = max(RANKS.values())

# One range of the key at a time, in its order: another index of this ledger looks as good while the table is, or is
# known to be, empty, and would be read whole ever after.
# $1 ledger, $2 streams
LOAD: Final = """
select found.*
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select stream, level, lease_id, holder, fencing_token, expires_at, version
    from queue_v1
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) found
"""
# $1 ledger; arrays, a decision each: $2 stream, $3 analysis id, $4 priority, $5 rank, $6 position,
# $7 submission, $8 submitted by, $9 submitted at, $10 level, $11 lease, $12 holder, $13 fencing token,
# $14 expires at, $15 version
OPEN: Final = """
insert into queue_v1 (
    ledger_id, stream, analysis_id, priority, rank, position, submission, submitted_by, submitted_at,
    level, lease_id, holder, fencing_token, expires_at, version)
select $1, o.stream, o.analysis_id, o.priority, o.rank, o.position, o.submission, o.submitted_by,
       o.submitted_at, o.level, o.lease_id, o.holder, o.fencing_token, o.expires_at, o.version
from unnest($2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[], $7::text[], $8::uuid[],
            $9::timestamptz[], $10::integer[], $11::uuid[], $12::uuid[], $13::integer[], $14::timestamptz[],
            $15::integer[])
    as o(stream, analysis_id, priority, rank, position, submission, submitted_by, submitted_at, level,
         lease_id, holder, fencing_token, expires_at, version)
"""
# "any" says once more what the join says: a plan made while the table is empty would else read all of it.
# $1 ledger; arrays, a decision each: $2 stream, $3 level, $4 lease, $5 holder, $6 fencing token,
# $7 expires at, $8 version
MOVE: Final = """
update queue_v1 as q
set level = m.level, lease_id = m.lease_id, holder = m.holder, fencing_token = m.fencing_token,
    expires_at = m.expires_at, version = m.version
from unnest($2::text[], $3::integer[], $4::uuid[], $5::uuid[], $6::integer[], $7::timestamptz[],
            $8::integer[])
    as m(stream, level, lease_id, holder, fencing_token, expires_at, version)
where q.ledger_id = $1 and q.stream = any($2) and q.stream = m.stream
"""
# $1 ledger, $2 streams
CLOSE: Final = "delete from queue_v1 where ledger_id = $1 and stream = any($2)"
# $1 ledger, $2 and $3 after this rank and position, $4 up to this rank, $5 at most this many
PAGE: Final = """
select stream, analysis_id, priority, rank, position, submission, submitted_by, submitted_at, level,
       lease_id, holder, fencing_token, expires_at, version
from views.queue_v1
where ledger_id = $1 and (rank, position) > ($2, $3) and rank <= $4
order by rank, position
limit $5
"""


class Cursor(msgspec.Struct, frozen=True):
    """Where a page ended: go on after it."""

    rank: int
    position: Position


class QueueItem(msgspec.Struct, frozen=True, kw_only=True):
    """An open decision; ``submission`` is the wire item as JSON, ``position`` where it was submitted."""

    stream: StreamName
    decision_id: DecisionId
    priority: Priority
    rank: int
    position: Position
    submission: bytes
    submitted_by: PersonId
    submitted_at: datetime
    standing: Standing
    version: Version

    def status_at(self, now: datetime) -> Status:
        """Say how it stands at ``now``."""
        return self.standing.status_at(now)

    def cursor(self) -> Cursor:
        """Mark this item as the last of a page."""
        return Cursor(self.rank, self.position)


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """What events can change; ``opening`` is the submission while it is not yet in the table."""

    version: Version
    standing: Standing
    opening: tuple[Position, DecisionSubmitted] | None = None


async def page(
    conn: Connection, ledger_id: int, *, priority: Priority | None, limit: int, after: Cursor | None
) -> tuple[QueueItem, ...]:
    """Read up to ``limit`` open decisions in order, of one ``priority`` or of all (``None``)."""
    first, last = (0, LAST_RANK) if priority is None else (RANKS[priority], RANKS[priority])
    start = (first, START) if after is None else max((first, START), (after.rank, after.position))
    rows = await conn.fetch(PAGE, ledger_id, *start, last, limit)
    return tuple(_item(row) for row in rows)


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[DecisionEvent]]) -> None:
    """Open, move and close what the batch says."""
    before = await _load(conn, ledger_id, streams_of(batch))
    after = fold_rows(before, batch, _evolve)
    kept = [(stream, row) for stream, row in after.items() if row is not None]
    await _open(conn, ledger_id, [(stream, row) for stream, row in kept if row.opening is not None])
    await _move(conn, ledger_id, [(stream, row) for stream, row in kept if row.opening is None])
    closed = [stream for stream, row in after.items() if row is None and stream in before]
    if closed:
        must_hit(await conn.execute(CLOSE, ledger_id, closed), len(closed))


def _evolve(row: _Row | None, item: Recorded[DecisionEvent]) -> _Row | None:
    event = item.event
    match event:
        case DecisionSubmitted():
            return _Row(version=item.version, standing=Standing(), opening=(item.position, event))
        case (
            DecisionResolved()
            | DecisionOverridden()
            | DecisionExpired()
            | DecisionWithdrawn()
            | DecisionCancelled()
            | DecisionSuperseded()
        ):
            must_exist(row, item)
            return None
        case (
            CommentAdded()
            | OverrideCountersigned()
            | OverrideLapsed()
            | ResponseRedeemed()
            | OutcomeReported()
        ):
            return None if row is None else replace(row, version=item.version)  # it may be off the queue
        case _:
            row = must_exist(row, item)
            return replace(row, version=item.version, standing=stands_after(row.standing, event))


async def _load(conn: Connection, ledger_id: int, streams: Sequence[StreamName]) -> dict[StreamName, _Row]:
    return {
        StreamName(row["stream"]): _Row(version=row["version"], standing=standing_of(row))
        for row in await conn.fetch(LOAD, ledger_id, streams)
    }


async def _open(conn: Connection, ledger_id: int, rows: Sequence[tuple[StreamName, _Row]]) -> None:
    opened = [(stream, row, *row.opening) for stream, row in rows if row.opening is not None]
    if not opened:
        return
    await conn.execute(
        OPEN,
        ledger_id,
        [stream for stream, _, _, _ in opened],
        [event.decision_id for _, _, _, event in opened],
        [event.priority.value for _, _, _, event in opened],
        [RANKS[event.priority] for _, _, _, event in opened],
        [position for _, _, position, _ in opened],
        [written(event) for _, _, _, event in opened],
        [event.submitted_by for _, _, _, event in opened],
        [event.at for _, _, _, event in opened],
        *standing_columns([row.standing for _, row, _, _ in opened]),
        [row.version for _, row, _, _ in opened],
    )


async def _move(conn: Connection, ledger_id: int, rows: Sequence[tuple[StreamName, _Row]]) -> None:
    if not rows:
        return
    status = await conn.execute(
        MOVE,
        ledger_id,
        [stream for stream, _ in rows],
        *standing_columns([row.standing for _, row in rows]),
        [row.version for _, row in rows],
    )
    must_hit(status, len(rows))


def _item(row: asyncpg.Record) -> QueueItem:
    return QueueItem(
        stream=row["stream"],
        decision_id=row["analysis_id"],
        priority=Priority(row["priority"]),
        rank=row["rank"],
        position=row["position"],
        submission=row["submission"].encode(),
        submitted_by=row["submitted_by"],
        submitted_at=row["submitted_at"],
        standing=standing_of(row),
        version=row["version"],
    )


QUEUE: Final = Projection[DecisionEvent](
    name="queue",
    version=1,
    event_types=get_args(DecisionEvent),
    tables=("queue_v1",),
    apply=apply,
)

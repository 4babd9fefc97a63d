"""The queue: open decisions, the most urgent and then the oldest first; an end takes one off."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, get_args

import asyncpg
import msgspec

from ledger.domain.decision.events import DecisionEvent, Priority
from ledger.domain.decision.state import Status
from ledger.domain.ids import START, DecisionId, Digest, PersonId, Position, StreamName, Version
from ledger.projections.projection import Projection, add_rows, columns_of, fold_rows, load_rows, must_hit
from ledger.projections.queue_row import QueueRow, evolve
from ledger.projections.standing import Standing, standing_of, standing_values
from ledger.projections.submission import RANKS
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
    select stream, priority, rank, null as submission, subject_digest, level, lease_id, holder, fencing_token,
           expires_at, session, groups, escalators, voters, assigned_to, asked_at, waits_until, deadline_at, target_at,
           version, analysis_id, kind, kind_version, asked_priority, position, created_at, submitted_by,
           on_behalf_of, submitted_at, four_eyes, information_seconds
    from queue_v2
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) found
"""
# In the order of _moving and _lasting.
OPENED: Final = """
ledger_id, stream, priority, rank, submission, subject_digest, level, lease_id, holder, fencing_token,
expires_at, session, groups, escalators, voters, assigned_to, asked_at, waits_until, deadline_at, target_at,
version, analysis_id, kind, kind_version, asked_priority, position, created_at, submitted_by, on_behalf_of,
submitted_at, four_eyes, information_seconds
"""
# Each row is found by its key and changed where it lies: a join by the key would, planned while the table is small or
# not known, compare every row of the batch with every other.
# $1 ledger; arrays, a decision each: $2 stream, $3 priority, $4 rank, $5 submission (null where it stays as it is), $6
# subject digest, $7 level, $8 lease id, $9 holder, $10 fencing token, $11 expires at, $12 session, $13 groups, $14
# escalators, $15 voters, $16 assigned to, $17 asked at, $18 waits until, $19 deadline at, $20 target at, $21 version;
# groups, escalators and voters between commas
MOVE: Final = """
update queue_v2 as q
set priority = m.priority, rank = m.rank, submission = coalesce(m.submission, q.submission),
    subject_digest = m.subject_digest, level = m.level, lease_id = m.lease_id, holder = m.holder, fencing_token = m.fencing_token,
    expires_at = m.expires_at, session = m.session, groups = m.groups,
    escalators = string_to_array(m.escalators, ',')::uuid[], voters = string_to_array(m.voters, ',')::uuid[], assigned_to = m.assigned_to, asked_at = m.asked_at,
    waits_until = m.waits_until, deadline_at = m.deadline_at, target_at = m.target_at, version = m.version
from unnest($2::text[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::integer[], $8::uuid[], $9::uuid[],
            $10::integer[], $11::timestamptz[], $12::uuid[], $13::text[], $14::text[], $15::text[], $16::uuid[],
            $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::timestamptz[], $21::integer[])
    as m(stream, priority, rank, submission, subject_digest, level, lease_id, holder, fencing_token, expires_at,
         session, groups, escalators, voters, assigned_to, asked_at, waits_until, deadline_at, target_at, version)
cross join lateral (
    select ctid as place from queue_v2
    where ledger_id = $1 and stream >= m.stream and stream <= m.stream
    order by stream
    limit 1
) found
where q.ledger_id = $1 and q.ctid = found.place
"""
# $1 ledger, $2 streams
CLOSE: Final = "delete from queue_v2 where ledger_id = $1 and stream = any($2)"
# $1 ledger, $2 and $3 after this rank and position, $4 up to this rank, $5 at most this many, $6 now
PAGE: Final = """
select stream, analysis_id, kind, asked_priority, priority, rank, position, submission, subject_digest, submitted_by,
       submitted_at, groups, assigned_to, level, lease_id, holder, fencing_token, expires_at, asked_at, deadline_at,
       target_at, version
from views.queue_v2
where ledger_id = $1 and (rank, position) > ($2, $3) and rank <= $4 and (deadline_at is null or deadline_at > $6)
order by rank, position
limit $5
"""
# $1 to $6 as in PAGE, $7 kind and $8 level (null: any)
CHOSEN: Final = """
select stream, analysis_id, kind, asked_priority, priority, rank, position, submission, subject_digest, submitted_by,
       submitted_at, groups, assigned_to, level, lease_id, holder, fencing_token, expires_at, asked_at, deadline_at,
       target_at, version
from views.queue_v2
where ledger_id = $1 and (rank, position) > ($2, $3) and rank <= $4 and (deadline_at is null or deadline_at > $6)
  and ($7::text is null or kind = $7) and ($8::integer is null or level = $8)
order by rank, position
limit $5
"""
# $1 to $8 as in CHOSEN, $9 who holds it, $10 who it is assigned to (null: anybody or nobody)
HELD: Final = """
select stream, analysis_id, kind, asked_priority, priority, rank, position, submission, subject_digest, submitted_by,
       submitted_at, groups, assigned_to, level, lease_id, holder, fencing_token, expires_at, asked_at, deadline_at,
       target_at, version
from views.queue_v2
where ledger_id = $1 and (rank, position) > ($2, $3) and rank <= $4 and (deadline_at is null or deadline_at > $6)
  and ($7::text is null or kind = $7) and ($8::integer is null or level = $8)
  and holder = $9 and expires_at > $6 and ($10::uuid is null or assigned_to = $10)
order by rank, position
limit $5
"""
# $1 to $8 as in CHOSEN, $9 who it is assigned to
ASSIGNED: Final = """
select stream, analysis_id, kind, asked_priority, priority, rank, position, submission, subject_digest, submitted_by,
       submitted_at, groups, assigned_to, level, lease_id, holder, fencing_token, expires_at, asked_at, deadline_at,
       target_at, version
from views.queue_v2
where ledger_id = $1 and (rank, position) > ($2, $3) and rank <= $4 and (deadline_at is null or deadline_at > $6)
  and ($7::text is null or kind = $7) and ($8::integer is null or level = $8) and assigned_to = $9
order by rank, position
limit $5
"""


class Cursor(msgspec.Struct, frozen=True):
    """Where a page ended: go on after it."""

    rank: int
    position: Position


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which open decisions are asked for; ``None``: all of them, whatever that is."""

    priority: Priority | None = None
    kind: str | None = None
    level: int | None = None
    holder: PersonId | None = None
    assigned_to: PersonId | None = None


class QueueItem(msgspec.Struct, frozen=True, kw_only=True):
    """An open decision; ``submission`` is the wire item as JSON, ``position`` where it was submitted.

    ``submission`` and the digest hold ``asked_priority``; ``priority`` is what holds now. ``asked_at`` is when its
    submitter was asked what they have not answered.
    """

    stream: StreamName
    decision_id: DecisionId
    kind: str
    asked_priority: Priority
    priority: Priority
    rank: int
    position: Position
    submission: bytes
    subject_digest: Digest
    submitted_by: PersonId
    submitted_at: datetime
    groups: tuple[str, ...]
    assigned_to: PersonId | None
    standing: Standing
    asked_at: datetime | None
    deadline_at: datetime | None
    target_at: datetime | None
    version: Version

    def status_at(self, now: datetime) -> Status:
        """Say how it stands at ``now``; past its deadline it is ``expired``, written down or not."""
        if self.deadline_at is not None and now >= self.deadline_at:
            return Status.EXPIRED
        return self.standing.status_at(now)

    def cursor(self) -> Cursor:
        """Mark this item as the last of a page."""
        return Cursor(self.rank, self.position)


ALL: Final = Choice()
"""Every open decision."""


async def page(
    conn: Connection,
    ledger_id: int,
    *,
    now: datetime,
    limit: int,
    after: Cursor | None,
    choice: Choice = ALL,
) -> tuple[QueueItem, ...]:
    """Read up to ``limit`` decisions that are open at ``now``, in order."""
    wanted = choice.priority
    first, last = (0, LAST_RANK) if wanted is None else (RANKS[wanted], RANKS[wanted])
    start = (first, START) if after is None else max((first, START), (after.rank, after.position))
    statement, binds = _asking(choice)
    rows = await conn.fetch(statement, ledger_id, *start, last, limit, now, *binds)
    return tuple(_item(row) for row in rows)


def _asking(choice: Choice) -> tuple[str, tuple[object, ...]]:
    """Choose the statement that reads no more than it has to."""
    more = (choice.kind, choice.level)
    if choice.holder is not None:
        return HELD, (*more, choice.holder, choice.assigned_to)
    if choice.assigned_to is not None:
        return ASSIGNED, (*more, choice.assigned_to)
    return (PAGE, ()) if more == (None, None) else (CHOSEN, more)


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[DecisionEvent]]) -> None:
    """Open, move and close what the batch says."""
    loaded = await load_rows(conn, LOAD, ledger_id, batch)
    before = {StreamName(row["stream"]): _row(row) for row in loaded}
    after = fold_rows(before, batch, evolve)
    kept = [row for row in after.values() if row is not None]
    opened = [row for row in kept if row.stream not in before]
    if opened:
        records = [(ledger_id, *_moving(row), *_lasting(row)) for row in opened]
        await add_rows(conn, "queue_v2", OPENED, records)
    moved = [row for row in kept if row.stream in before]
    if moved:
        must_hit(await conn.execute(MOVE, ledger_id, *columns_of(map(_moving, moved))), len(moved))
    closed = [stream for stream, row in after.items() if row is None and stream in before]
    if closed:
        must_hit(await conn.execute(CLOSE, ledger_id, closed), len(closed))


def _moving(row: QueueRow) -> tuple[object, ...]:
    """Give what events change, as MOVE names it."""
    return (
        *(row.stream, row.priority.value, RANKS[row.priority], row.submission, row.subject_digest),
        *standing_values(row.standing),
        *(row.session, ",".join(row.groups), row.escalators, row.voters, row.assigned_to, row.asked_at),
        *(row.waits_until, row.deadline_at, row.target_at, row.version),
    )


def _lasting(row: QueueRow) -> tuple[object, ...]:
    """Give what stays."""
    return (
        *(row.decision_id, row.kind, row.kind_version, row.asked_priority.value, row.position),
        *(row.created_at, row.submitted_by, row.on_behalf_of, row.submitted_at),
        *(row.four_eyes, row.information_seconds),
    )


def _row(row: asyncpg.Record) -> QueueRow:
    return QueueRow(
        stream=row["stream"],
        decision_id=row["analysis_id"],
        kind=row["kind"],
        kind_version=row["kind_version"],
        asked_priority=Priority(row["asked_priority"]),
        priority=Priority(row["priority"]),
        position=row["position"],
        submission=row["submission"],
        subject_digest=row["subject_digest"],
        created_at=row["created_at"],
        submitted_by=row["submitted_by"],
        on_behalf_of=row["on_behalf_of"],
        submitted_at=row["submitted_at"],
        four_eyes=row["four_eyes"],
        groups=_groups(row),
        information_seconds=row["information_seconds"],
        deadline_at=row["deadline_at"],
        target_at=row["target_at"],
        version=row["version"],
        standing=standing_of(row),
        session=row["session"],
        escalators=tuple(row["escalators"]),
        voters=tuple(row["voters"]),
        assigned_to=row["assigned_to"],
        asked_at=row["asked_at"],
    )


def _groups(row: asyncpg.Record) -> tuple[str, ...]:
    return tuple(row["groups"].split(",")) if row["groups"] else ()


def _item(row: asyncpg.Record) -> QueueItem:
    return QueueItem(
        stream=row["stream"],
        decision_id=row["analysis_id"],
        kind=row["kind"],
        asked_priority=Priority(row["asked_priority"]),
        priority=Priority(row["priority"]),
        rank=row["rank"],
        position=row["position"],
        submission=row["submission"].encode(),
        subject_digest=row["subject_digest"],
        submitted_by=row["submitted_by"],
        submitted_at=row["submitted_at"],
        groups=_groups(row),
        assigned_to=row["assigned_to"],
        standing=standing_of(row),
        asked_at=row["asked_at"],
        deadline_at=row["deadline_at"],
        target_at=row["target_at"],
        version=row["version"],
    )


QUEUE: Final = Projection[DecisionEvent](
    name="queue",
    version=2,
    event_types=get_args(DecisionEvent),
    tables=("queue_v2",),
    apply=apply,
)

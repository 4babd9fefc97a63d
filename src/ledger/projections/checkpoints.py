"""How far each projection has come: one row each, moved by compare-and-set, told to whoever waits.

Everything that changes what a projection accounts for locks its row first: a batch, a retry, a replay. So they
take turns, whichever process they run in.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.domain.ids import START, EventId, Position
from ledger.projections.projection import Feed
from ledger.store.pool import Connection
from ledger.store.streams import Stored

VIEW_MOVED_CHANNEL: Final = "ledger_view_moved"

# $1 ledger, $2 projection, $3 version
BEGIN: Final = """
insert into views.checkpoints (
    ledger_id, projection, version, position, events_applied, events_not_wanted, updated_at)
values ($1, $2, $3, 0, 0, 0, clock_timestamp())
on conflict (ledger_id, projection, version) do nothing
"""
# $1 ledger, $2 projection, $3 version
READ: Final = """
select position, events_parked as parked, paused_at is not null as is_paused from views.checkpoints
where ledger_id = $1 and projection = $2 and version = $3
"""
# A process that falls asleep in its transaction must not keep the others from the row for long. And a plan made
# while a table is known to be empty would read all of it ever after, however it has grown: without sequential
# scans it goes by the key.
# $1 ledger, $2 projection, $3 version, $4 search path, $5 synchronous_commit
LOCK: Final = """
select position, events_parked as parked, paused_at is not null as is_paused,
       set_config('search_path', $4, true), set_config('synchronous_commit', $5, true),
       set_config('idle_in_transaction_session_timeout', '5s', true), set_config('enable_seqscan', 'off', true)
from views.checkpoints
where ledger_id = $1 and projection = $2 and version = $3
for update
"""
# $1 ledger, $2 projection, $3 version, $4 previous position, $5 new position, $6 applied, $7 not wanted,
# $8 parked, $9 last event id, $10 last event type, $11 channel
MOVE: Final = """
with moved as (
    update views.checkpoints
    set position = $5, events_applied = events_applied + $6, events_not_wanted = events_not_wanted + $7,
        events_parked = events_parked + $8, last_event_id = $9, last_event_type = $10,
        updated_at = clock_timestamp()
    where ledger_id = $1 and projection = $2 and version = $3 and position = $4
    returning ledger_id, projection, version, position, events_parked, paused_at
)
select pg_notify($11, format('%s %s %s %s %s %s', ledger_id, projection, version, position, events_parked,
                             (paused_at is not null)::integer)) is not null
from moved
"""
# $1 ledger, $2 projection, $3 version, $4 applied, $5 parked, $6 skipped, $7 channel
RECKON: Final = """
with reckoned as (
    update views.checkpoints
    set events_applied = events_applied + $4, events_parked = events_parked + $5,
        events_skipped = events_skipped + $6
    where ledger_id = $1 and projection = $2 and version = $3
    returning ledger_id, projection, version, position, events_parked, paused_at
)
select pg_notify($7, format('%s %s %s %s %s %s', ledger_id, projection, version, position, events_parked,
                            (paused_at is not null)::integer)) is not null
from reckoned
"""
# $1 ledger, $2 projection, $3 version, $4 to pause, $5 channel
PAUSE: Final = """
with told as (
    update views.checkpoints
    set paused_at = case when $4 then clock_timestamp() end
    where ledger_id = $1 and projection = $2 and version = $3
    returning ledger_id, projection, version, position, events_parked, paused_at
)
select pg_notify($5, format('%s %s %s %s %s %s', ledger_id, projection, version, position, events_parked,
                            (paused_at is not null)::integer)) is not null
from told
"""
# $1 ledger, arrays: $2 projections, $3 their versions
LOOK: Final = """
select asked.projection, coalesce(c.position, 0) as position, coalesce(c.events_parked, 0) as parked,
       c.paused_at is not null as is_paused, head.position as head
from unnest($2::text[], $3::integer[]) as asked(projection, version)
cross join (select coalesce(max(e.position), 0) as position from ledger.events e where e.ledger_id = $1) as head
left join views.checkpoints c
  on c.ledger_id = $1 and c.projection = asked.projection and c.version = asked.version
"""


class CheckpointMoved(Exception):
    """Another process has moved the checkpoint: what was applied on top of it must be rolled back."""


class Paused(Exception):
    """Somebody has paused the projection: nothing may be applied."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a projection stands; ``parked`` counts the events that wait for their sequence's repair."""

    position: Position
    parked: int
    is_paused: bool


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One move of a checkpoint: every position from ``previous`` (exclusive) to ``position`` accounted for.

    ``parked`` counts those that were parked by it, ``parked_before`` those that were already; ``wanted`` are the events
    that it was about, applied or not.
    """

    previous: Position
    position: Position
    applied: int
    not_wanted: int
    last_event_id: EventId
    last_event_type: str
    wanted: Sequence[Stored]
    parked: int = 0
    parked_before: int = 0

    def checkpoint(self) -> Checkpoint:
        """Say where the projection stands after it."""
        return Checkpoint(position=self.position, parked=self.parked_before + self.parked, is_paused=False)


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """A projection's checkpoint as it was seen beside the log's ``head``."""

    checkpoint: Checkpoint
    head: Position


async def read_checkpoint(conn: Connection, ledger_id: int, feed: Feed) -> Checkpoint:
    """Read where a projection stands, beginning its row if there is none."""
    await conn.execute(BEGIN, ledger_id, feed.name, feed.version)
    row = await conn.fetchrow(READ, ledger_id, feed.name, feed.version)
    return msgspec.convert(dict(row or {}), Checkpoint)


async def read_position(conn: Connection, ledger_id: int, feed: Feed) -> Position:
    """Read how far a projection has come, beginning its row if there is none."""
    return (await read_checkpoint(conn, ledger_id, feed)).position


async def lock(conn: Connection, ledger_id: int, feed: Feed, *, is_lazy: bool = False) -> Checkpoint:
    """Lock a projection's row in the caller's transaction, whose statements then find its tables and no others.

    ``is_lazy``: the commit does not wait for the disk, which is for batches alone: what they lose in a crash is made
    again.

    Raises:
        CheckpointMoved: there is no such row (any more).
    """
    asked = (ledger_id, feed.name, feed.version, feed.schema, "off" if is_lazy else "on")
    row = await conn.fetchrow(LOCK, *asked)
    if (
        row is None
    ):  # whoever waited for an exchange of rows finds the row that has the name now by looking again
        row = await conn.fetchrow(LOCK, *asked)
    if row is None:
        raise CheckpointMoved
    return Checkpoint(position=row["position"], parked=row["parked"], is_paused=row["is_paused"])


async def move(conn: Connection, ledger_id: int, feed: Feed, step: Step) -> None:
    """Move a checkpoint in the caller's transaction, and tell whoever waits once that commits.

    Raises:
        CheckpointMoved: it is not at ``step.previous``.
    """
    moved = await conn.fetchval(
        MOVE,
        ledger_id,
        feed.name,
        feed.version,
        step.previous,
        step.position,
        step.applied,
        step.not_wanted,
        step.parked,
        step.last_event_id,
        step.last_event_type,
        VIEW_MOVED_CHANNEL,
    )
    if not moved:
        raise CheckpointMoved


async def reckon(
    conn: Connection, ledger_id: int, feed: Feed, *, applied: int = 0, parked: int = 0, skipped: int = 0
) -> None:
    """Account anew, by differences that add up to nothing, for positions that the checkpoint has passed."""
    await conn.fetchval(
        RECKON, ledger_id, feed.name, feed.version, applied, parked, skipped, VIEW_MOVED_CHANNEL
    )


async def set_paused(conn: Connection, ledger_id: int, feed: Feed, *, to: bool) -> None:
    """Let a projection stand where it is, or go on, from the next batch on."""
    await conn.execute(BEGIN, ledger_id, feed.name, feed.version)
    await conn.fetchval(PAUSE, ledger_id, feed.name, feed.version, to, VIEW_MOVED_CHANNEL)


async def look(conn: Connection, ledger_id: int, feeds: Sequence[Feed]) -> dict[str, Sight]:
    """See how far the log and each of ``feeds`` have come, in one query."""
    names, versions = [feed.name for feed in feeds], [feed.version for feed in feeds]
    return {
        row["projection"]: Sight(
            checkpoint=Checkpoint(position=row["position"], parked=row["parked"], is_paused=row["is_paused"]),
            head=row["head"],
        )
        for row in await conn.fetch(LOOK, ledger_id, names, versions)
    }


def start() -> Checkpoint:
    """Stand before the first event."""
    return Checkpoint(position=START, parked=0, is_paused=False)

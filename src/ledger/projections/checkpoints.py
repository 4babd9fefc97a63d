"""How far each projection has come: one row each, moved by compare-and-set, told to whoever waits."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.domain.ids import START, EventId, Position
from ledger.projections.projection import Feed
from ledger.store.pool import Connection

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
select position from views.checkpoints where ledger_id = $1 and projection = $2 and version = $3
"""
# $1 ledger, $2 projection, $3 version, $4 previous position, $5 new position, $6 applied, $7 not wanted,
# $8 last event id, $9 last event type, $10 channel
MOVE: Final = """
with moved as (
    update views.checkpoints
    set position = $5, events_applied = events_applied + $6, events_not_wanted = events_not_wanted + $7,
        last_event_id = $8, last_event_type = $9, updated_at = clock_timestamp()
    where ledger_id = $1 and projection = $2 and version = $3 and position = $4
    returning ledger_id, projection, version, position
)
select pg_notify($10, format('%s %s %s %s', ledger_id, projection, version, position)) is not null from moved
"""
# $1 ledger, arrays: $2 projections, $3 their versions
LOOK: Final = """
select asked.projection, asked.version, coalesce(c.position, 0) as position,
       (select coalesce(max(e.position), 0) from ledger.events e where e.ledger_id = $1) as head
from unnest($2::text[], $3::integer[]) as asked(projection, version)
left join views.checkpoints c
  on c.ledger_id = $1 and c.projection = asked.projection and c.version = asked.version
"""


class CheckpointMoved(Exception):
    """Another process has moved the checkpoint: what was applied on top of it must be rolled back."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One move of a checkpoint: every position from ``previous`` (exclusive) to ``position`` accounted for."""

    previous: Position
    position: Position
    applied: int
    not_wanted: int
    last_event_id: EventId
    last_event_type: str


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything was at one moment: the log's last position and each projection's."""

    head: Position
    positions: dict[str, Position]


async def read_position(conn: Connection, ledger_id: int, feed: Feed) -> Position:
    """Read how far a projection has come, beginning its checkpoint if it has none."""
    await conn.execute(BEGIN, ledger_id, feed.name, feed.version)
    return Position(await conn.fetchval(READ, ledger_id, feed.name, feed.version))


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
        step.last_event_id,
        step.last_event_type,
        VIEW_MOVED_CHANNEL,
    )
    if not moved:
        raise CheckpointMoved


async def look(conn: Connection, ledger_id: int, feeds: Sequence[Feed]) -> Sighting:
    """See how far the log and each of ``feeds`` have come, in one query."""
    names, versions = [feed.name for feed in feeds], [feed.version for feed in feeds]
    rows = await conn.fetch(LOOK, ledger_id, names, versions)
    return Sighting(
        head=max((Position(row["head"]) for row in rows), default=START),
        positions={row["projection"]: Position(row["position"]) for row in rows},
    )

"""Rebuilds as they are asked for, worked on and ended: one row for the latest of each projection."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from ledger.domain.event import Utc
from ledger.domain.ids import Position, RebuildId
from ledger.projections.accounts import built, kept
from ledger.projections.comparing import Comparison
from ledger.projections.failures import Failure, list_of
from ledger.projections.projection import Feed
from ledger.store.pool import Connection

LEASE_SECONDS: Final = 5.0
TOLD: Final = 20

# $1 ledger, $2 projection, $3 version, $4 rebuild, $5 kind, $6 accept failures
ASK: Final = """
insert into views.rebuilds (ledger_id, projection, version, rebuild_id, kind, state, accept_failures, asked_at)
values ($1, $2, $3, $4, $5, 'asked', $6, clock_timestamp())
on conflict (ledger_id, projection, version) do update
set rebuild_id = excluded.rebuild_id, kind = excluded.kind, state = excluded.state,
    accept_failures = excluded.accept_failures, asked_at = excluded.asked_at, owner = null, until = null,
    worked_since = null, worked_from = 0, ended_at = null, position = null, events_applied = null,
    events_parked = null, error = null, diff = null
"""
# A claim that nobody can have made was left by a clock that leapt, or by somebody's hand.
# A rollback begins with what the kept rows account for.
# $1 ledger, $2 owner, $3 seconds, arrays: $4 projections, $5 their versions, $6 their names while built, $7 while kept
CLAIM: Final = """
update views.rebuilds r
set owner = $2, until = clock_timestamp() + make_interval(secs => $3), worked_since = clock_timestamp(),
    worked_from = claimable.reached
from (
    select w.projection, w.version, coalesce(c.position, k.position, 0) as reached
    from views.rebuilds w
    join unnest($4::text[], $5::integer[], $6::text[], $7::text[]) as known(projection, version, built, kept)
      on known.projection = w.projection and known.version = w.version
    left join views.checkpoints c
      on c.ledger_id = $1 and c.projection = known.built and c.version = known.version
    left join views.checkpoints k
      on k.ledger_id = $1 and k.projection = known.kept and k.version = known.version and w.kind = 'rollback'
    where w.ledger_id = $1 and w.ended_at is null
      and (w.until is null or w.until < clock_timestamp()
           or w.until > clock_timestamp() + 10 * make_interval(secs => $3))
    order by w.asked_at
    limit 1
    for update of w skip locked
) claimable
where r.ledger_id = $1 and r.projection = claimable.projection and r.version = claimable.version
returning r.projection, r.rebuild_id, r.kind, r.state, r.accept_failures, r.diff
"""
# $1 ledger, $2 rebuild, $3 owner, $4 seconds
RENEW: Final = """
update views.rebuilds set until = clock_timestamp() + make_interval(secs => $4)
where ledger_id = $1 and rebuild_id = $2 and owner = $3 and ended_at is null
"""
# $1 ledger, $2 rebuild, $3 owner
RELEASE: Final = """
update views.rebuilds set owner = null, until = null where ledger_id = $1 and rebuild_id = $2 and owner = $3
"""
# $1 ledger, $2 rebuild, $3 owner, $4 state, $5 diff (null: as it was)
ENTER: Final = """
update views.rebuilds set state = $4, diff = coalesce($5, diff)
where ledger_id = $1 and rebuild_id = $2 and owner = $3 and ended_at is null
"""
# $1 ledger, $2 rebuild, $3 state, $4 position, $5 applied, $6 parked, $7 error
END: Final = """
update views.rebuilds
set state = $3, position = $4, events_applied = $5, events_parked = $6, error = $7, ended_at = clock_timestamp(),
    owner = null, until = null
where ledger_id = $1 and rebuild_id = $2 and ended_at is null
"""
# $1 ledger, $2 projection, $3 version
HOLD: Final = """
select from views.rebuilds where ledger_id = $1 and projection = $2 and version = $3 for update
"""
# $1 ledger, $2 projection, $3 version, $4 its name while built, $5 seconds of a claim
FIND: Final = """
select r.rebuild_id, r.kind, r.state, r.accept_failures, r.asked_at, r.ended_at, r.error, r.diff,
       coalesce(r.position, b.position, 0) as position,
       case when r.position is null then c.position else r.position end as target,
       coalesce(r.events_applied, b.events_applied, 0) as events_applied,
       coalesce(r.events_parked, b.events_parked, 0) as events_parked,
       coalesce(r.until between clock_timestamp() and clock_timestamp() + 10 * make_interval(secs => $5), false)
           as is_worked_on,
       case when r.ended_at is null and r.worked_since is not null and b.position > r.worked_from
            then (b.position - r.worked_from)
                 / greatest(extract(epoch from clock_timestamp() - r.worked_since), 0.001) end::double precision
           as events_per_second
from views.rebuilds r
left join views.checkpoints b on b.ledger_id = r.ledger_id and b.version = r.version and b.projection = $4
left join views.checkpoints c
  on c.ledger_id = r.ledger_id and c.version = r.version and c.projection = r.projection
where r.ledger_id = $1 and r.projection = $2 and r.version = $3
"""


class Kind(StrEnum):
    """What is wanted: new rows that are compared with the old ones, new rows at once, or the kept ones back."""

    REBUILD = "rebuild"
    RESET = "reset"
    ROLLBACK = "rollback"


class RebuildState(StrEnum):
    """How far it has come."""

    ASKED = "asked"
    BUILDING = "building"
    COMPARING = "comparing"
    SWITCHING = "switching"
    SWITCHED = "switched"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A rebuild as the process that works on it needs it."""

    projection: str
    rebuild: RebuildId
    kind: Kind
    state: RebuildState
    accept_failures: bool
    comparison: Comparison | None


class RebuildProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A rebuild as people watch it.

    ``target`` is where the rows that serve are; ``events_per_second`` and ``seconds_left`` are ``None`` as long as
    nobody knows; ``is_worked_on`` is false while no process has taken it up.
    """

    rebuild: RebuildId
    kind: Kind
    state: RebuildState
    accept_failures: bool
    asked_at: Utc
    ended_at: Utc | None
    position: Position
    target: Position
    events_applied: int
    events_parked: int
    events_per_second: float | None
    seconds_left: float | None
    is_worked_on: bool
    error: str | None
    comparison: Comparison | None

    def is_over(self) -> bool:
        """Say whether it has ended, in whatever way."""
        return self.ended_at is not None

    def is_kept_again(self) -> bool:
        """Say whether its rows are kept for another try: those of a rollback that came to nothing."""
        return self.kind is Kind.ROLLBACK and self.state in {RebuildState.CANCELLED, RebuildState.FAILED}


async def ask(
    conn: Connection, ledger_id: int, feed: Feed, rebuild: RebuildId, kind: Kind, *, accept_failures: bool
) -> None:
    """Write down that a rebuild is wanted, in the transaction of the event that says so."""
    await conn.execute(ASK, ledger_id, feed.name, feed.version, rebuild, kind.value, accept_failures)


async def claim(conn: Connection, ledger_id: int, owner: UUID, feeds: Sequence[Feed]) -> Task | None:
    """Take up the rebuild that has waited longest and that nobody works on; ``None``: there is none.

    What a dead process worked on is free 5 seconds after its last renewal.
    """
    row = await conn.fetchrow(
        CLAIM,
        ledger_id,
        owner,
        LEASE_SECONDS,
        [feed.name for feed in feeds],
        [feed.version for feed in feeds],
        [built(feed).name for feed in feeds],
        [kept(feed).name for feed in feeds],
    )
    if row is None:
        return None
    return Task(
        projection=row["projection"],
        rebuild=row["rebuild_id"],
        kind=Kind(row["kind"]),
        state=RebuildState(row["state"]),
        accept_failures=row["accept_failures"],
        comparison=_comparison(row),
    )


async def renew(conn: Connection, ledger_id: int, task: Task, owner: UUID) -> bool:
    """Keep a claim for another 5 seconds; ``False``: it is somebody else's, or the rebuild is over."""
    return await conn.execute(RENEW, ledger_id, task.rebuild, owner, LEASE_SECONDS) == "UPDATE 1"


async def release(conn: Connection, ledger_id: int, task: Task, owner: UUID) -> None:
    """Give a claim back, so that another process goes on at once."""
    await conn.execute(RELEASE, ledger_id, task.rebuild, owner)


async def enter(
    conn: Connection,
    ledger_id: int,
    task: Task,
    owner: UUID,
    state: RebuildState,
    *,
    comparison: Comparison | None = None,
) -> bool:
    """Say how far it has come, and what was found by comparing; ``False``: it is over, or no longer ours."""
    diff = None if comparison is None else msgspec.json.encode(comparison).decode()
    return await conn.execute(ENTER, ledger_id, task.rebuild, owner, state.value, diff) == "UPDATE 1"


async def end(
    conn: Connection,
    ledger_id: int,
    rebuild: RebuildId,
    state: RebuildState,
    *,
    position: Position | None = None,
    applied: int | None = None,
    parked: int | None = None,
    error: str | None = None,
) -> None:
    """Write down how it ended, in the transaction of the event that says so."""
    await conn.execute(END, ledger_id, rebuild, state.value, position, applied, parked, error)


async def hold(conn: Connection, ledger_id: int, feed: Feed) -> None:
    """Let no process take a step that begins, switches or ends a rebuild until the caller's transaction is over."""
    await conn.execute(HOLD, ledger_id, feed.name, feed.version)


async def find(conn: Connection, ledger_id: int, feed: Feed) -> RebuildProgress | None:
    """Look at the latest rebuild of a projection; ``None``: there was none."""
    row = await conn.fetchrow(FIND, ledger_id, feed.name, feed.version, built(feed).name, LEASE_SECONDS)
    if row is None:
        return None
    rate, target = row["events_per_second"], row["target"] or 0
    facts = {name: value for name, value in row.items() if name not in {"rebuild_id", "diff", "target"}}
    left = None if rate is None else max(0, target - row["position"]) / rate
    return msgspec.convert(
        facts
        | {
            "rebuild": row["rebuild_id"],
            "target": target,
            "seconds_left": left,
            "comparison": _comparison(row),
        },
        RebuildProgress,
    )


async def failures_in(
    conn: Connection, ledger_id: int, feed: Feed, found: RebuildProgress | None
) -> tuple[Failure, ...]:
    """List the first events that could not be applied to rows that are built, or were and never served."""
    is_kept_again = found is not None and found.is_kept_again()
    return await list_of(conn, ledger_id, kept(feed) if is_kept_again else built(feed), limit=TOLD)


def _comparison(row: asyncpg.Record) -> Comparison | None:
    return None if row["diff"] is None else msgspec.json.decode(row["diff"], type=Comparison)

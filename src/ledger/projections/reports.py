"""How every projection is doing, as the database knows it: the same answer whichever process one asks."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import asyncpg
import msgspec

from ledger.domain.errors import NotFound
from ledger.domain.event import Utc
from ledger.domain.ids import EventId, Position
from ledger.projections.catalog import ALL
from ledger.projections.election import LEASE_SECONDS
from ledger.projections.health import State
from ledger.projections.projection import Feed
from ledger.store.pool import Connection

CRITICAL_FROM: Final = 10
OFFLINE_FROM: Final = 50
STUCK_AFTER: Final = 30.0
"""Seconds for which a projection may be retrying before that is more than passing trouble."""

# Where nobody can have recorded the next event at the time that it has, the lag is the age of the checkpoint: somebody
# changed that row, and an age without end or below zero would keep every alarm silent.
# A lease that nobody can have taken was left by a clock that leapt back: nobody need be at work.
# $1 ledger, arrays: $2 projections, $3 their versions, $4 seconds of a lease
REPORT: Final = """
select asked.projection as name, asked.version, coalesce(c.position, 0) as position, head.position as head,
       coalesce(c.events_applied, 0) as applied, coalesce(c.events_not_wanted, 0) as not_wanted,
       coalesce(c.events_parked, 0) as parked, coalesce(c.events_skipped, 0) as skipped,
       c.last_event_id, c.last_event_type, c.updated_at as checkpoint_at, c.paused_at,
       coalesce(l.until between clock_timestamp() and clock_timestamp() + 10 * make_interval(secs => $4), false)
           as is_alive, l.state, l.error,
       f.total_failures, f.active_failures, f.last_failure_at,
       extract(epoch from clock_timestamp() - f.oldest_parked_at)::double precision as oldest_parked_seconds,
       coalesce(greatest(0, extract(epoch from clock_timestamp() - case
           when next.recorded_at > '-infinity' and next.recorded_at < clock_timestamp() + interval '1 day'
           then next.recorded_at when next.position is not null then c.updated_at end)), 0)::double precision
           as lag_seconds
from unnest($2::text[], $3::integer[]) as asked(projection, version)
cross join (select coalesce(max(e.position), 0) as position from ledger.events e where e.ledger_id = $1) as head
left join views.checkpoints c
  on c.ledger_id = $1 and c.projection = asked.projection and c.version = asked.version
left join views.leases l
  on l.ledger_id = $1 and l.projection = asked.projection and l.version = asked.version
left join ledger.events next on next.ledger_id = $1 and next.position = coalesce(c.position, 0) + 1
cross join lateral (
    select count(*) as total_failures, count(*) filter (where state <> 'resolved') as active_failures,
           max(last_seen_at) as last_failure_at,
           min(first_seen_at) filter (where state <> 'resolved') as oldest_parked_at
    from views.failures
    where ledger_id = $1 and projection = asked.projection and version = asked.version
) f
order by asked.projection
"""


class HealthStatus(StrEnum):
    """How bad it is, from the best to the worst."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    CRITICAL = "critical"
    OFFLINE = "offline"


SEVERITY: Final = tuple(HealthStatus)
STANDING_STILL: Final = frozenset({State.FAILING, State.WAITING_FOR_NEWER_RELEASE, State.CRASHED})


class ProjectionNotFound(NotFound):
    """Projection not found."""

    code = "projection-not-found"
    advice = "'ledger projections status' lists those there are."


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One projection; the four counts add up to ``position``.

    ``is_alive``: some process feeds it right now, and its loop has been round lately; ``state`` and ``error`` are
    that loop's. ``lag_seconds`` is the age of the first event it has not accounted for (0: none). Moments are
    ``None`` where it has not happened yet.
    """

    name: str
    version: int
    position: Position
    head: Position
    applied: int
    not_wanted: int
    parked: int
    skipped: int
    last_event_id: EventId | None
    last_event_type: str | None
    checkpoint_at: Utc | None
    paused_at: Utc | None
    is_alive: bool
    state: State | None
    error: str | None
    total_failures: int
    active_failures: int
    last_failure_at: Utc | None
    oldest_parked_seconds: float | None
    lag_seconds: float

    def lag_events(self) -> int:
        """Count the events it has not accounted for."""
        return max(0, self.head - self.position)

    def doing(self) -> str:
        """Say what happens to it, in a word or a few."""
        if self.paused_at is not None:
            return State.PAUSED.value
        if not self.is_alive:
            return "nobody feeds it"
        return State.STARTING.value if self.state is None else self.state.value

    def why(self) -> str:
        """Say what happens to it, and which error keeps it from going on."""
        return self.doing() if self.error is None else f"{self.doing()} ({self.error})"

    def status(self) -> HealthStatus:
        """Say how bad it is: by active culprits, and offline where nothing is applied though it should be.

        One that has met nothing but passing trouble for half a minute is degraded.
        """
        if self.paused_at is None and (not self.is_alive or self.state in STANDING_STILL):
            return HealthStatus.OFFLINE
        is_stuck = self.state is State.RETRYING and self.lag_seconds > STUCK_AFTER
        return worst([self.status_by_failures(), HealthStatus.DEGRADED if is_stuck else HealthStatus.HEALTHY])

    def status_by_failures(self) -> HealthStatus:
        """Say how bad it is by active culprits alone, whether anybody feeds it or not."""
        if self.active_failures >= OFFLINE_FROM:
            return HealthStatus.OFFLINE
        if self.active_failures >= CRITICAL_FROM:
            return HealthStatus.CRITICAL
        return HealthStatus.DEGRADED if self.active_failures else HealthStatus.HEALTHY


async def report(conn: Connection, ledger_id: int, feeds: Sequence[Feed] = ALL) -> tuple[Report, ...]:
    """Report on each of ``feeds``, in one query."""
    names, versions = [feed.name for feed in feeds], [feed.version for feed in feeds]
    return tuple(_report(row) for row in await conn.fetch(REPORT, ledger_id, names, versions, LEASE_SECONDS))


def worst(statuses: Sequence[HealthStatus]) -> HealthStatus:
    """Give the worst of them; none at all is healthy."""
    return max(statuses, key=SEVERITY.index, default=HealthStatus.HEALTHY)


def named(name: str, feeds: Sequence[Feed] = ALL) -> Feed:
    """Find a projection of this release.

    Raises:
        ProjectionNotFound: there is none of this name.
    """
    for feed in feeds:
        if feed.name == name:
            return feed
    raise ProjectionNotFound(projection=name)


def _report(row: asyncpg.Record) -> Report:
    return msgspec.convert(dict(row), Report)

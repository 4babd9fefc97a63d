"""Who feeds which projection: a lease each, by the database's clock.

The lease only spares two processes the same work; the safety is the checkpoint's compare-and-set. So a process
that was asleep past its lease does no harm: what it applied is rolled back.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
import structlog
from uuid_utils.compat import uuid7

from ledger.domain.errors import Unavailable
from ledger.projections.health import State
from ledger.projections.projection import Feed
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, UNSETTLED, Pool, reading
from ledger.store.signals import Bell

log = structlog.get_logger()

LEASE_RELEASED_CHANNEL: Final = "ledger_lease_released"
LEASE_SECONDS: Final = 3.0
RENEW_EVERY: Final = 1.0
RENEW_TIMEOUT: Final = 2.0

# A lease that nobody can have taken was left by a clock that leapt back, and a process that died.
# $1 ledger, $2 owner, $3 seconds; arrays: $4 projections, $5 their versions, $6 what each does, $7 its error
CLAIM: Final = """
insert into views.leases (ledger_id, projection, version, owner, until, state, error)
select $1, w.projection, w.version, $2, clock_timestamp() + make_interval(secs => $3), w.state, w.error
from unnest($4::text[], $5::integer[], $6::text[], $7::text[]) as w(projection, version, state, error)
on conflict (ledger_id, projection, version) do update
set owner = excluded.owner, until = excluded.until, state = excluded.state, error = excluded.error
where leases.owner = excluded.owner or leases.until < clock_timestamp()
   or leases.until > clock_timestamp() + 10 * make_interval(secs => $3)
returning projection
"""
# $1 ledger, $2 owner, $3 channel
RELEASE: Final = """
with released as (
    delete from views.leases where ledger_id = $1 and owner = $2 returning projection
)
select count(pg_notify($3, $1::integer::text)) from released
"""


class Report(msgspec.Struct, frozen=True):
    """What a loop does, for processes that do not run it; ``error`` names the class of its last one."""

    state: State
    error: str | None


class Election:
    """One process's claims to feed projections; several processes may hold different ones."""

    def __init__(
        self,
        ledger: Ledger,
        feeds: Sequence[Feed],
        may_lead: Callable[[str], bool],
        report: Callable[[str], Report],
    ) -> None:
        """Prepare to claim those of ``feeds`` that ``may_lead`` says this process can feed, and to ``report``."""
        self.owner: UUID = uuid7()
        self.changed = Bell()
        self._ledger_id = ledger.ledger_id
        self._feeds = sorted(feeds, key=lambda feed: feed.name)
        self._may_lead, self._report = may_lead, report
        self._until: dict[str, float] = {}
        self._released = Bell()
        ledger.signals.on(LEASE_RELEASED_CHANNEL, self._released.ring)

    def leads(self, name: str) -> bool:
        """Say whether this process holds the lease of a projection."""
        return time.monotonic() < self._until.get(name, 0.0)

    async def run(self, pool: Pool) -> None:
        """Claim and renew every second, and at once when somebody has released; never ends by itself."""
        while True:
            rings = self._released.rings()
            try:
                async with asyncio.timeout(RENEW_TIMEOUT):
                    await self._claim(pool)
            except (*LOST, *UNSETTLED, asyncpg.PostgresError, Unavailable) as lost:
                log.warning("projections.lease.not_renewed", error=type(lost).__name__)
            await self._released.wait_past(rings, RENEW_EVERY)

    async def release(self, pool: Pool) -> None:
        """Give every lease back, so that another process takes over at once."""
        self._until.clear()
        async with reading(pool) as conn:
            await conn.execute(RELEASE, self._ledger_id, self.owner, LEASE_RELEASED_CHANNEL)

    async def _claim(self, pool: Pool) -> None:
        able = [feed for feed in self._feeds if self._may_lead(feed.name)]
        reports = [self._report(feed.name) for feed in able]
        asked_at = time.monotonic()
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("set local synchronous_commit = off")
            rows = await conn.fetch(
                CLAIM,
                self._ledger_id,
                self.owner,
                LEASE_SECONDS,
                [feed.name for feed in able],
                [feed.version for feed in able],
                [report.state.value for report in reports],
                [report.error for report in reports],
            )
        led = {row["projection"] for row in rows}
        before = {name for name in self._until if self.leads(name)}
        self._until = dict.fromkeys(led, asked_at + LEASE_SECONDS)
        if led != before:
            log.info("projections.leading", projections=sorted(led), lost=sorted(before - led))
            self.changed.ring()

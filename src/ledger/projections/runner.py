"""Keeps every projection level with the log: a loop each, fed by whichever process leads it (ADR 0005, 0014)."""

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
import structlog

from ledger.domain.errors import Unavailable
from ledger.projections.catalog import ALL
from ledger.projections.election import Election, Report
from ledger.projections.follower import Follower
from ledger.projections.health import ProjectionHealth, State
from ledger.projections.progress import Progress
from ledger.projections.projection import Feed
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, Pool

log = structlog.get_logger()

DRAIN_SECONDS: Final = 10.0


class Runner:
    """Every projection of this process."""

    def __init__(self, ledger: Ledger, progress: Progress, projections: Sequence[Feed] = ALL) -> None:
        """Prepare to feed ``projections``; call this before ``ledger.start``."""
        self._ledger, self._progress = ledger, progress
        self._stopping = asyncio.Event()
        self._followers = {
            feed.name: Follower(ledger, feed, progress, self._stopping) for feed in projections
        }
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._election = Election(ledger, projections, self._can_lead, self._report)
        self._voting: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to feed."""
        self._task = asyncio.create_task(self._run(), name="projections")

    async def stop(self) -> None:
        """Finish the batches at work, then leave the leases to other processes."""
        self._stopping.set()
        self._election.changed.ring()
        self._ledger.appended.ring()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def health(self) -> tuple[ProjectionHealth, ...]:
        """Tell how each projection is doing, as this process knows it."""
        return tuple(self._health(follower) for follower in self._followers.values())

    def is_ready(self) -> bool:
        """Say whether every loop lives and every view has once been level since start or reconnect.

        A view that somebody has paused need not be.
        """
        return all(one.is_alive and (one.was_level or one.is_paused) for one in self.health())

    async def _run(self) -> None:
        one_each = (
            len(self._followers) + 1
        )  # or the election waits for whoever hangs, and every lease is lost
        pool = await self._ledger.connections_apart(most=one_each)
        try:
            self._loops = {
                name: asyncio.create_task(
                    follower.run_forever(pool, self._election), name=f"projection-{name}"
                )
                for name, follower in self._followers.items()
            }
            self._voting = asyncio.create_task(self._election.run(pool), name="projections-election")
            await self._stopping.wait()
            await asyncio.wait(self._loops.values(), timeout=DRAIN_SECONDS)
        finally:
            await self._wind_up(pool)

    async def _wind_up(self, pool: Pool) -> None:
        tasks = [*self._loops.values(), *([self._voting] if self._voting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._election.release(pool)
                await pool.close()
        except (*LOST, asyncpg.PostgresError, Unavailable) as lost:  # the leases run out by themselves
            log.warning("projections.lease.not_released", error=type(lost).__name__)
            pool.terminate()

    def _lives(self, name: str) -> bool:
        loop = self._loops.get(name)
        return loop is not None and not loop.done() and not self._stopping.is_set()

    def _can_lead(self, name: str) -> bool:
        """Say whether this process can feed a projection; a loop that hangs gives its lease away."""
        return self._lives(name) and self._followers[name].has_heartbeat()

    def _report(self, name: str) -> Report:
        follower = self._followers[name]
        return Report(state=follower.state, error=follower.error)

    def _health(self, follower: Follower) -> ProjectionHealth:
        feed = follower.feed
        loop = self._loops.get(feed.name)
        has_crashed = loop is not None and loop.done() and not self._stopping.is_set()
        votes = self._voting is not None and not self._voting.done()
        return ProjectionHealth(
            name=feed.name,
            version=feed.version,
            state=State.CRASHED if has_crashed else follower.state,
            error=follower.error,
            attempts=follower.attempts,
            position=self._progress.position(feed.name),
            parked=self._progress.parked(feed.name),
            head=self._progress.head(),
            is_alive=votes and self._can_lead(feed.name),
            is_leader=self._election.leads(feed.name),
            is_paused=self._progress.is_paused(feed.name),
            was_level=self._progress.was_level(feed.name),
        )

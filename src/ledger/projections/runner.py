"""Keeps every projection level with the log: a loop each, fed by whichever process leads it (ADR 0005)."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import structlog

from ledger.domain.errors import Unavailable
from ledger.domain.ids import START, Position
from ledger.projections.batch import run_batch
from ledger.projections.catalog import ALL
from ledger.projections.checkpoints import CheckpointMoved, read_position
from ledger.projections.election import Election
from ledger.projections.health import ProjectionHealth, State
from ledger.projections.progress import Progress
from ledger.projections.projection import Feed
from ledger.store.codec import UnknownSchemaVersion
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, UNSETTLED, Connection, DatabaseUnreachable, Pool, open_pool

log = structlog.get_logger()

MAX_BATCH: Final = 500
POLL_EVERY: Final = 0.5
BATCH_TIMEOUT: Final = 30.0
TRANSIENT_WAITS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
FAILURE_WAITS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
HEARTBEAT_GRACE: Final = 5.0
DRAIN_SECONDS: Final = 10.0
MAX_CONNECTIONS: Final = 4


def is_transient(error: Exception) -> bool:
    """Tell whether another try may succeed without anybody mending anything.

    The driver reports an argument it cannot encode as an interface error that is a ``ValueError`` too: that
    one is a fault of ours.
    """
    return isinstance(error, (*LOST, *UNSETTLED, Unavailable)) and not isinstance(error, ValueError)


@asynccontextmanager
async def borrowed(pool: Pool) -> AsyncIterator[Connection]:
    """Borrow a connection to work with; what goes wrong with the work is raised as it is.

    Raises:
        DatabaseUnreachable: there is none to be had, which is never the fault of an event.
    """
    try:
        conn = await pool.acquire()
    except (*LOST, asyncpg.PostgresError) as lost:
        raise DatabaseUnreachable(reason=type(lost).__name__) from lost
    try:
        yield conn
    finally:
        await pool.release(conn)


class Follower:
    """One projection in this process: follows the log while it leads, stands by while another process does."""

    def __init__(self, ledger: Ledger, feed: Feed, progress: Progress, stopping: asyncio.Event) -> None:
        """Prepare to follow with ``feed`` until ``stopping``."""
        self.feed = feed
        self.state = State.STARTING
        self.error: str | None = None
        self.attempts = 0
        self._ledger, self._progress, self._stopping = ledger, progress, stopping
        self._position: Position | None = None
        self._limit = MAX_BATCH
        self._singly_until = START
        self._due_back = time.monotonic() + HEARTBEAT_GRACE

    def has_heartbeat(self) -> bool:
        """Say whether the loop has been round as lately as it meant to."""
        return time.monotonic() < self._due_back

    async def run_forever(self, pool: Pool, election: Election) -> None:
        """Apply batch after batch until told to stop.

        What may pass by itself is retried after 0.05, 0.1 … 1.6 seconds, give or take half; anything else after
        1, 2, 4, 8 and then every 16 seconds. Nothing is skipped.
        """
        while not self._stopping.is_set():
            appended, changed = self._ledger.appended.rings(), election.changed.rings()
            if not election.leads(self.feed.name):
                self._stand_by()
                await election.changed.wait_past(changed, POLL_EVERY)
                continue
            self._beat(HEARTBEAT_GRACE)
            try:
                async with asyncio.timeout(BATCH_TIMEOUT), borrowed(pool) as conn:
                    is_level = await self._advance(conn)
            except CheckpointMoved:
                log.info("projection.checkpoint.moved_elsewhere", **self._facts())
                self._position = None
            except Exception as error:  # noqa: BLE001 - the one place: it stops this projection, visibly, and no other
                await self._pause(self._suffer(error))
            else:
                if is_level:
                    self._beat(POLL_EVERY)
                    await self._ledger.appended.wait_past(appended, POLL_EVERY)
        self.state = State.STOPPED

    async def _advance(self, conn: Connection) -> bool:
        """Apply the next batch; tell whether that was all there is."""
        if self._position is None:
            self._limit = 1
            self._position = await read_position(conn, self._ledger.ledger_id, self.feed)
            self._progress.moved(self.feed.name, self._position)
        self._limit = 1 if self._position < self._singly_until else MAX_BATCH
        step = await run_batch(
            conn, self._ledger.ledger_id, self.feed, after=self._position, limit=self._limit
        )
        self.state, self.error, self.attempts = State.RUNNING, None, 0
        if step is None:
            return True
        self._position = step.position
        self._progress.moved(self.feed.name, step.position)
        return False

    def _suffer(self, error: Exception) -> float:
        """Note a failed attempt; return how many seconds to wait before the next."""
        at = self._position
        self._position = None
        self.error = type(error).__name__
        self.attempts += 1
        if is_transient(error):
            self.state = State.RETRYING
            log.warning("projection.batch.retried", error=self.error, **self._facts())
            wait = TRANSIENT_WAITS[min(self.attempts, len(TRANSIENT_WAITS)) - 1]
            return wait * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries
        is_newer = isinstance(error, UnknownSchemaVersion)
        self.state = State.WAITING_FOR_NEWER_RELEASE if is_newer else State.FAILING
        log.error("projection.batch.failed", after=at, batch=self._limit, exc_info=error, **self._facts())
        if self._limit > 1 and at is not None:  # come as close to the culprit as its predecessors allow
            self._singly_until = Position(at + self._limit)
            self.attempts = 0
            return 0.0
        return FAILURE_WAITS[min(self.attempts, len(FAILURE_WAITS)) - 1]

    def _stand_by(self) -> None:
        self.state, self.error, self.attempts = State.STANDBY, None, 0
        self._position = None
        self._beat(POLL_EVERY)

    def _beat(self, seconds: float) -> None:
        """Say that the loop is here, and for how long it may be away."""
        self._due_back = time.monotonic() + seconds + HEARTBEAT_GRACE

    async def _pause(self, seconds: float) -> None:
        self._beat(seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _facts(self) -> dict[str, object]:
        return {"projection": self.feed.name, "version": self.feed.version, "attempt": self.attempts}


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
        self._election = Election(ledger, projections, self._may_lead)
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
        """Say whether every loop lives and every view has once been level since start or reconnect."""
        return all(projection.is_alive and projection.was_level for projection in self.health())

    async def _run(self) -> None:
        pool = await open_pool(self._ledger.url, min_size=0, max_size=MAX_CONNECTIONS)
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

    def _may_lead(self, name: str) -> bool:
        loop = self._loops.get(name)
        return loop is not None and not loop.done() and not self._stopping.is_set()

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
            head=self._progress.head(),
            is_alive=votes and self._may_lead(feed.name) and follower.has_heartbeat(),
            is_leader=self._election.leads(feed.name),
            was_level=self._progress.was_level(feed.name),
        )

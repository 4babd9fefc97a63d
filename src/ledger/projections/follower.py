"""One projection's loop: batch after batch while it leads, parked sequences again when their time has come."""

import asyncio
import random
import time
from typing import Final

import structlog

from ledger.domain.ids import START, Position
from ledger.projections.batch import Poisoned, run_batch, run_singly
from ledger.projections.checkpoints import Checkpoint, CheckpointMoved, Paused, Step, read_checkpoint
from ledger.projections.election import Election
from ledger.projections.faults import frames_of, is_transient
from ledger.projections.health import State
from ledger.projections.progress import Progress
from ledger.projections.projection import Feed
from ledger.projections.retries import retry_due
from ledger.store.codec import UnknownSchemaVersion
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection, Pool, borrowed

log = structlog.get_logger()

MAX_BATCH: Final = 500
MAX_SINGLY: Final = 50
"""How many events are applied one by one in a transaction while a culprit is looked for."""
POLL_EVERY: Final = 0.5
BATCH_TIMEOUT: Final = 30.0
TRANSIENT_WAITS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
FAILURE_WAITS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
HEARTBEAT_GRACE: Final = 5.0
AT_LEISURE: Final = 8
GATHERING: Final = 0.1
"""Seconds that pass, unless somebody waits for the view, after so many small batches in a row without an event for it,
or for a view that no answer waits for: each costs as much as one that somebody waits for."""


class Follower:
    """One projection in this process: follows the log while it leads, stands by while another process does."""

    def __init__(self, ledger: Ledger, feed: Feed, progress: Progress, stopping: asyncio.Event) -> None:
        """Prepare to follow with ``feed`` until ``stopping``."""
        self.feed = feed
        self.state = State.STARTING
        self.error: str | None = None
        self.attempts = 0
        self._ledger, self._progress, self._stopping = ledger, progress, stopping
        self._hurry = progress.awaited(feed.name)
        self._at: Checkpoint | None = None
        self._limit = MAX_BATCH
        self._at_leisure = 0
        self._singly_until = START
        self._retry_look_at = 0.0
        self._due_back = time.monotonic() + HEARTBEAT_GRACE

    def has_heartbeat(self) -> bool:
        """Say whether the loop has been round as lately as it meant to."""
        return time.monotonic() < self._due_back

    async def run_forever(self, pool: Pool, election: Election) -> None:
        """Apply batch after batch until told to stop.

        What may pass by itself is retried after 0.05, 0.1 … 1.6 seconds, give or take half. An event that cannot be
        applied is parked with its sequence. What is no event's fault (a gap, an event of a newer release) stops
        the projection, and is tried again after 1, 2, 4, 8 and then every 16 seconds.
        """
        while not self._stopping.is_set():
            appended, changed = self._ledger.appended.rings(), election.changed.rings()
            hurried = self._hurry.rings()
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
                self._at = None
            except Paused:
                await self._stand_still()
            except Exception as error:  # noqa: BLE001 - the one place: it stops this projection, visibly, and no other
                await self._pause(self._suffer(error))
            else:
                if is_level:
                    self._beat(POLL_EVERY)
                    await self._ledger.appended.wait_past(appended, POLL_EVERY)
                elif self._at_leisure >= AT_LEISURE:
                    self._beat(GATHERING)
                    await self._hurry.wait_past(hurried, GATHERING)
        self.state = State.STOPPED

    async def _advance(self, conn: Connection) -> bool:
        """Apply the next batch; tell whether that was all there is."""
        if self._at is None:
            self._at = await read_checkpoint(conn, self._ledger.ledger_id, self.feed)
            self._progress.saw(self.feed.name, self._at)
        if self._at.is_paused:
            raise Paused
        is_level = await self._step(conn, self._at.position)
        # After the batch, never in its place: thousands may be due, and trouble with them is theirs alone.
        has_retried = self._at.parked > 0 and await self._retry(conn)
        if has_retried:
            self._at = None
        self.state, self.error, self.attempts = State.RUNNING, None, 0
        return is_level and not has_retried

    async def _step(self, conn: Connection, after: Position) -> bool:
        ledger_id, began = self._ledger.ledger_id, time.time_ns()
        if after < self._singly_until or self._limit == 1:  # alone, what takes too long is found and parked
            fewer = min(self._limit, MAX_SINGLY)
            step = await run_singly(conn, ledger_id, self.feed, after=after, limit=fewer)
        else:
            try:
                step = await run_batch(conn, ledger_id, self.feed, after=after, limit=self._limit)
            except Poisoned:
                self._singly_until = Position(after + self._limit)
                return False
        is_all = step is None or step.position - step.previous < self._limit
        self._limit = min(MAX_BATCH, self._limit * 2)
        if step is None:
            self._singly_until = START
            return True
        self._at = step.checkpoint()
        is_urgent = self.feed.is_awaited and bool(step.wanted)
        self._at_leisure = self._at_leisure + 1 if is_all and not is_urgent else 0
        self._progress.saw(self.feed.name, self._at)
        self._trace(step, began)
        return False

    def _trace(self, step: Step, began: int) -> None:
        """Record the batch in every trace that one of its events belongs to."""
        tracing = self._ledger.tracing
        if not tracing.is_on:
            return
        for stored in step.wanted:
            if tracing.records(stored.correlation_id):
                facts = {
                    "ledger.position": stored.position,
                    "ledger.batch": len(step.wanted),
                    "ledger.parked": step.parked,
                }
                tracing.record(f"project {self.feed.name}", stored.parent(), began=began, facts=facts)

    async def _retry(self, conn: Connection) -> bool:
        """Try the parked sequence that is due, if there is one; look for it twice a second at most."""
        if time.monotonic() < self._retry_look_at:
            return False
        retried = await retry_due(conn, self._ledger.ledger_id, self.feed)
        if retried is None:
            self._retry_look_at = time.monotonic() + POLL_EVERY
        return retried is not None

    def _suffer(self, error: Exception) -> float:
        """Note a failed attempt; return how many seconds to wait before the next."""
        self._at = None
        self.error = type(error).__name__
        self.attempts += 1
        if is_transient(error):
            self.state = State.RETRYING
            self._limit = max(1, self._limit // 4)  # what timed out may be too much at once
            log.warning("projection.batch.retried", error=self.error, **self._facts())
            wait = TRANSIENT_WAITS[min(self.attempts, len(TRANSIENT_WAITS)) - 1]
            return wait * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries
        is_newer = isinstance(error, UnknownSchemaVersion)
        self.state = State.WAITING_FOR_NEWER_RELEASE if is_newer else State.FAILING
        log.error("projection.batch.failed", error=self.error, frames=frames_of(error), **self._facts())
        return FAILURE_WAITS[min(self.attempts, len(FAILURE_WAITS)) - 1]

    def _stand_by(self) -> None:
        self.state, self.error, self.attempts = State.STANDBY, None, 0
        self._at = None
        self._beat(POLL_EVERY)

    async def _stand_still(self) -> None:
        self.state, self.error, self.attempts = State.PAUSED, None, 0
        self._at = None
        await self._pause(POLL_EVERY)

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

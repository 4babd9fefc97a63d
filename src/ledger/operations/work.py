"""Carrying one rebuild out: begin, build until level, compare, switch. Every step can be done again."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from ledger.domain.errors import LedgerError, Unavailable, VersionConflict
from ledger.domain.operations.commands import FailRebuild, SwitchRebuild
from ledger.domain.operations.decide import NoRebuildUnderWay
from ledger.identity.identity import SYSTEM
from ledger.operations.acting import Actor, Asked, act, act_and_tell
from ledger.projections import rebuilds
from ledger.projections.checkpoints import CheckpointMoved
from ledger.projections.faults import frames_of, is_transient
from ledger.projections.projection import Feed
from ledger.projections.rebuild import (
    Exchanged,
    NotApplied,
    NotLevel,
    advance,
    begin,
    compare_level,
    exchange,
    leave_off,
    make_readable,
    stand,
)
from ledger.projections.rebuilds import Kind, RebuildState, Task
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection, ImpossibleTime, Pool, possible_times
from ledger.store.streams import new_command_id
from ledger.store.true_log import PayloadChanged

log = structlog.get_logger()

AGAIN_AFTER: Final = (0.2, 0.4, 0.8, 1.6, 3.2, 5.0)
"""Seconds until a step is tried again that met somebody else, or a lost connection: whoever reads for minutes must
not have all other readers wait behind us again and again."""


class Superseded(Exception):
    """The rebuild is over, or another process works on it."""


class Work:
    """One rebuild in one process."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        feed: Feed,
        task: Task,
        pool: Pool,
        owner: UUID,
        clock: Callable[[], datetime],
    ) -> None:
        """Take up ``task`` where it stands."""
        self._ledger, self._feed, self._task, self._pool = ledger, feed, task, pool
        self._owner, self._clock = owner, clock
        self._state = task.state
        self._comparison = task.comparison

    async def run(self) -> None:
        """Work until it has switched, failed, been cancelled or been taken over by another process.

        What may pass by itself is tried again after 0.2, 0.4 … 3.2 and then every 5 seconds; whatever else goes wrong
        ends the rebuild, and the old rows go on serving.
        """
        attempts = 0
        while self._state is not RebuildState.SWITCHED:
            try:
                with possible_times():
                    await self._step()
                attempts = 0
            except (Superseded, NoRebuildUnderWay):
                log.info("rebuild.left", **self._facts())
                return
            except (NotApplied, PayloadChanged, ImpossibleTime) as failed:
                await self._give_up(str(failed))
                return
            except Exception as error:  # noqa: BLE001 - the one place: it ends this rebuild, visibly
                if not _may_pass(error):
                    log.error("rebuild.broken", trace=frames_of(error), **self._facts())  # noqa: TRY400 - no words
                    await self._give_up(type(error).__name__)
                    return
                log.info("rebuild.again", error=type(error).__name__, **self._facts())
                await asyncio.sleep(AGAIN_AFTER[min(attempts, len(AGAIN_AFTER) - 1)])
                attempts += 1
        log.info("rebuild.switched", **self._facts())

    async def clear_away(self) -> None:
        """Throw away what was built for a rebuild that was cancelled, if we were in the way of that."""
        ledger_id = self._ledger.ledger_id
        async with self._pool.acquire() as conn, conn.transaction():
            await rebuilds.hold(conn, ledger_id, self._feed)
            found = await rebuilds.find(conn, ledger_id, self._feed)
            if found is None or found.rebuild != self._task.rebuild or found.kind is Kind.ROLLBACK:
                return
            if found.state is RebuildState.CANCELLED:
                await leave_off(conn, ledger_id, self._feed, found.kind, with_failures=True)

    async def _step(self) -> None:
        match self._state:
            case RebuildState.ASKED:
                await self._begin()
            case RebuildState.BUILDING:
                await self._build()
                async with self._pool.acquire() as conn, conn.transaction():
                    await make_readable(conn, self._feed)
                is_compared = self._task.kind is Kind.REBUILD
                await self._enter(RebuildState.COMPARING if is_compared else RebuildState.SWITCHING)
            case RebuildState.COMPARING:
                await self._build()
                self._comparison = await compare_level(self._pool, self._ledger.ledger_id, self._feed)
                await self._enter(RebuildState.SWITCHING)
            case _:
                await self._build()
                await self._switch()
                self._state = RebuildState.SWITCHED

    async def _begin(self) -> None:
        async with self._pool.acquire() as conn, conn.transaction():
            await self._enter_on(
                conn, RebuildState.BUILDING
            )  # first: whoever cancels waits, or has cancelled
            await begin(conn, self._ledger.ledger_id, self._feed, self._task.kind)
        self._state = RebuildState.BUILDING

    async def _build(self) -> None:
        """Apply batch after batch until the new rows are where the old ones are.

        Raises:
            NotApplied: an event could not be applied, and that was not accepted.
        """
        ledger_id = self._ledger.ledger_id
        async with self._pool.acquire() as conn:
            while True:
                at = await stand(conn, ledger_id, self._feed)
                if at.parked and not self._task.accept_failures:
                    raise NotApplied(at.parked)
                if at.position >= at.serving:
                    return
                await advance(conn, ledger_id, self._feed, after=at.position, upto=at.serving)

    async def _enter(self, state: RebuildState) -> None:
        async with self._pool.acquire() as conn:
            await self._enter_on(conn, state)
        self._state = state

    async def _enter_on(self, conn: Connection, state: RebuildState) -> None:
        is_ours = await rebuilds.enter(
            conn, self._ledger.ledger_id, self._task, self._owner, state, comparison=self._comparison
        )
        if not is_ours:
            raise Superseded

    async def _switch(self) -> None:
        ledger_id, task = self._ledger.ledger_id, self._task

        async def effect(conn: Connection) -> Exchanged:
            if not await rebuilds.renew(conn, ledger_id, task, self._owner):
                raise Superseded
            done = await exchange(conn, ledger_id, self._feed, accept_failures=task.accept_failures)
            await rebuilds.end(
                conn,
                ledger_id,
                task.rebuild,
                RebuildState.SWITCHED,
                position=done.position,
                applied=done.applied,
                parked=done.parked,
            )
            return done

        def account(asked: Asked, done: Exchanged) -> SwitchRebuild:
            return SwitchRebuild(
                now=asked.now,
                projection=asked.projection,
                projection_version=asked.projection_version,
                rebuild=task.rebuild,
                position=done.position,
                events_applied=done.applied,
                events_parked=done.parked,
                diff=() if self._comparison is None else self._comparison.tables,
            )

        await act_and_tell(self._ledger, self._feed, effect, account, self._unasked())

    async def _give_up(self, reason: str) -> None:
        ledger_id, task = self._ledger.ledger_id, self._task

        async def end_it(conn: Connection) -> None:
            if not await rebuilds.renew(conn, ledger_id, task, self._owner):
                raise Superseded  # what goes wrong here says nothing of the other one's work
            await leave_off(conn, ledger_id, self._feed, task.kind, with_failures=False)
            await rebuilds.end(conn, ledger_id, task.rebuild, RebuildState.FAILED, error=reason)

        def order(asked: Asked) -> FailRebuild:
            return FailRebuild(
                now=asked.now,
                projection=asked.projection,
                projection_version=asked.projection_version,
                rebuild=task.rebuild,
                reason=reason,
            )

        try:
            await act(self._ledger, self._feed, order, self._unasked(), alongside=end_it)
        except (Superseded, NoRebuildUnderWay):
            log.info("rebuild.left", **self._facts())
        except LedgerError as refused:  # whoever takes it up next finds out for itself
            log.warning("rebuild.failure.not_recorded", code=refused.code, reason=reason, **self._facts())
        else:
            log.warning("rebuild.failed", reason=reason, **self._facts())

    def _unasked(self) -> Actor:
        provenance = Provenance(actor=SYSTEM, command_id=new_command_id())
        return Actor(principal=None, provenance=provenance, clock=self._clock)

    def _facts(self) -> dict[str, object]:
        return {
            "projection": self._feed.name,
            "version": self._feed.version,
            "rebuild": str(self._task.rebuild),
            "state": self._state.value,
        }


def _may_pass(error: Exception) -> bool:
    passing = (CheckpointMoved, NotLevel, VersionConflict, Unavailable)
    return isinstance(error, passing) or is_transient(error)

"""Hands for rebuilds: a process takes one up, keeps its claim alive and gives it back; then another may go on."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import structlog
from uuid_utils.compat import uuid7

from ledger.domain.errors import Unavailable
from ledger.identity.identity import utc_now
from ledger.operations.work import Work
from ledger.projections import rebuilds
from ledger.projections.catalog import ALL
from ledger.projections.projection import Feed
from ledger.projections.rebuilds import Task
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, Pool, reading

log = structlog.get_logger()

LOOK_EVERY: Final = 0.5
RENEW_EVERY: Final = 1.0
CONNECTIONS: Final = 4


class Rebuilder:
    """One process's hands."""

    def __init__(
        self, ledger: Ledger, projections: Sequence[Feed] = ALL, clock: Callable[[], datetime] = utc_now
    ) -> None:
        """Prepare to rebuild any of ``projections``."""
        self._ledger, self._clock = ledger, clock
        self._feeds = {feed.name: feed for feed in projections}
        self._owner: UUID = uuid7()

    async def run_forever(self) -> None:
        """Look twice a second for a rebuild that nobody works on, and carry it out; until cancelled."""
        while True:
            try:
                has_worked = await self.work_once()
            except (*LOST, asyncpg.PostgresError, Unavailable) as lost:
                log.warning("rebuild.not_taken_up", error=type(lost).__name__)
                has_worked = False
            if not has_worked:
                await asyncio.sleep(LOOK_EVERY)

    async def work_once(self) -> bool:
        """Carry out one rebuild, from wherever it stands to its end; ``False``: nothing is to be done.

        Raises:
            DatabaseUnreachable: there is no connection to be had.
        """
        async with reading(self._ledger.pool) as conn:
            feeds = tuple(self._feeds.values())
            task = await rebuilds.claim(conn, self._ledger.ledger_id, self._owner, feeds)
        if task is None:
            return False
        pool = await self._ledger.connections_apart(most=CONNECTIONS)
        try:
            await self._work_while_claimed(pool, task)
        finally:
            await self._give_back(task)
            pool.terminate()
        return True

    async def _work_while_claimed(self, pool: Pool, task: Task) -> None:
        work = Work(
            ledger=self._ledger,
            feed=self._feeds[task.projection],
            task=task,
            pool=pool,
            owner=self._owner,
            clock=self._clock,
        )
        working = asyncio.create_task(work.run(), name=f"rebuild-{task.projection}")
        renewing = asyncio.create_task(self._renew(task), name=f"rebuild-claim-{task.projection}")
        try:
            await asyncio.wait([working, renewing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (working, renewing):
                each.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)
        if not working.cancelled():
            working.result()
        await work.clear_away()

    async def _renew(self, task: Task) -> None:
        """Keep the claim until it is lost: then whoever has it works on."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                async with reading(self._ledger.pool) as conn:
                    if not await rebuilds.renew(conn, self._ledger.ledger_id, task, self._owner):
                        return
            except (asyncpg.PostgresError, Unavailable) as lost:
                log.warning("rebuild.claim.not_renewed", error=type(lost).__name__)

    async def _give_back(self, task: Task) -> None:
        try:
            async with reading(self._ledger.pool) as conn:
                await rebuilds.release(conn, self._ledger.ledger_id, task, self._owner)
        except (asyncpg.PostgresError, Unavailable) as lost:  # it runs out by itself
            log.warning("rebuild.claim.not_given_back", error=type(lost).__name__)

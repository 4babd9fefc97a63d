"""People read and write while a projection is made anew and exchanged: not one read fails, no write is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from ledger.domain.ids import DecisionId, StreamName
from ledger.domain.operations.events import RebuildCancelled
from ledger.operations import work as work_module
from ledger.operations.rebuilder import Rebuilder
from ledger.operations.rebuilding import ask
from ledger.projections import rebuild, verifying
from ledger.projections.rebuilds import Kind, RebuildState
from ledger.projections.views import decisions, queue
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import Connection, open_pool
from ledger.store.streams import Stream, append, draft
from tests.builders import NOW, submitted
from tests.operations.rebuilt import history, progress_of, submissions, the_operator
from tests.projections.given import Service, bring_level, rows_of, service
from tests.support.databases import Database
from tests.support.events import by_somebody

READERS = 6
HANG = 60.0


class Readers:
    """People who look at the queue without a pause."""

    def __init__(self) -> None:
        self.reads = 0
        self.shortest = 10**9
        self.failures: list[BaseException] = []

    async def read(self, url: str, stop: asyncio.Event) -> None:
        pool = await open_pool(url, min_size=1, max_size=1)
        try:
            while not stop.is_set():
                await self._look(pool)
        finally:
            await pool.close()

    async def _look(self, pool) -> None:
        try:
            async with pool.acquire() as conn:
                found = await queue.page(conn, LEDGER_ID, now=NOW, limit=100, after=None)
                total = await conn.fetchval(
                    "select count(*) from views.queue_v2 where ledger_id = $1", LEDGER_ID
                )
                async with conn.transaction():  # a transaction cannot be helped by preparing anew
                    await queue.page(conn, LEDGER_ID, now=NOW, limit=1, after=None)
                    await decisions.find(conn, LEDGER_ID, [StreamName("decision-nobodys")])
        except Exception as failure:  # noqa: BLE001 - whatever it is, it must not be
            self.failures.append(failure)
        else:
            self.reads += 1
            self.shortest = min(self.shortest, total, len(found))


async def write(ledger: Ledger, stop: asyncio.Event) -> int:
    """Submit one decision after the other."""
    number = 10_000
    while not stop.is_set():
        number += 1
        stream = Stream(name=StreamName(f"decision-{UUID(int=number)}"), events=())
        await append(ledger, draft(stream, [submitted(decision_id=DecisionId(f"a-{number}"))], by_somebody()))
        await asyncio.sleep(0.002)
    return number - 10_000


@asynccontextmanager
async def crowd(database: Database, ledger: Ledger) -> AsyncIterator[Readers]:
    """Six readers and a writer."""
    stop, readers = asyncio.Event(), Readers()
    tasks = [asyncio.create_task(readers.read(database.service_url, stop)) for _ in range(READERS)]
    writing = asyncio.create_task(write(ledger, stop))
    try:
        yield readers
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        assert await writing > 0


async def rebuilt(running: Service, kind: Kind) -> None:
    await ask(running.ledger, QUEUE, the_operator(), kind)
    assert await Rebuilder(running.ledger, [QUEUE]).work_once()
    done = await progress_of(running.ledger, QUEUE)
    assert done.state is RebuildState.SWITCHED, done.error


@pytest.mark.long
@pytest.mark.slow
async def test_not_one_read_fails_while_rows_are_built_and_exchanged(
    database: Database, ledger: Ledger
) -> None:
    await submissions(ledger, 400)
    async with service(database, [QUEUE]) as running:
        await running.level(await ledger.head(), "queue")
        async with crowd(database, ledger) as readers:
            for kind in (Kind.REBUILD, Kind.RESET, Kind.ROLLBACK, Kind.REBUILD):
                await rebuilt(running, kind)
        await running.level(await ledger.head(), "queue")

    assert readers.failures == []
    assert readers.reads > 50
    assert readers.shortest >= 100, "nobody has seen fewer rows than there were in the beginning"
    found = await verifying.verify(ledger.url, LEDGER_ID, QUEUE, sample=None)
    assert found.is_clean()
    assert found.completeness.position == found.completeness.head


async def test_a_diff_under_load_is_of_one_position(database: Database, ledger: Ledger) -> None:
    """Live rows move on while the new ones are compared with them: that is no difference."""
    await submissions(ledger, 50)
    async with service(database, [QUEUE]) as running:
        async with crowd(database, ledger):
            await rebuilt(running, Kind.REBUILD)
        done = await progress_of(ledger, QUEUE)

    assert done.comparison is not None
    assert done.comparison.is_equal()
    assert done.comparison.tables[0].rows_before >= 40


async def test_whoever_reads_for_long_is_waited_for_and_nobody_queues_behind(
    ledger: Ledger,
) -> None:
    await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    await ask(ledger, QUEUE, the_operator(), Kind.RESET)
    async with ledger.pool.acquire() as conn:
        reading = conn.transaction()
        await reading.start()
        await rows_of(conn, QUEUE)
        working = asyncio.create_task(Rebuilder(ledger, [QUEUE]).work_once())
        while (await progress_of(ledger, QUEUE)).state is not RebuildState.SWITCHING:
            await asyncio.sleep(0.02)
        async with asyncio.timeout(HANG):
            for _ in range(20):
                async with ledger.pool.acquire() as other:
                    await rows_of(other, QUEUE)
        assert not working.done()
        await reading.rollback()

    assert await working
    assert (await progress_of(ledger, QUEUE)).state is RebuildState.SWITCHED


async def test_a_cancelled_rebuild_under_way_leaves_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ledger.operations.rebuilding import cancel

    await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)
    advance = work_module.advance

    async def cancelled_meanwhile(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(work_module, "advance", advance)
        await cancel(ledger, QUEUE, the_operator())
        return await advance(*args, **kwargs)

    monkeypatch.setattr(work_module, "advance", cancelled_meanwhile)
    assert await Rebuilder(ledger, [QUEUE]).work_once()

    assert (await progress_of(ledger, QUEUE)).state is RebuildState.CANCELLED
    left = "select count(*) from pg_tables where schemaname in ('views_build', 'views_old')"
    assert await ledger.pool.fetchval(left) == 0
    names = await ledger.pool.fetch("select projection from views.checkpoints")
    assert [row["projection"] for row in names] == ["queue"]


async def test_a_rebuild_is_cancelled_while_rows_are_compared_however_long_that_takes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ledger.operations.rebuilding import cancel

    await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)
    await bring_level(ledger, QUEUE)
    compare, has_begun = rebuild.compare, asyncio.Event()

    async def for_long(conn: Connection, *args: object, **kwargs: object) -> object:
        await compare(conn, *args, **kwargs)
        has_begun.set()
        return await conn.fetchval("select pg_sleep(3600)")

    monkeypatch.setattr(rebuild, "compare", for_long)
    working = asyncio.create_task(Rebuilder(ledger, [QUEUE]).work_once())
    await has_begun.wait()

    await cancel(ledger, QUEUE, the_operator())

    assert (await progress_of(ledger, QUEUE)).state is RebuildState.CANCELLED
    assert await working
    left = "select count(*) from pg_tables where schemaname in ('views_build', 'views_old')"
    assert await ledger.pool.fetchval(left) == 0
    assert isinstance((await history(ledger, QUEUE))[-1], RebuildCancelled)

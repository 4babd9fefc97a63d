"""The PyPI package ``eventsourcing`` in its default PostgreSQL mode: an exclusive table lock per insert."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Final, Self

import asyncpg
from uuid_utils.compat import uuid4

from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled, NotAvailable
from benchmarks.workload import Sample, Texts

PACKAGE: Final = "eventsourcing"
COUNT: Final = "select count(*), count(distinct notification_id) from bench_events"


class EventsourcingLibrary:
    """Its recorder alone, without aggregates and mapper, which is to its advantage."""

    name = "eventsourcing"

    def __init__(self, server: Server, pool_size: int) -> None:
        self._server = server
        self._pool_size = pool_size
        self._stack = AsyncExitStack()
        self._expected = 0

    @property
    def configuration(self) -> str:
        return (
            f"{PACKAGE} {version(PACKAGE)}, psycopg {version('psycopg')}: application recorder, default mode, "
            f"{self._pool_size} threads and connections"
        )

    async def __aenter__(self) -> Self:
        try:
            version(PACKAGE)
            from eventsourcing.postgres import PostgresFactory  # noqa: PLC0415 - only make bench installs it
            from eventsourcing.utils import Environment  # noqa: PLC0415
        except (PackageNotFoundError, ImportError) as missing:
            raise NotAvailable(f"the package {PACKAGE} is not installed; make bench does that") from missing
        self._database = await self._stack.enter_async_context(self._server.scratch())
        settings = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": self._database.name,
            "POSTGRES_HOST": self._database.host(),
            "POSTGRES_PORT": str(self._database.port()),
            "POSTGRES_USER": self._database.owner(),
            "POSTGRES_PASSWORD": "not asked for",
            "POSTGRES_POOL_SIZE": str(self._pool_size),
            "POSTGRES_MAX_OVERFLOW": "0",
        }
        factory = PostgresFactory(Environment("Bench", settings))
        self._stack.callback(factory.close)
        self._recorder = await asyncio.to_thread(factory.application_recorder)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, in_flight: int, texts: Texts, seconds: float) -> Sample:
        from eventsourcing.persistence import StoredEvent  # noqa: PLC0415

        clock = time.perf_counter
        threads = min(in_flight, self._pool_size)
        began = clock()

        def client(number: int) -> int:
            done = 0
            while clock() - began < seconds:
                event = StoredEvent(
                    originator_id=uuid4(),
                    originator_version=1,
                    topic="benchmarks.workload:Measured",
                    state=texts.payload(number),
                )
                self._recorder.insert_events([event])
                done += 1
            return done

        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(threads) as executor:
            counts = await asyncio.gather(
                *(loop.run_in_executor(executor, client, number) for number in range(threads))
            )
        sample = Sample(acknowledged=sum(counts), seconds=clock() - began)
        self._expected += sample.acknowledged
        await self._count()
        return sample

    async def _count(self) -> None:
        conn = await asyncpg.connect(self._database.owner_url)
        try:
            row = await conn.fetchrow(COUNT)
        finally:
            await conn.close()
        if row is None or set(row) != {self._expected}:
            raise LostOrDoubled(f"{row} stored, {self._expected} acknowledged")

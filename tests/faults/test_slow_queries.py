"""What is asked takes long, because a table is locked: for a while, and for so long that all connections wait."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import httpx2
import pytest

from tests.support.outside import Outside
from tests.support.reliability import Row
from tests.support.service import HANG_GUARD, Service
from tests.support.traffic import Traffic

pytestmark = [pytest.mark.processes, pytest.mark.long]

DECISIONS = "views.decisions_v2"
QUEUE = "views.queue_v2"
CROWD = 30


@asynccontextmanager
async def locked(server: Outside, table: str) -> AsyncIterator[None]:
    """What its readers need is locked, as by somebody who alters the table."""
    conn = await asyncpg.connect(server.owner_url)
    try:
        async with conn.transaction():
            await conn.execute(f"lock table {table} in access exclusive mode")
            yield
    finally:
        await conn.close()


async def a_crowd(running: Service, token: str) -> list[httpx2.Response]:
    """Many who all ask for the queue, which each does by a connection of their own."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(
        base_url=running.url, headers=headers, timeout=HANG_GUARD, trust_env=False
    ) as client:
        return await asyncio.gather(*(client.get("/api/decisions/pending") for _ in range(CROWD)))


def test_queries_take_seconds(load: Traffic, server: Outside, record: Callable[[Row], None]) -> None:
    async def lock_for_a_while() -> None:
        async with locked(server, DECISIONS):
            await asyncio.sleep(4)

    with load.trouble() as trouble:
        asyncio.run(lock_for_a_while())
        trouble.over()
    trouble.check(within=20)
    record(trouble.row("queries take seconds: what they read is locked for four"))


def test_the_pool_is_exhausted(
    load: Traffic, running: Service, server: Outside, record: Callable[[Row], None]
) -> None:
    async def crowd_before_a_lock() -> list[httpx2.Response]:
        token = await asyncio.to_thread(running.login)
        async with locked(server, QUEUE):
            return await a_crowd(running, token)

    with load.trouble() as trouble:
        crowd = asyncio.run(crowd_before_a_lock())
        trouble.over()
    trouble.check(within=25)
    assert {answer.status_code for answer in crowd} == {503}
    assert {answer.json()["code"] for answer in crowd} == {"database-unreachable"}
    assert all("retry-after" in answer.headers for answer in crowd)
    record(
        trouble.row(f"the pool is exhausted: {CROWD} calls wait for what stays locked, on eight connections")
    )

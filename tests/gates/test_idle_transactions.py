"""Others' open transactions: whoever watches the log by transaction ids freezes behind them; this log does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from ledger.domain.ids import START
from ledger.store.history import follow
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.streams import append, append_in, draft
from tests.support.databases import Cluster, Database
from tests.support.events import an_event, by_somebody, new_stream
from tests.support.torture_log import TAIL

HANG = 60.0


async def idle_transaction(url: str) -> asyncpg.Connection:
    """A transaction that holds an id and a snapshot, and does nothing."""
    conn = await asyncpg.connect(url)
    await conn.execute("begin isolation level repeatable read")
    await conn.execute("create temporary table held (a integer)")
    assert await conn.fetchval("select pg_current_xact_id_if_assigned() is not null")
    return conn


@pytest.fixture(params=["this database", "another database", "both"])
async def idle(
    request: pytest.FixtureRequest, postgres: Cluster, database: Database
) -> AsyncIterator[list[asyncpg.Connection]]:
    async with AsyncExitStack() as stack:
        urls = []
        if request.param != "another database":
            urls += [database.owner_url, database.owner_url]
        if request.param != "this database":
            urls += [(await stack.enter_async_context(postgres.fresh())).owner_url]
        held = [await idle_transaction(url) for url in urls]
        try:
            yield held
        finally:
            for conn in held:
                await conn.close()


async def test_a_naive_tail_sees_every_append_at_once(
    ledger: Ledger, database: Database, idle: list[asyncpg.Connection]
) -> None:
    tail = await asyncpg.connect(database.service_url)
    async with asyncio.timeout(HANG):
        for position in range(1, 101):
            await append(ledger, draft(new_stream(), [an_event()], by_somebody()))
            rows = await tail.fetch(TAIL, position - 1, 10)
            assert [row["position"] for row in rows] == [position]
    await tail.close()


async def test_a_follower_does_not_lag(ledger: Ledger, idle: list[asyncpg.Connection]) -> None:
    followed = follow(ledger, after=START, types=["session-ended"])
    async with asyncio.timeout(HANG):
        for position in range(1, 101):
            await append(ledger, draft(new_stream(), [an_event()], by_somebody()))
            assert (await anext(followed)).position == position
    await followed.aclose()


async def test_one_who_began_early_and_appends_late_comes_late(ledger: Ledger, database: Database) -> None:
    """By transaction id it would stand before what readers have passed; by position it does not."""
    slow = await asyncpg.connect(database.service_url)
    async with asyncio.timeout(HANG), slow.transaction():
        await slow.execute("select pg_current_xact_id()")
        for _ in range(3):
            await append(ledger, draft(new_stream(), [an_event()], by_somebody()))
        assert await ledger.head() == 3
        landed = await append_in(slow, LEDGER_ID, draft(new_stream(), [an_event()], by_somebody()))
    await slow.close()

    assert landed.first_position == 4
    assert await ledger.head() == 4

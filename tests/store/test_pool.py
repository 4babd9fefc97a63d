"""Connections that end otherwise than they should."""

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest
import uvloop

from ledger.store import pool as pools
from ledger.store.ledger import Ledger
from ledger.store.pool import (
    HOST_TIMEOUT,
    DatabaseUnreachable,
    Lines,
    Pool,
    close_pool,
    connect,
    open_pool,
    reading,
    seconds_for_each,
)
from ledger.store.sending import RESEND_SECONDS
from tests.support.databases import Database
from tests.support.proxy import proxy

# A process of its own, so that whoever waits for it hears of nothing before it has ended.
CUT = """
import asyncio, sys, asyncpg

async def cut(url):
    conn = await asyncpg.connect(url)
    await conn.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    await conn.close()

asyncio.run(cut(sys.argv[1]))
"""


def cut_connections(database: Database) -> None:
    subprocess.run([sys.executable, "-c", CUT, database.owner_url], check=True, timeout=60)


# How many turns of the loop after the first one the cut falls: somewhere in here the farewell is about to be written.
@pytest.mark.parametrize("turns", [1, 2, 3, 4])
def test_a_pool_whose_connections_are_cut_while_it_closes_is_closed_all_the_same(
    database: Database, turns: int
) -> None:
    async def close_while_cut() -> bool:
        pool = await open_pool(database.service_url, min_size=2, max_size=2)
        loop = asyncio.get_running_loop()

        def cut_after(more: int) -> None:
            if more:
                loop.call_soon(cut_after, more - 1)
            else:
                cut_connections(database)

        loop.call_soon(cut_after, turns)
        await close_pool(pool)
        return pool.is_closing()

    assert uvloop.run(close_while_cut())


async def test_a_connection_that_is_cut_while_a_ledger_is_opened_is_told_as_such(database: Database) -> None:
    async with proxy(database.service_url) as line:
        line.hold_answers(after=b"to_regclass")
        opening = asyncio.create_task(Ledger.open(line.url))
        await line.held.wait()
        line.cut()
        with pytest.raises(DatabaseUnreachable):
            await opening


@pytest.mark.parametrize("hosts", range(2, 12))
def test_however_many_hosts_are_gone_the_one_that_is_there_is_asked_before_a_lost_batch_is_given_up(
    hosts: int,
) -> None:
    gone = (hosts - 1) * seconds_for_each(hosts)

    assert gone <= RESEND_SECONDS - 2
    assert seconds_for_each(hosts) <= HOST_TIMEOUT


async def test_of_four_hosts_the_last_is_found_though_three_say_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "GONE_SECONDS", 0.3)
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(proxy(database.service_url)) for _ in range(4)]
        for line in lines[:3]:
            line.block()
        first = urlsplit(lines[0].url)
        query = parse_qs(first.query)
        hosts = ",".join(parse_qs(urlsplit(line.url).query)["host"][0] for line in lines)
        asked = urlencode({**{name: value[0] for name, value in query.items()}, "host": hosts})

        conn = await connect(urlunsplit(first._replace(query=asked)))
        found = await conn.fetchval("select 1")
        await conn.close()
        for line in lines:
            line.heal()

    assert found == 1


async def run(pool: Pool, *statements: str) -> None:
    async with reading(pool) as conn:
        for statement in statements:
            await conn.execute(statement)


async def test_a_read_of_what_is_locked_for_too_long_is_told_as_such(ledger: Ledger) -> None:
    async with ledger.pool.acquire() as owner, owner.transaction():
        await owner.execute("lock table views.leases")
        with pytest.raises(DatabaseUnreachable) as refused:
            await run(ledger.pool, "set lock_timeout = 1", "select owner from views.leases")

    assert refused.value.context == {"reason": "LockNotAvailableError"}


async def test_a_write_to_a_standby_is_told_as_such(ledger: Ledger) -> None:
    with pytest.raises(DatabaseUnreachable) as refused:
        await run(ledger.pool, "set default_transaction_read_only = on", "delete from views.leases")

    assert refused.value.context == {"reason": "ReadOnlySQLTransactionError"}


async def test_who_waits_for_a_server_that_says_nothing_is_told_once_it_is_given_up(
    database: Database,
) -> None:
    async with proxy(database.service_url) as line:
        lines = Lines()
        pool = await open_pool(line.url, min_size=1, max_size=1, lines=lines)
        line.block()

        async def wait_for_an_answer() -> None:
            async with reading(pool) as conn:
                asyncio.get_running_loop().call_soon(lines.give_up)
                await conn.fetchval("select 1")

        with pytest.raises(DatabaseUnreachable):
            await wait_for_an_answer()
        line.heal()
        async with reading(pool) as conn:
            assert await conn.fetchval("select 1") == 1
        await close_pool(pool)

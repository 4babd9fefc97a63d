"""One process feeds a projection, another stands by: no event is lost or applied twice when they change over."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import pytest

from ledger.projections.health import State
from ledger.projections.views.decisions import DECISIONS
from ledger.store.ledger import Ledger
from tests.projections.counting import Counting, ends, make_table, seen
from tests.projections.given import HANG, Service, service, until
from tests.projections.scenes import THREE_ITEMS, happen
from tests.support.chaos import Chaos
from tests.support.databases import Cluster, Database
from tests.support.proxy import proxy


@pytest.fixture
async def pair(database: Database, ledger: Ledger) -> AsyncIterator[tuple[Service, Service]]:
    """A leader and its hot standby."""
    await make_table(ledger)
    async with service(database, [Counting().projection]) as leader:
        await until(lambda: leads(leader))
        async with service(database, [Counting().projection]) as standby:
            await until(lambda: standby.runner.health()[0].state is State.STANDBY)
            yield leader, standby


def leads(one: Service) -> bool:
    return one.runner.health()[0].is_leader


LEASES_OF = "select count(*) from views.leases where owner = $1"


async def test_one_leads_and_the_other_stands_by(ledger: Ledger, pair: tuple[Service, Service]) -> None:
    leader, standby = pair
    head = await ends(ledger, 20)
    await leader.level(head, "counting")
    await standby.level(head, "counting")

    assert [leads(one) for one in pair] == [True, False]
    assert all(one.runner.is_ready() for one in pair)
    assert standby.runner.health()[0].state is State.STANDBY
    assert await seen(ledger) == list(range(1, 21))


async def test_a_standby_takes_over_from_the_dead(ledger: Ledger, pair: tuple[Service, Service]) -> None:
    leader, standby = pair
    await ends(ledger, 20)
    died_at = time.monotonic()
    leader.kill()
    head = await ends(ledger, 20)

    await standby.level(head, "counting")

    assert 1.0 < time.monotonic() - died_at < 5 * 5.0
    assert await seen(ledger) == list(range(1, head + 1))


async def test_a_standby_takes_over_from_the_dead_whose_lease_a_clock_put_far_ahead(
    ledger: Ledger, pair: tuple[Service, Service]
) -> None:
    leader, standby = pair
    leader.kill()
    await ledger.pool.execute("update views.leases set until = clock_timestamp() + interval '1 year'")
    head = await ends(ledger, 20)

    await standby.level(head, "counting")

    assert await seen(ledger) == list(range(1, head + 1))


async def test_a_standby_takes_over_at_once_from_one_that_stops(
    ledger: Ledger, pair: tuple[Service, Service]
) -> None:
    leader, standby = pair
    await ends(ledger, 20)
    await leader.runner.stop()
    assert await ledger.pool.fetchval(LEASES_OF, leader.runner._election.owner) == 0
    head = await ends(ledger, 20)

    await standby.level(head, "counting")

    assert await seen(ledger) == list(range(1, head + 1))


async def test_a_dead_loop_gives_its_projection_away(ledger: Ledger, pair: tuple[Service, Service]) -> None:
    """The process lives on and renews its other leases; this one it must not keep."""
    leader, standby = pair
    leader.runner._loops["counting"].cancel()

    await until(lambda: leads(standby), within=5.0)

    head = await ends(ledger)
    await standby.level(head, "counting")


async def test_two_who_both_believe_to_lead_apply_nothing_twice(
    ledger: Ledger, pair: tuple[Service, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases only spare work; the checkpoint's compare-and-set is the safety."""
    for one in pair:
        monkeypatch.setattr(one.runner._election, "leads", lambda _name: True)
    head = 0
    for _ in range(30):
        head = await ends(ledger, 7)
    for one in pair:
        await one.level(head, "counting")

    leader, standby = pair
    leader.kill()  # and whoever was beaten to it time and again has not given up
    head = await ends(ledger, 7)
    await standby.level(head, "counting")
    assert await seen(ledger) == list(range(1, head + 1))


async def test_connections_that_are_cut_again_and_again_lose_nothing(
    database: Database, ledger: Ledger, pair: tuple[Service, Service]
) -> None:
    owner = await asyncpg.connect(database.owner_url)
    mine = await ledger.pool.fetchval("select pg_backend_pid()")
    appended = asyncio.create_task(_many(ledger))
    try:
        for _ in range(5):
            await owner.execute(
                """
                select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and pid not in (pg_backend_pid(), $1)
                  and query like '%views.%'
                """,
                mine,
            )
            await asyncio.sleep(0.1)
        head = await appended
        for one in pair:
            await one.level(head, "counting")
    finally:
        await owner.close()

    assert await seen(ledger) == list(range(1, head + 1))


async def _many(ledger: Ledger) -> int:
    head = 0
    for _ in range(60):
        head = max(head, await ends(ledger, 5))
    return head


async def test_a_line_that_dies_without_a_word_holds_no_view_up_for_long(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a rollback comes back on it: all its connections are cut once the listener has heard nothing."""
    monkeypatch.setattr("ledger.store.signals.PROBE_EVERY", 0.1)
    monkeypatch.setattr("ledger.store.signals.PROBE_TIMEOUT", 0.5)
    monkeypatch.setattr("ledger.projections.follower.BATCH_TIMEOUT", 0.3)
    await make_table(ledger)
    async with proxy(database.service_url) as line:
        through = msgspec.structs.replace(database, service_url=line.url)
        async with service(through, [Counting().projection]) as working:
            await working.level(await ends(ledger, 3), "counting")
            line.lose()

            await working.level(await ends(ledger, 3), "counting")

    assert await seen(ledger) == list(range(1, 7))


@asynccontextmanager
async def away(postgres: Cluster, database: Database) -> AsyncIterator[None]:
    """The database throws everybody out and lets nobody in."""
    await postgres.execute(f"alter database {database.name} allow_connections false")
    everybody = f"from pg_stat_activity where datname = '{database.name}'"
    await postgres.execute(f"select pg_terminate_backend(pid) {everybody}")
    try:
        yield
    finally:
        await postgres.execute(f"alter database {database.name} allow_connections true")


async def test_a_database_that_goes_away_and_comes_back_is_caught_up_with(
    postgres: Cluster, database: Database, ledger: Ledger
) -> None:
    await make_table(ledger)
    async with service(database, [Counting().projection]) as running:
        await running.level(await ends(ledger, 3), "counting")
        async with away(postgres, database):
            await until(lambda: running.runner.health()[0].state is State.RETRYING)
            await until(lambda: not leads(running))
            assert running.runner.health()[0].is_alive

        head = await ends(ledger, 3)
        await running.level(head, "counting")
        await until(running.runner.is_ready)

    assert await seen(ledger) == list(range(1, head + 1))


async def test_stopping_does_not_wait_for_a_database_that_is_away(
    postgres: Cluster, database: Database, ledger: Ledger
) -> None:
    await make_table(ledger)
    async with service(database, [Counting().projection]) as running:
        await running.level(await ends(ledger), "counting")
        async with away(postgres, database):
            stopped_at = time.monotonic()
            await running.runner.stop()

            assert time.monotonic() - stopped_at < 5 * 5.0
            assert running.runner.health()[0].state is State.STOPPED


async def test_however_many_views_hang_the_leases_are_renewed(database: Database, ledger: Ledger) -> None:
    hanging = Chaos(DECISIONS)
    hanging.gate.clear()
    views = [hanging.under(f"copy-{number}", hanging.schema) for number in range(5)]
    await happen(ledger, THREE_ITEMS)
    renewed = "select min(until) > $1 from views.leases"

    async with service(database, views) as running, asyncio.timeout(HANG):
        await until(lambda: len(hanging.fed) >= 4 * len(THREE_ITEMS))
        before = await ledger.pool.fetchval("select max(until) + interval '2 seconds' from views.leases")
        while not await ledger.pool.fetchval(renewed, before):
            assert all(view.is_leader for view in running.runner.health())
        running.kill()

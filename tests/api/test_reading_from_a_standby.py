"""With a streaming standby: it answers what only reads, nobody misses a write, and without it the primary answers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest
import pytest_asyncio

from ledger.projections.standby import Answered, Away, Standby
from ledger.store.ledger import Ledger
from ledger.store.pool import Lent, Source, reading
from tests.api.answers import (
    decide,
    degraded_where_nobody_seals,
    pending,
    pending_in_a_crowd,
    submit,
    together,
)
from tests.support.databases import Cluster
from tests.support.http import Api, cheap_passwords, serving
from tests.support.postgres_folders import running
from tests.support.proxy import proxy
from tests.support.sealed_log import seal
from tests.support.standbys import Pair, streaming

pytestmark = pytest.mark.long

SUMMARY: Final = "/api/decisions/stats/summary"
HANG: Final = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    async with streaming(tmp_path_factory.mktemp("pair")) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(pair: Pair) -> AsyncIterator[Api]:
    """An instance that reads from the standby."""
    url = pair.standby.service_url
    async with serving(pair.database, passwords=cheap_passwords(), standby_url=url) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(pair: Pair, shared: Api) -> AsyncIterator[Api]:
    """Another instance over the same servers."""
    url = pair.standby.service_url
    async with serving(pair.database, passwords=cheap_passwords(), standby_url=url) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def standby(pair: Pair, shared: Api, other: Api) -> Standby:
    """The standby as the instance knows it, asked for reads, with nothing counted."""
    for api in (other, shared):
        found = standby_of(api)
        await asked(found)
        found.answers.clear()
    return found


def standby_of(api: Api) -> Standby:
    assert api.services.standby is not None
    return api.services.standby


async def asked(standby: Standby) -> None:
    """Wait until the standby follows."""
    async with asyncio.timeout(HANG):
        while standby.away is not None:
            await standby.judge()


async def replayed(standby: Standby) -> None:
    """Wait until the standby shows what the primary shows now, and count nothing of it."""
    async with asyncio.timeout(HANG):
        while standby.answers[Answered.STANDBY] == 0:
            await standby.read(("queue", "statistics", "directory"), nothing)
    standby.answers.clear()


async def nothing(_: Ledger) -> None:
    return


async def source_of(ledger: Ledger) -> Source:
    return ledger.source


@pytest.mark.parametrize(
    "path",
    [
        "/api/decisions/pending",
        SUMMARY,
        "/api/decisions/stats/detail",
        "/api/status",
        "/api/audit/events",
        "/api/audit/events?format=ndjson",
        "/api/audit/queue",
        "/api/audit/decisions/looked-at/timeline",
        "/api/audit/decisions/looked-at/state",
        "/api/audit/decisions/looked-at/chain",
    ],
)
@together
async def test_the_standby_answers_what_only_reads(
    shared: Api, admin: dict[str, str], standby: Standby, path: str
) -> None:
    if "looked-at" in path and not await pending(shared, admin):
        await submit(shared, admin, "looked-at")
    await replayed(standby)

    answer = await shared.client.get(path, headers=admin)

    assert answer.status_code == 200, answer.text
    assert standby.answers[Answered.STANDBY] > 0
    assert standby.answers.total() == standby.answers[Answered.STANDBY]


@together
async def test_what_is_read_from_a_standby_is_recorded_on_the_primary(
    shared: Api, admin: dict[str, str], standby: Standby
) -> None:
    searched = {"type": "webhook-registered"}
    await shared.client.get("/api/audit/events", headers=admin, params=searched)

    asked_for = {"type": "history-read", "order": "desc", "limit": 1, "form": "current"}
    told = (await shared.client.get("/api/audit/events", headers=admin, params=asked_for)).json()

    assert "webhook-registered" in str(told["events"][0]["current"])


@together
async def test_a_write_is_read_at_once_by_everybody_while_the_standby_stands_still(
    shared: Api, other: Api, admin: dict[str, str], standby: Standby, pair: Pair
) -> None:
    await submit(shared, admin, "before")
    await pair.pause()
    try:
        submitted = await submit(shared, admin, "while-it-stood-still", priority="critical")
        position = int(submitted.headers["ledger-position"])

        for api in (shared, other):
            assert (await pending(api, admin))[0] == "while-it-stood-still"
            summary = (await api.client.get(SUMMARY, headers=admin)).json()
            assert summary["total_pending"] == len(await pending(api, admin))
            wanted = {"first": position, "last": position}
            found = await api.client.get("/api/audit/events", headers=admin, params=wanted)
            assert [event["position"] for event in found.json()["events"]] == [position]
            assert standby_of(api).answers[Answered.PRIMARY_LATE] > 0
            assert standby_of(api).answers[Answered.STANDBY] == 0
    finally:
        await pair.resume()


@together
async def test_each_of_many_writers_reads_their_own_write_on_the_other_instance(
    shared: Api, other: Api, admin: dict[str, str], standby: Standby
) -> None:
    async def write_and_read(number: int) -> bool:
        here, there = (shared, other) if number % 2 else (other, shared)
        await submit(here, admin, f"item-{number}", priority="critical")
        shown = f"item-{number}" in await pending_in_a_crowd(there, admin)
        await decide(here, admin, f"item-{number}")
        return shown and f"item-{number}" not in await pending_in_a_crowd(there, admin)

    async with asyncio.timeout(HANG):
        assert all(await asyncio.gather(*(write_and_read(number) for number in range(30))))


@together
async def test_who_may_read_is_asked_of_the_primary(
    shared: Api, admin: dict[str, str], standby: Standby, pair: Pair
) -> None:
    sam = await shared.newcomer("sam")
    await replayed(standby)
    await pair.pause()
    try:
        await shared.client.post("/api/auth/logout", headers=sam)
        refused = await shared.client.get("/api/decisions/pending", headers=sam)
    finally:
        await pair.resume()

    assert refused.status_code == 401


@together
async def test_nothing_can_be_written_where_reads_go(shared: Api, standby: Standby) -> None:
    async def write(ledger: Ledger) -> str:
        async with reading(ledger.source) as conn:
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await conn.execute("delete from views.queue_v2")
            return str(await conn.fetchval("show default_transaction_read_only"))

    await replayed(standby)
    assert await standby.read((), write) == "on"


@together
async def test_a_read_that_breaks_off_on_the_standby_is_done_on_the_primary(
    shared: Api, standby: Standby
) -> None:
    await replayed(standby)

    async def break_off(ledger: Ledger) -> str:
        async with reading(ledger.source) as conn:
            if isinstance(ledger.source, Lent):
                await conn.execute("select pg_terminate_backend(pg_backend_pid())")
        return "done"

    assert await standby.read((), break_off) == "done"
    assert standby.answers == {Answered.PRIMARY_FAILED: 1}
    assert standby.away is Away.UNREACHABLE


@together
async def test_a_read_that_the_standby_cancels_is_done_on_the_primary(shared: Api, standby: Standby) -> None:
    await replayed(standby)

    async def conflict(ledger: Ledger) -> str:
        async with reading(ledger.source) as conn:
            if isinstance(ledger.source, Lent):
                await conn.execute("do $$ begin raise exception using errcode = '40001'; end $$")
        return "done"

    assert await standby.read((), conflict) == "done"
    assert standby.answers == {Answered.PRIMARY_FAILED: 1}
    assert standby.away is None


@together
async def test_a_standby_that_stands_still_is_left_and_comes_back(
    shared: Api, admin: dict[str, str], standby: Standby, pair: Pair
) -> None:
    await pair.pause()
    try:
        await submit(shared, admin, "unseen-by-the-standby")
        await standby.judge()
        left = await _told(shared, admin)
        read = await pending(shared, admin, limit=100)
    finally:
        await pair.resume()
    await asked(standby)

    assert left == (["read-standby"], "behind")
    assert "unseen-by-the-standby" in read
    assert standby.answers == {Answered.PRIMARY_AWAY: 1}
    assert await _told(shared, admin) == ([], None)


@together
async def test_a_standby_that_hangs_is_waited_for_no_longer_than_a_look_may_take(
    shared: Api, standby: Standby, pair: Pair
) -> None:
    async with proxy(pair.standby.service_url) as line:
        hung = await Standby.open(shared.services.ledger, line.url, max_size=2)
        await asked(hung)
        line.block()
        async with asyncio.timeout(HANG):
            await hung.read((), nothing)
            await hung.read((), nothing)
        line.cut_all()
        line.heal()
        await hung.stop()

    assert hung.away is Away.UNREACHABLE
    assert hung.answers == {Answered.PRIMARY_FAILED: 1, Answered.PRIMARY_AWAY: 1}


@together
async def test_where_the_primary_does_not_say_in_time_how_far_it_is_it_does_the_read(
    shared: Api, standby: Standby, pair: Pair
) -> None:
    await replayed(standby)
    locker = await asyncpg.connect(pair.primary.service_url)
    try:
        async with asyncio.timeout(HANG), locker.transaction():
            await locker.execute("lock table views.checkpoints")
            read_on = await standby.read((), source_of)
    finally:
        await locker.close()

    assert read_on is shared.ledger.pool
    assert standby.answers == {Answered.PRIMARY_SILENT: 1}
    assert standby.away is None


@together
async def test_a_read_under_way_on_a_line_that_dies_is_done_on_the_primary(
    shared: Api, standby: Standby, pair: Pair
) -> None:
    async with proxy(pair.standby.service_url) as line:
        hung = await Standby.open(shared.services.ledger, line.url, max_size=2)
        await asked(hung)

        async def begin_and_lose(ledger: Ledger) -> bool:
            async with reading(ledger.source) as conn:
                if isinstance(ledger.source, Lent):
                    line.lose()
                    begun.set()
                return bool(await conn.fetchval("select pg_is_in_recovery()"))

        begun = asyncio.Event()
        under_way = asyncio.create_task(hung.read((), begin_and_lose))
        await begun.wait()
        async with asyncio.timeout(HANG):
            await hung.judge()
            was_on_standby = await under_way
        await hung.stop()

    assert not was_on_standby
    assert hung.answers == {Answered.PRIMARY_FAILED: 1}


@together
async def test_what_an_export_may_take_is_read_from_the_standby(
    shared: Api, admin: dict[str, str], standby: Standby
) -> None:
    await seal(shared.ledger)
    begun = await shared.client.post("/api/audit/exports", headers=admin, json={"tier": "payload"})
    export, last = begun.json()["export_id"], begun.json()["to"]
    await replayed(standby)

    answer = await shared.client.get(f"/api/audit/exports/{export}/payloads", headers=admin)

    assert len(answer.content.splitlines()) == last
    assert standby.answers[Answered.STANDBY] > 0


@together
async def test_reads_go_on_without_the_standby_and_return_to_it(
    shared: Api, admin: dict[str, str], standby: Standby, pair: Pair
) -> None:
    await submit(shared, admin, "after-its-end")
    await pair.standby.stop()

    first = await pending(shared, admin, limit=100)
    await standby.judge()
    left = await _told(shared, admin)
    await pair.start_standby()
    await asked(standby)
    await replayed(standby)

    assert "after-its-end" in first
    assert left == (["read-standby"], "unreachable")
    assert await pending(shared, admin, limit=100) == first
    assert standby.answers == {Answered.STANDBY: 1}


@together
async def test_a_server_that_is_no_standby_of_this_ledger_is_never_asked(
    shared: Api, standby: Standby, pair: Pair, postgres: Cluster, tmp_path: Path
) -> None:
    ledger = shared.services.ledger
    async with postgres.fresh() as elsewhere, running(pair.older) as restored:
        older = await Ledger.open(restored.service_url)
        for of, url, reason in (
            (ledger, pair.primary.service_url, Away.PROMOTED),
            (ledger, elsewhere.service_url, Away.ANOTHER_LEDGER),
            (ledger, f"postgresql://nobody@/ledger?host={tmp_path}", Away.UNREACHABLE),
            (older, pair.standby.service_url, Away.AHEAD),
        ):
            candidate = await Standby.open(of, url, max_size=1)
            await candidate.judge()
            await candidate.read((), nothing)
            await candidate.stop()
            assert (candidate.away, candidate.answers) == (reason, {Answered.PRIMARY_AWAY: 1})
        await older.pool.close()


async def _told(api: Api, by: dict[str, str]) -> tuple[list[str], str | None]:
    """What /health says."""
    ready = await api.client.get("/health/ready")
    database = (await api.client.get("/health/database", headers=by)).json()
    return degraded_where_nobody_seals(ready), database["standby"]["away"]

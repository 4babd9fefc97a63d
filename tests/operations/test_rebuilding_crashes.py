"""A process that is killed in a rebuild harms nothing, and another one brings the rebuild to its end."""

import asyncio
import signal
import sys
from uuid import uuid4

import pytest

from ledger.domain.operations.events import RebuildStarted, RebuildSwitched
from ledger.operations.rebuilder import Rebuilder
from ledger.operations.rebuilding import ask
from ledger.projections.rebuilds import Kind, RebuildState, claim
from ledger.projections.verifying import verify
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import LEDGER_ID, Ledger
from tests.operations.rebuilt import history, progress_of, submissions, the_operator
from tests.projections.given import bring_level, rows_of
from tests.support.databases import Database

POINTS = {
    "begun": (RebuildState.ASKED, 0),
    "before a batch": (RebuildState.BUILDING, 40),
    "after a batch": (RebuildState.BUILDING, 40),
    "compared": (RebuildState.COMPARING, 93),
    "exchanged": (RebuildState.SWITCHING, 93),
}
RUN_OUT = "update views.rebuilds set until = clock_timestamp() - interval '1 second' where until is not null"


async def dies(database: Database, point: str) -> None:
    """Let another process work on it until it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.dying_rebuilder", database.service_url, point
    )
    assert await process.wait() == -signal.SIGKILL


async def rows(ledger: Ledger) -> list[tuple[object, ...]]:
    async with ledger.pool.acquire() as conn:
        return await rows_of(conn, QUEUE)


@pytest.fixture
async def before(ledger: Ledger) -> list[tuple[object, ...]]:
    """Rows that serve, and a rebuild that is asked for."""
    await submissions(ledger, 60)
    await bring_level(ledger, QUEUE)
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)
    await bring_level(ledger, QUEUE)
    return await rows(ledger)


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_rebuild_is_brought_to_its_end(
    database: Database, ledger: Ledger, before: list[tuple[object, ...]], point: str
) -> None:
    await dies(database, point)

    assert await rows(ledger) == before
    left = await progress_of(ledger, QUEUE)
    assert (left.state, left.position) == POINTS[point]
    assert not await Rebuilder(ledger, [QUEUE]).work_once(), "the dead one's claim still holds"

    await ledger.pool.execute(RUN_OUT)
    assert await Rebuilder(ledger, [QUEUE]).work_once()

    assert await rows(ledger) == before
    assert (await progress_of(ledger, QUEUE)).state is RebuildState.SWITCHED
    assert [type(event) for event in await history(ledger, QUEUE)] == [RebuildStarted, RebuildSwitched]
    assert (await verify(ledger.url, LEDGER_ID, QUEUE, sample=None)).is_clean()


@pytest.mark.long
@pytest.mark.processes
async def test_a_death_after_the_switch_changes_nothing(
    database: Database, ledger: Ledger, before: list[tuple[object, ...]]
) -> None:
    await dies(database, "switched")

    assert (await progress_of(ledger, QUEUE)).state is RebuildState.SWITCHED
    assert await rows(ledger) == before
    assert not await Rebuilder(ledger, [QUEUE]).work_once()


@pytest.mark.long
@pytest.mark.processes
async def test_a_claim_runs_out_by_itself(database: Database, ledger: Ledger, before: list[object]) -> None:
    await dies(database, "before a batch")

    async with asyncio.timeout(60):
        while not await Rebuilder(ledger, [QUEUE]).work_once():
            await asyncio.sleep(0.1)

    assert (await progress_of(ledger, QUEUE)).state is RebuildState.SWITCHED


@pytest.mark.parametrize(("until", "taken"), [("40 seconds", False), ("-1 seconds", True), ("1 year", True)])
async def test_a_claim_that_nobody_can_have_taken_keeps_nobody_from_a_rebuild(
    ledger: Ledger, until: str, *, taken: bool
) -> None:
    """The database's clock leapt a year ahead and was set right, and the process that rebuilt then is gone."""
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)
    async with ledger.pool.acquire() as conn:
        assert await claim(conn, ledger.ledger_id, uuid4(), [QUEUE])
        await conn.execute("update views.rebuilds set until = clock_timestamp() + $1::text::interval", until)

        assert (await progress_of(ledger, QUEUE)).is_worked_on is not taken
        found = await claim(conn, ledger.ledger_id, uuid4(), [QUEUE])
    assert (found is not None) is taken


async def test_who_lost_its_claim_stops_and_leaves_the_work_to_the_other(
    ledger: Ledger, before: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ledger.operations import rebuilder as module
    from tests.support.chaos import Chaos

    monkeypatch.setattr(module, "RENEW_EVERY", 0.05)
    slow = Chaos(QUEUE)
    slow.gate.clear()
    sleeper = asyncio.create_task(Rebuilder(ledger, [slow]).work_once())
    while not slow.fed:
        await asyncio.sleep(0.01)
    await ledger.pool.execute("update views.rebuilds set owner = gen_random_uuid()")

    assert await sleeper
    assert (await progress_of(ledger, QUEUE)).state is RebuildState.BUILDING

    await ledger.pool.execute(RUN_OUT)
    assert await Rebuilder(ledger, [QUEUE]).work_once()
    assert (await progress_of(ledger, QUEUE)).state is RebuildState.SWITCHED


async def test_what_goes_wrong_for_who_lost_its_claim_does_not_end_the_others_work(
    ledger: Ledger, before: list[object]
) -> None:
    from tests.support.chaos import Chaos

    stale = Chaos(QUEUE)
    stale.fail_on(1)
    stale.gate.clear()
    sleeper = asyncio.create_task(Rebuilder(ledger, [stale]).work_once())
    while not stale.fed:
        await asyncio.sleep(0.01)
    await ledger.pool.execute("update views.rebuilds set owner = gen_random_uuid()")
    stale.gate.set()

    assert await sleeper
    assert (await progress_of(ledger, QUEUE)).state is RebuildState.BUILDING


async def test_two_processes_do_not_work_on_one_rebuild(ledger: Ledger, before: list[object]) -> None:
    worked = await asyncio.gather(*(Rebuilder(ledger, [QUEUE]).work_once() for _ in range(3)))

    assert sorted(worked) == [False, False, True]
    assert len(await history(ledger, QUEUE)) == 2

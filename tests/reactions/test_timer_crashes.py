"""A worker that is killed anywhere loses no timer and repeats none."""

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ledger.domain.decision.events import Milestone, MilestonePassed
from ledger.domain.ids import StreamName
from ledger.projections.verifying import verify
from ledger.projections.views.timers import TIMERS
from ledger.store.ledger import LEDGER_ID, Ledger
from tests.projections.given import bring_level
from tests.reactions.waiting import ago, many_wait, terms, told, types_since
from tests.support.databases import Database

pytestmark = [pytest.mark.processes, pytest.mark.long]

HANG = 60.0
ITEMS = 60
BOTH_DUE = terms(target=60, deadline=86_400)
"""Half time and breach, an hour or two ago."""
POINTS = ("found", "first page done", "before a command", "written", "all done")


@asynccontextmanager
async def worker(database: Database, point: str = "never") -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process that dies at ``point``, or is killed when the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.dying_timekeeper", database.service_url, point
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def fired_since(ledger: Ledger, head: int) -> Counter[tuple[str, StreamName]]:
    return Counter(await types_since(ledger, head))


async def all_fired(ledger: Ledger, head: int, streams: list[StreamName]) -> None:
    """Wait until every timer has fired, then see that each did so once."""
    while sum((await fired_since(ledger, head)).values()) < 2 * len(streams):
        await asyncio.sleep(0.05)
    assert await fired_since(ledger, head) == {("milestone-passed", stream): 2 for stream in streams}
    for stream in streams:
        passed = [one.event for one in await told(ledger, stream)][1:]
        milestones = [event.milestone for event in passed if isinstance(event, MilestonePassed)]
        assert milestones == [Milestone.HALF_TIME, Milestone.BREACH]


@pytest.mark.parametrize("point", POINTS)
async def test_what_a_killed_worker_left_is_done_by_the_next_one(
    database: Database, ledger: Ledger, point: str
) -> None:
    streams = await many_wait(ledger, ITEMS, BOTH_DUE, since=ago(7_200))
    head = await ledger.head()
    await bring_level(ledger, TIMERS)
    async with asyncio.timeout(HANG), worker(database, point) as dying:
        assert await dying.wait() == -signal.SIGKILL
    left = await fired_since(ledger, head)
    assert bool(left) is (point != "found")

    async with asyncio.timeout(HANG), worker(database):
        await all_fired(ledger, head, streams)
    assert (await verify(ledger.url, LEDGER_ID, TIMERS, sample=None)).is_clean()


async def test_two_workers_one_of_which_is_killed_again_and_again(database: Database, ledger: Ledger) -> None:
    streams = await many_wait(ledger, 400, BOTH_DUE, since=ago(7_200))
    head = await ledger.head()
    async with asyncio.timeout(HANG), worker(database):
        while sum((await fired_since(ledger, head)).values()) < 2 * len(streams):
            async with worker(database):
                await asyncio.sleep(random.uniform(1.0, 3.0))  # noqa: S311 - it dies somewhere
        await all_fired(ledger, head, streams)

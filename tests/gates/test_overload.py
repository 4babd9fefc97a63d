"""Twice of what it can do is asked of it: some are turned away at once, the others served in time and memory."""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from ledger.domain.errors import Overloaded
from ledger.store.appender import MAX_BATCH
from ledger.store.ledger import Ledger
from ledger.store.streams import append, draft
from tests.support.databases import Database
from tests.support.events import an_event, by_somebody, new_stream
from tests.support.torture_sizes import HANG, sizes

MAX_QUEUE = 512
PROBE_SECONDS = 1.5
TICK = 0.005
BURST = 2 * MAX_QUEUE
"""At once; who comes late with more only measures what it costs to ask, in the very loop that is to serve."""
MEMORY_FACTOR = 1.5
MEMORY_MB = 40


class Load(msgspec.Struct):
    """What became of the appends that were offered."""

    became: Counter[str]
    waits: list[float]
    longest_queue: int = 0


async def capacity(ledger: Ledger) -> float:
    """Appends a second with as many callers as a batch holds, each waiting for its answer."""
    done, began = 0, time.monotonic()

    async def call() -> None:
        nonlocal done
        while time.monotonic() - began < PROBE_SECONDS:
            await append(ledger, draft(new_stream(), [an_event()], by_somebody()))
            done += 1

    await asyncio.gather(*(call() for _ in range(MAX_BATCH)))
    return done / (time.monotonic() - began)


async def offer(ledger: Ledger, rate: float, seconds: float) -> Load:
    """Offer appends at this rate, whatever becomes of those before; what a busy loop came too late for is left out."""
    load = Load(Counter(), [])

    async def call() -> None:
        began = time.monotonic()
        try:
            await append(ledger, draft(new_stream(), [an_event()], by_somebody()))
        except Overloaded:
            load.became["turned away"] += 1
        else:
            load.became["accepted"] += 1
            load.waits.append(time.monotonic() - began)

    began, offered = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while (passed := time.monotonic() - began) < seconds:
            for _ in range(min(BURST, int(rate * passed) - offered)):
                group.create_task(call())
            offered = int(rate * passed)
            await asyncio.sleep(TICK)
            load.longest_queue = max(load.longest_queue, ledger.appender.queued())
    return load


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="tells its memory elsewhere")
@sizes(short=3, long=20, longest=120)
async def test_twice_the_capacity_is_turned_away_in_part_and_served_in_time(
    database: Database, size: int
) -> None:
    """For ``size`` seconds."""
    async with (
        asyncio.timeout(HANG),
        await Ledger.open(database.service_url, max_queue=MAX_QUEUE) as ledger,
    ):
        rate = await capacity(ledger)
        before, memory = await ledger.head(), resident_mb()
        load = await offer(ledger, rate * 2, size)
        after = await ledger.head()
        rate = min(rate, await capacity(ledger))  # a machine that others use may have slowed down meanwhile

    served = load.became["accepted"] / size
    longest = max(load.waits)
    print(
        {
            "capacity": rate,
            "served": served,
            "longest wait": longest,
            **load.became,
            "MB": resident_mb() - memory,
        }
    )
    assert load.became["turned away"] > 0
    assert load.longest_queue <= MAX_QUEUE
    assert after - before == load.became["accepted"], "what was turned away wrote nothing, the rest once"
    assert served > rate / 10, "it did not collapse"
    assert longest < 1.0 + 10 * (MAX_QUEUE + MAX_BATCH) / served, "nobody waits longer than a few queues"
    assert resident_mb() < memory * MEMORY_FACTOR + MEMORY_MB


async def test_after_an_overload_it_is_as_before(database: Database) -> None:
    async with (
        asyncio.timeout(60),
        await Ledger.open(database.service_url, max_queue=16) as ledger,
    ):
        load = await offer(ledger, 20_000, 0.2)
        assert load.became["turned away"] > 0
        landed = await append(ledger, draft(new_stream(), [an_event()], by_somebody()))

    assert landed.first_position == load.became["accepted"] + 1

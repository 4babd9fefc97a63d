"""Bells nobody misses, and a listener that comes back."""

import asyncio

import pytest

from ledger.store.ledger import Ledger
from ledger.store.signals import Bell, Signals
from ledger.store.streams import append, draft
from tests.store.test_appender import kill_others
from tests.support.databases import Database
from tests.support.events import an_event, by_somebody, new_stream
from tests.support.proxy import proxy

HANG = 60.0


async def test_a_ring_between_looking_and_waiting_is_not_missed() -> None:
    bell = Bell()
    seen = bell.rings()
    bell.ring()

    assert await bell.wait_past(seen, timeout=0)


async def test_waiting_ends_without_a_ring() -> None:
    bell = Bell()

    assert not await bell.wait_past(bell.rings(), timeout=0.01)


async def test_one_ring_wakes_everybody() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait_past(0, timeout=HANG)) for _ in range(3)]
    await asyncio.sleep(0)
    bell.ring()

    assert await asyncio.gather(*waiting) == [True, True, True]


async def test_an_append_of_another_process_rings(ledger: Ledger, database: Database) -> None:
    async with await Ledger.open(database.service_url) as other:
        await until_connected(ledger)
        seen = ledger.appended.rings()
        await append(other, draft(new_stream(), [an_event()], by_somebody()))

        assert await ledger.appended.wait_past(seen, timeout=HANG)


async def test_a_listener_that_was_cut_off_comes_back_and_says_look_for_yourself(
    ledger: Ledger, database: Database
) -> None:
    await until_connected(ledger)
    seen = ledger.appended.rings()
    await kill_others(database)

    assert await ledger.appended.wait_past(seen, timeout=HANG)
    await until_connected(ledger)


async def until_connected(ledger: Ledger) -> None:
    async with asyncio.timeout(HANG):
        while not ledger.signals.is_connected():
            await ledger.appended.wait_past(ledger.appended.rings(), timeout=0.05)


async def test_a_line_that_dies_before_anybody_listens_is_found_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.store.signals.PROBE_TIMEOUT", 0.5)
    gone: list[bool] = []
    async with proxy(database.service_url) as line:
        line.hold_answers(after=b"LISTEN")
        signals = Signals(line.url)
        signals.on("anything", lambda _: None)
        signals.when_dead(lambda: gone.append(True))
        signals.start()
        async with asyncio.timeout(HANG):
            while not signals.is_connected():
                await asyncio.sleep(0.01)
        await signals.stop()

    assert gone

"""What goes on whatever happens."""

import asyncio
from pathlib import Path

import pytest

from ledger.cli import guarding
from ledger.cli.guarding import going_on, keep_postgres
from ledger.store.local_postgres.server import LocalPostgres, PostgresDidNotStart


async def test_a_task_that_crashes_is_begun_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guarding, "AGAIN_SECONDS", 0.0)
    attempts, well = 0, asyncio.Event()

    async def crash_twice() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise ValueError(attempts)
        well.set()
        await asyncio.Event().wait()

    async with going_on("crash-twice", crash_twice), asyncio.timeout(30):
        await well.wait()
    assert attempts == 3


async def test_a_task_that_ends_as_if_somebody_had_cancelled_it_is_begun_again(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(guarding, "AGAIN_SECONDS", 0.0)
    attempts, well = 0, asyncio.Event()

    async def wait_for_what_is_cancelled() -> None:
        nonlocal attempts
        attempts += 1
        awaited = asyncio.get_running_loop().create_future()
        if attempts == 1:
            awaited.cancel()
        else:
            well.set()
        await awaited

    async with going_on("cancelled-once", wait_for_what_is_cancelled), asyncio.timeout(30):
        await well.wait()
    assert attempts == 2


async def test_it_ends_with_the_block():
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with going_on("work", work):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert ended.is_set()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "work"] == []


class Fragile(LocalPostgres):
    """A server that dies whenever it has been started, and does not even start the first time."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), 0, "18.6")
        self.restarts = 0

    async def wait_exit(self) -> None:
        await asyncio.sleep(0)

    async def restart(self) -> None:
        self.restarts += 1
        if self.restarts == 1:
            raise PostgresDidNotStart(exit_code=1)


async def test_a_postgres_that_keeps_dying_is_restarted_more_and_more_slowly(monkeypatch: pytest.MonkeyPatch):
    waits: list[float] = []
    server, enough = Fragile(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 7:
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(guarding, "pause", sleep)
    async with going_on("postgres", lambda: keep_postgres(server)), asyncio.timeout(30):
        await enough.wait()
    assert waits == [0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 10.0]
    assert server.restarts == 6


async def test_one_that_lived_long_is_restarted_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guarding, "STEADY_SECONDS", -1.0)
    waits: list[float] = []
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(guarding, "pause", sleep)
    server = Fragile()
    async with going_on("postgres", lambda: keep_postgres(server)), asyncio.timeout(30):
        await enough.wait()
    assert waits == [0.0, 0.0, 0.0]

"""What goes on whatever happens."""

import asyncio

import pytest

from ledger.cli import guarding
from ledger.cli.guarding import going_on


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

"""The end of a process is told by the kernel, not found out by asking again and again."""

import asyncio
import os
import subprocess

import pytest

from ledger.store.local_postgres import process as postgres_process
from ledger.store.local_postgres.process import ended

HANG_GUARD = 60


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


@pytest.fixture
def nobody_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_process, "POLL_SECONDS", 3600)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system does not tell")
@pytest.mark.usefixtures("nobody_asks_again")
async def test_the_end_of_a_process_is_noticed_without_asking(sleeper: subprocess.Popen[bytes]):
    waiting = asyncio.create_task(ended(sleeper.pid))
    await asyncio.sleep(0)
    sleeper.kill()
    await asyncio.wait_for(waiting, HANG_GUARD)


async def test_a_process_that_has_ended_before_is_not_waited_for(sleeper: subprocess.Popen[bytes]):
    sleeper.kill()
    sleeper.wait()
    await asyncio.wait_for(ended(sleeper.pid), HANG_GUARD)


@pytest.mark.parametrize("platform", ["linux", "other"])
async def test_where_the_kernel_does_not_tell_it_is_asked(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, platform: str
):
    def forbidden(_: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", forbidden, raising=False)
    monkeypatch.setattr(postgres_process.sys, "platform", platform)
    waiting = asyncio.create_task(ended(sleeper.pid))
    await asyncio.sleep(0)
    sleeper.kill()
    await asyncio.wait_for(waiting, HANG_GUARD)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system does not tell")
async def test_who_no_longer_waits_leaves_nothing_behind(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
):
    handle = os.pidfd_open(sleeper.pid)
    monkeypatch.setattr(os, "pidfd_open", lambda _: handle)
    waiting = asyncio.create_task(ended(sleeper.pid))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)

"""Writers and a reader in processes of their own, and the account of what they were told."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self
from uuid import UUID

import asyncpg

from tests.support.torture_log import LogCheck, tail

ROOT: Final = Path(__file__).resolve().parents[2]

TERMINATE_SOMEBODY: Final = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
order by random() limit 1
"""


class Child:
    """A process of this test's own; killed at the end of the block if it still runs."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._command = (sys.executable, "-m", module, *map(str, arguments))

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            *self._command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await self.process.communicate()

    async def line(self) -> str:
        """Read the next line it prints."""
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()

    async def answer(self, told: str = "") -> dict[str, object]:
        """Wait for its end, having ``told`` it something; what it printed last."""
        out, _ = await self.process.communicate(told.encode())
        assert self.process.returncode == 0, f"{self._command[2]} ended with {self.process.returncode}"
        answer: dict[str, object] = json.loads(out.splitlines()[-1])
        return answer

    def stop(self) -> None:
        """Ask it to come to its end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Let it die as in a crash, unless it has ended."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if (
            self.process.returncode is None
        ):  # not by process.kill(), which may take its exit code from the loop
            os.kill(self.process.pid, number)


def writer(url: str, account: Path, *, seed: int = 0, appends: int = 0) -> Child:
    return Child("tests.support.torture_writer", url, account, seed, appends)


def reader(url: str) -> Child:
    return Child("tests.support.torture_reader", url)


class Account:
    """What writers were told, as they wrote it down."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.acknowledged: dict[UUID, int] = {}
        self.rolled_back: set[UUID] = set()
        for file in files:
            for line in _whole_lines(file):
                kind, event, *position = line.split()
                if kind == "R":
                    self.rolled_back.add(UUID(event))
                    continue
                assert UUID(event) not in self.acknowledged, f"{event} was acknowledged twice"
                self.acknowledged[UUID(event)] = int(position[0])

    def compare(self, log: dict[UUID, int]) -> None:
        """Every acknowledged event is in the log where its writer was told; none that was rolled back is."""
        missing = [event for event in self.acknowledged if event not in log]
        assert not missing, f"{len(missing)} of {len(self.acknowledged)} are lost, as {missing[:3]}"
        moved = [event for event, position in self.acknowledged.items() if log[event] != position]
        assert not moved, f"{len(moved)} are elsewhere than their writers were told, as {moved[:3]}"
        undead = self.rolled_back & log.keys()
        assert not undead, f"{len(undead)} were rolled back and are there"


def _whole_lines(file: Path) -> list[str]:
    """A killed writer may leave half a line, which says nothing."""
    return file.read_text().rpartition("\n")[0].splitlines() if file.exists() else []


class Checked(Counter[str]):
    """The log was whole; counts of what it took."""


async def check_log(url: str, files: Sequence[Path], saw: dict[str, object]) -> Checked:
    """Read the whole log once more, quietly, and compare it with the account and with what a tailing reader saw."""
    conn = await asyncpg.connect(url)
    try:
        check = LogCheck()
        log = await tail(conn, check)
    finally:
        await conn.close()
    account = Account(files)
    account.compare(log)
    assert "broken" not in saw, f"the reader met: {saw['broken']}"
    assert saw["position"] == check.position
    assert saw["digest"] == check.digest(), "the reader saw another order than there is"
    return Checked(
        events=len(log), acknowledged=len(account.acknowledged), rolled_back=len(account.rolled_back)
    )


async def head_of(url: str) -> int:
    conn = await asyncpg.connect(url)
    try:
        head: int = await conn.fetchval("select coalesce(max(position), 0) from ledger.events")
    finally:
        await conn.close()
    return head


@asynccontextmanager
async def terminating_backends(owner_url: str, *, every: float) -> AsyncIterator[None]:
    """Cut somebody's connection to this database every so many seconds."""
    conn = await asyncpg.connect(owner_url)

    async def terminate() -> None:
        while True:
            await conn.execute(TERMINATE_SOMEBODY)
            await asyncio.sleep(every)

    task = asyncio.create_task(terminate())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await conn.close()

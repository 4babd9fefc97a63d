"""``kill -9`` of the server and of writers under load: what was acknowledged is there, once, in its place."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from itertools import cycle, islice
from pathlib import Path

import asyncpg
import pytest

from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.folder import site_of
from ledger.store.local_postgres.process import _at_work_in, until
from ledger.store.local_postgres.server import LocalPostgres
from ledger.store.migrate import migrate
from tests.support.torture import Account, Child, check_log, head_of, reader, writer
from tests.support.torture_sizes import HANG, sizes

WRITERS = 2
LOAD = 150
"""Events that every writer has to be told of before the next kill."""
PATIENCE = 60.0
SOME_BACKEND = """
select pid from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
order by random() limit 1
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalPostgres]:
    """A server with every safety on, as in production."""
    async with await local_postgres.start(tmp_path / "ledger") as started:
        await migrate(started.owner_url, started.service_url)
        yield started


class Crowd:
    """Writers under load, and who kills them."""

    def __init__(self, server: LocalPostgres, folder: Path, stack: AsyncExitStack) -> None:
        self.server, self.folder, self._stack = server, folder, stack
        self.files: list[Path] = []
        self.writers: list[Child] = []
        self.kills = Counter[str]()

    async def another_writer(self) -> None:
        number = len(self.files)
        self.files.append(self.folder / f"account-{number}")
        child = writer(self.server.service_url, self.files[-1], seed=number)
        self.writers.append(await self._stack.enter_async_context(child))

    async def under_load(self) -> None:
        """Wait until every living writer has been told of some more appends."""
        files = self.files[-len(self.writers) :]
        before = [size_of(file) for file in files]
        per_line = len(f"A {'0' * 36} 1000\n")
        assert await until(
            lambda: all(
                size_of(file) > size + LOAD * per_line for file, size in zip(files, before, strict=True)
            ),
            PATIENCE,
        ), "the writers do not come on"

    async def kill_a_writer(self) -> None:
        self.kills["writers"] += 1
        self.writers.pop(0).kill()
        await self.another_writer()

    async def kill_a_backend(self) -> None:
        """The server takes all others down with it and recovers by itself."""
        self.kills["backends"] += 1
        conn = await asyncpg.connect(self.server.owner_url)
        os.kill(await conn.fetchval(SOME_BACKEND), signal.SIGKILL)
        conn.terminate()

    async def kill_the_postmaster(self) -> None:
        self.kills["postmasters"] += 1
        os.kill(self.server.pid, signal.SIGKILL)
        await self.server.wait_exit()
        await self.server.restart()

    async def kill_the_server(self) -> None:
        """Every process of it, before one can take leave of the others."""
        self.kills["servers"] += 1
        for pid in _at_work_in(site_of(self.folder / "ledger").data):
            with suppress(ProcessLookupError):  # some end as soon as the first is gone
                os.kill(pid, signal.SIGKILL)
        await self.server.wait_exit()
        await self.server.restart()

    async def kill_everything(self) -> None:
        dead, self.writers = self.writers, []
        for child in dead:
            self.kills["writers"] += 1
            child.kill()
        await self.kill_the_server()
        for _ in dead:
            await self.another_writer()


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


@pytest.mark.processes
@pytest.mark.slow
@sizes(short=5, long=25, longest=100)
async def test_every_acknowledged_event_survives_kill_9(
    server: LocalPostgres, tmp_path: Path, size: int
) -> None:
    """``size`` kills, and a reader who must never have seen what is not there afterwards."""
    async with asyncio.timeout(HANG), AsyncExitStack() as stack:
        crowd = Crowd(server, tmp_path, stack)
        follower = await stack.enter_async_context(reader(server.service_url))
        for _ in range(WRITERS):
            await crowd.another_writer()
        ways = (
            crowd.kill_the_server,
            crowd.kill_a_writer,
            crowd.kill_the_postmaster,
            crowd.kill_a_backend,
            crowd.kill_everything,
        )
        for kill in islice(cycle(ways), size):
            await crowd.under_load()
            await kill()
        await crowd.under_load()
        for child in crowd.writers:
            child.stop()
        did = await asyncio.gather(*(child.answer() for child in crowd.writers))
        saw = await follower.answer(f"{await head_of(server.owner_url)}\n")

        found = await check_log(server.owner_url, crowd.files, saw)

    print(found, crowd.kills, did, {"reader was cut off": saw["cuts"]})
    assert found["acknowledged"] >= size * LOAD
    assert len(Account(crowd.files).acknowledged) == found["acknowledged"]


async def test_the_embedded_server_acknowledges_only_what_is_flushed(server: LocalPostgres) -> None:
    """A killed process leaves its pages to the kernel, a power cut does not: for that there are these."""
    conn = await asyncpg.connect(server.service_url)
    shown = {
        name: await conn.fetchval(f"show {name}")  # names of settings, from the line below
        for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")
    }
    await conn.close()

    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
    }

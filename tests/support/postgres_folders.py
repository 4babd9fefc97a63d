"""Data folders of private servers for tests, and processes that keep them and die."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.folder import site_of
from ledger.store.local_postgres.process import end_leftovers
from ledger.store.local_postgres.server import LocalPostgres

NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})

# $1 the data folder. Prints the server's pid when it is ready, then serves until it is killed.
KEEPER: Final = """
import asyncio, sys
from pathlib import Path
from types import MappingProxyType
from ledger.store.local_postgres import server as local_postgres

async def main():
    server = await local_postgres.start(Path(sys.argv[1]), fsync=False)
    print(server.pid, flush=True)
    await asyncio.sleep(300)

asyncio.run(main())
"""


@asynccontextmanager
async def running(
    data_dir: Path, *, pg_bin: Path | None = None, settings: Mapping[str, str] = NO_SETTINGS
) -> AsyncIterator[LocalPostgres]:
    async with await local_postgres.start(data_dir, fsync=False, pg_bin=pg_bin, settings=settings) as server:
        yield server


def made_folder(data_dir: Path) -> Path:
    """A data folder that was started and stopped once, to be copied."""

    async def start_and_stop() -> None:
        async with running(data_dir):
            pass

    asyncio.run(start_and_stop())
    return data_dir


def copied_folder(made: Path, data_dir: Path) -> Path:
    shutil.copytree(made, data_dir, copy_function=_copy_with_owner)
    for copy in (data_dir, *data_dir.rglob("*")):
        owner = made.joinpath(copy.relative_to(data_dir)).lstat()
        os.chown(copy, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return data_dir


def _copy_with_owner(source: str, target: str) -> str:
    return shutil.copy2(source, target, follow_symlinks=False)


@asynccontextmanager
async def keeper(data_dir: Path) -> AsyncIterator[subprocess.Popen[str]]:
    """Another process that starts the server of the folder; in the end it is killed, and what it left stopped."""
    with _python(KEEPER, str(data_dir)) as process:
        try:
            yield process
        finally:
            process.kill()
    await end_leftovers(site_of(data_dir).data)


def _python(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen((sys.executable, "-c", script, *arguments), stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen[str]) -> None:
    """Let a service die as in a crash."""
    process.kill()
    process.wait()


def pid_printed_by(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def remember(server: LocalPostgres, word: str) -> None:
    await ask(server.owner_url, f"CREATE TABLE memory AS SELECT '{word}' AS word")


async def remembered(server: LocalPostgres) -> object:
    return await ask(server.owner_url, "SELECT word FROM memory")


def socket_folder_of(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])

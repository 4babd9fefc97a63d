"""A PostgreSQL for tests, the first that works: a given one, the embedded one, a container."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec

from ledger.domain.errors import Unavailable
from ledger.store.local_postgres import server as local_postgres
from ledger.store.migrate import migrate

SERVICE_ROLE: Final = "ledger_service"
TEMPLATE: Final = "ledger_template"
MEMORY: Final = Path(os.sep, "dev", "shm")
MEMORY_BYTES: Final = 3 << 30
"""So much must be free there before any of it is used."""
FOLDERS: Final = "ledger-tests-"


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """One test's own database."""

    name: str
    owner_url: str
    service_url: str


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """A server and its two logins, each as a URL without a database."""

    owner_url: str
    service_url: str

    def database(self, name: str) -> Database:
        return Database(
            name=name,
            owner_url=_with_database(self.owner_url, name),
            service_url=_with_database(self.service_url, name),
        )

    async def execute(self, statement: str) -> None:
        conn = await asyncpg.connect(_with_database(self.owner_url, "postgres"))
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    async def make_template(self) -> None:
        await self.execute(f"drop database if exists {TEMPLATE} with (force)")
        await self.execute(f"create database {TEMPLATE}")
        template = self.database(TEMPLATE)
        await migrate(template.owner_url, template.service_url)

    @asynccontextmanager
    async def fresh(self, *, template: str = TEMPLATE) -> AsyncIterator[Database]:
        """A database of its own, at this release's shape unless another ``template`` is named."""
        name = f"ledger_test_{secrets.token_hex(6)}"
        # Copying files takes a fifth of the time that the usual copying through the log does.
        await self.execute(f"create database {name} template {template} strategy file_copy")
        try:
            yield self.database(name)
        finally:
            await self.execute(f"drop database if exists {name} with (force)")


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """A folder in memory, where one can be had: to clone a database is to copy hundreds of files, and to drop them."""
    if not _has_memory():
        yield otherwise
        return
    _remove_leftovers()
    made = Path(tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-", dir=MEMORY))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def _has_memory() -> bool:
    if os.environ.get("LEDGER_TORTURE"):  # a million appends take gigabytes
        return False
    return os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES


def _remove_leftovers() -> None:
    """Give back what runs that were killed still hold; a server that is left without its data ends by itself."""
    for folder in MEMORY.glob(f"{FOLDERS}*"):
        keeper = folder.name.removeprefix(FOLDERS).partition("-")[0]
        if not Path("/proc", keeper).exists():
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def cluster(data_dir: Path) -> Iterator[Cluster]:
    """The server for this run, ready to clone databases from."""
    given = os.environ.get("LEDGER_TEST_DATABASE_URL")
    with asyncio.Runner() as runner:
        if given:
            yield runner.run(_on(given))
        elif os.environ.get("LEDGER_TEST_CONTAINER"):
            with _container() as url:
                yield runner.run(_on(url))
        else:
            with in_memory(data_dir) as folder:
                yield from _embedded(runner, folder)


def _embedded(runner: asyncio.Runner, data_dir: Path) -> Iterator[Cluster]:
    try:
        server = runner.run(local_postgres.start(data_dir, fsync=False, settings={"max_connections": "300"}))
    except Unavailable:
        with _container() as url:
            yield runner.run(_on(url))
        return
    found = Cluster(owner_url=server.owner_url, service_url=server.service_url)
    try:
        runner.run(found.make_template())
        yield found
    finally:
        runner.run(server.stop())


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer

    with PostgresContainer("postgres:18", driver=None) as container:
        yield container.get_connection_url()


async def _on(owner_url: str) -> Cluster:
    password = secrets.token_hex(16)
    split = urlsplit(owner_url)
    host = split.netloc.rpartition("@")[2]
    service = split._replace(netloc=f"{SERVICE_ROLE}:{password}@{host}")
    found = Cluster(owner_url=owner_url, service_url=urlunsplit(service))
    await found.execute(
        f"do $$ begin create role {SERVICE_ROLE} login; exception when duplicate_object then null; end $$"
    )
    await found.execute(f"alter role {SERVICE_ROLE} password '{password}'")
    await found.make_template()
    return found

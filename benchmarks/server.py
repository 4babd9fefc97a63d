"""A throw-away PostgreSQL that flushes as a real one does, and databases in it."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg
import msgspec

from benchmarks.machine import filesystem
from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.programs import find_programs
from ledger.store.migrate import migrate

TEMPLATE: Final = "bench_template"
ON_DISK: Final = "/var/tmp"  # noqa: S108 - for when the usual place lies in memory
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """A database of one subject's own."""

    name: str
    owner_url: str
    service_url: str

    async def execute(self, statement: str) -> None:
        conn = await asyncpg.connect(self.owner_url)
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    async def version(self) -> int:
        """Number the server's release, as in 180006."""
        conn = await asyncpg.connect(self.owner_url)
        try:
            return int(await conn.fetchval("show server_version_num"))
        finally:
            await conn.close()

    def host(self) -> str:
        """Name the folder of the server's socket, or its host."""
        split = urlsplit(self.owner_url)
        return parse_qs(split.query).get("host", [split.hostname or "localhost"])[0]

    def port(self) -> int:
        split = urlsplit(self.owner_url)
        return int(parse_qs(split.query).get("port", [str(split.port or 5432)])[0])

    def owner(self) -> str:
        return urlsplit(self.owner_url).username or "postgres"


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is measured; ``folder`` lies on the disk of its data."""

    owner_url: str
    service_url: str
    folder: Path

    async def execute(self, statement: str) -> None:
        await self._database("postgres").execute(statement)

    async def prepare(self) -> None:
        """Make the template that ledgers are cloned from."""
        await self.execute(f"drop database if exists {TEMPLATE} with (force)")
        await self.execute(f"create database {TEMPLATE}")
        template = self._database(TEMPLATE)
        await migrate(template.owner_url, template.service_url)

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Database]:
        """A database with an empty ledger."""
        async with self._fresh(TEMPLATE) as database:
            yield database

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Database]:
        """An empty database."""
        async with self._fresh("template1") as database:
            yield database

    async def checkpoint(self) -> None:
        """Write out what the last measurement left behind, so that the next one does not pay for it."""
        await self.execute("checkpoint")

    @asynccontextmanager
    async def _fresh(self, template: str) -> AsyncIterator[Database]:
        name = f"bench_{secrets.token_hex(6)}"
        await self.execute(f"create database {name} template {template}")
        try:
            yield self._database(name)
        finally:
            await self.execute(f"drop database if exists {name} with (force)")

    def _database(self, name: str) -> Database:
        def named(url: str) -> str:
            return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))

        return Database(name=name, owner_url=named(self.owner_url), service_url=named(self.service_url))


@asynccontextmanager
async def throw_away() -> AsyncIterator[Server]:
    """Start a server with the service's own settings, fsync included; gone afterwards."""
    folder = await asyncio.to_thread(_folder_on_disk)
    try:
        settings = {"max_connections": "400"}  # a client each for pgbench at 256
        async with await local_postgres.start(folder / "data", settings=settings) as local:
            server = Server(owner_url=local.owner_url, service_url=local.service_url, folder=folder)
            await server.prepare()
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder_on_disk() -> Path:
    usual = Path(tempfile.gettempdir())
    parent = ON_DISK if filesystem(usual) in IN_MEMORY and Path(ON_DISK).is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="bench", dir=parent))
    folder.chmod(0o755)  # root's server runs as somebody else, who has to pass
    return folder


def pgbench() -> Path | None:
    """Find pgbench beside the server's programs, or in the path."""
    beside = find_programs(None).folder / "pgbench"
    found = shutil.which("pgbench")
    return beside if beside.is_file() else Path(found) if found else None

"""message-db: ``write_message`` into one category, from the npm package, in a database of its own."""

import asyncio
import json
import re
import shutil
import subprocess
import tarfile
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import asyncpg
from uuid_utils.compat import uuid4

from benchmarks.server import Database, Server
from benchmarks.subject import LostOrDoubled, NotAvailable
from benchmarks.workload import Sample, Texts, closed_loop

PACKAGE: Final = "@eventide/message-db"
RELEASE: Final = "1.3.1"
NPM_SECONDS: Final = 60
# In the order of the package's own install.sh; the privileges and views are for people.
FIRST: Final = ("schema/message-store.sql", "tables/messages.sql")
FUNCTIONS: Final = "install-functions.sh"
INDEXES: Final = "install-indexes.sh"
LISTED: Final = re.compile(r"run_psql_file \$base/(\S+\.sql)")
# $1 id, $2 stream, $3 type, $4 data, $5 metadata, $6 expected version
WRITE: Final = "select write_message($1, $2, $3, $4::jsonb, $5::jsonb, $6)"
COUNT: Final = "select count(*) from messages"
METADATA: Final = json.dumps({"correlationStreamName": "bench-all", "actor": "benchmark"})


class MessageDb:
    """One category, so that its order is total as ours is."""

    name = "message-db"

    def __init__(self, server: Server, pool_size: int) -> None:
        self._server = server
        self._pool_size = pool_size
        self._stack = AsyncExitStack()
        self._expected = 0

    @property
    def configuration(self) -> str:
        return f"{PACKAGE} {RELEASE}: write_message, one category, an asyncpg pool of {self._pool_size} without reset"

    async def __aenter__(self) -> Self:
        scripts = await asyncio.to_thread(_scripts, self._server.folder)
        database = await self._stack.enter_async_context(self._server.scratch())
        await _install(database, scripts)
        self._pool = await asyncpg.create_pool(
            database.owner_url,
            min_size=self._pool_size,
            max_size=self._pool_size,
            server_settings={"search_path": "message_store,public"},
            reset=_no_reset,
        )
        self._stack.push_async_callback(self._pool.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, in_flight: int, texts: Texts, seconds: float) -> Sample:
        async def once(client: int) -> None:
            data = texts.payload(client).decode()
            stream = f"bench-{uuid4()}"
            async with self._pool.acquire() as conn:
                await conn.fetchval(WRITE, str(uuid4()), stream, "Measured", data, METADATA, -1)

        sample = await closed_loop(in_flight, seconds, once)
        self._expected += sample.acknowledged
        stored = await self._pool.fetchval(COUNT)
        if stored != self._expected:
            raise LostOrDoubled(f"{stored} stored, {self._expected} acknowledged")
        return sample


async def _no_reset(_: object) -> None:
    """As our own pool: nobody changes a session."""


def _scripts(folder: Path) -> Path:
    """Fetch the package; its folder of SQL."""
    place = folder / "message-db"
    scripts = place / "package" / "database"
    if scripts.is_dir():
        return scripts
    npm = shutil.which("npm")
    if npm is None:
        raise NotAvailable(f"npm is not there to fetch {PACKAGE}")
    place.mkdir()
    _pack(npm, place)
    (archive,) = place.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    return scripts


def _pack(npm: str, folder: Path) -> None:
    try:
        subprocess.run(
            [npm, "pack", "--silent", f"{PACKAGE}@{RELEASE}"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=NPM_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as failed:
        raise NotAvailable(f"npm could not fetch {PACKAGE}: {type(failed).__name__}") from failed


async def _install(database: Database, scripts: Path) -> None:
    names = [*FIRST]
    for listing in (FUNCTIONS, INDEXES):
        names += LISTED.findall(scripts.joinpath(listing).read_text())
    names.insert(2, names.pop(names.index("types/message.sql")))
    conn = await asyncpg.connect(
        database.owner_url,
        server_settings={"search_path": "message_store,public", "client_min_messages": "error"},
    )
    try:
        for name in names:
            await conn.execute(scripts.joinpath(name).read_text())
    finally:
        await conn.close()

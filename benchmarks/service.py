"""A service of its own process, as ``ledger serve`` runs it, on a database that is there."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import httpx2
import msgspec

from benchmarks.server import Database
from benchmarks.subject import NotAvailable

ADMIN: Final = "admin"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
CONNECTIONS: Final = 256
UNLIMITED: Final = 1_000_000
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})
KEPT_SECONDS: Final = 2.0  # the service closes what has been idle for 5: no call may meet that


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A running service and a client of it; ``environment`` is what commands beside it need."""

    pid: int
    url: str
    environment: Mapping[str, str]
    client: httpx2.AsyncClient
    password: str

    async def login(self, username: str = ADMIN) -> str:
        """Log somebody in, all with the administrator's password; the access token."""
        form = {"username": username, "password": self.password}
        answer = await self.client.post("/api/auth/login", data=form)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    async def register(self, username: str, token: str) -> None:
        """Let somebody in, with the administrator's password."""
        wanted = {
            "username": username,
            "email": f"{username}@example.org",
            "password": self.password,
            "full_name": username,
        }
        headers = {"Authorization": f"Bearer {token}"}
        answer = await self.client.post("/api/auth/register", json=wanted, headers=headers)
        answer.raise_for_status()


@asynccontextmanager
async def serving(
    database: Database, folder: Path, settings: Mapping[str, str] = NO_SETTINGS, *, apart: bool = False
) -> AsyncIterator[Service]:
    """Serve ``database``; ``folder`` takes its secret key and its log. ``apart``: the workers are another process.

    ``settings`` count more than those of a benchmark.

    Raises:
        NotAvailable: it did not start.
    """
    password = secrets.token_urlsafe(18)
    environment = {**_environment(database, folder, password), **settings}
    async with AsyncExitStack() as stack:
        if apart:
            await stack.enter_async_context(_started(environment, folder, "workers"))
        parts = ("api",) if apart else ()
        pid, url = await stack.enter_async_context(_started(environment, folder, *parts))
        limits = httpx2.Limits(
            max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEPT_SECONDS
        )
        async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=60, trust_env=False) as client:
            yield Service(pid=pid, url=url, environment=environment, client=client, password=password)


@asynccontextmanager
async def _started(
    environment: Mapping[str, str], folder: Path, *part: str
) -> AsyncIterator[tuple[int, str]]:
    """Run the service, or one part of it, for the time of the block; its process and its URL."""
    only = ("--only", *part) if part else ()
    with folder.joinpath(f"{'-'.join(('service', *part))}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ledger", "serve", *only),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    if process.stdout is None:
        raise AssertionError
    try:
        async with asyncio.timeout(START_SECONDS):
            url = await _ready(process.stdout)
        drain = asyncio.create_task(_drain(process.stdout))
        yield process.pid, url
        process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
            await drain
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _environment(database: Database, folder: Path, password: str) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    return {
        **others,
        "LEDGER_DATABASE_URL": database.service_url,
        "LEDGER_OWNER_DATABASE_URL": database.owner_url,
        "LEDGER_DATA_DIR": str(folder / "service"),
        "LEDGER_PORT": "0",
        "LEDGER_LOG_FORMAT": "json",  # as in production
        "LEDGER_ADMIN_USERNAME": ADMIN,
        "LEDGER_ADMIN_PASSWORD": password,
        "LEDGER_REQUESTS_PER_MINUTE": str(UNLIMITED),  # one caller asks as many do
    }


async def _ready(output: asyncio.StreamReader) -> str:
    """Read until the service says it is ready; its URL, which workers have not."""
    url = ""
    async for line in output:
        words = line.decode().split()
        if words[:1] == ["Service"]:
            url = words[1]
        if "ready" in words:
            return url
    raise NotAvailable("'ledger serve' ended before it was ready")


async def _drain(output: asyncio.StreamReader) -> None:
    async for _ in output:
        pass

"""Programs of the benchmarks that serve HTTP in a process of their own: how one starts, and how it is started."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import uvloop

from benchmarks.subject import NotAvailable

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0
BACKLOG: Final = 2048


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program that serves; ``token`` is empty where nobody asks for one."""

    pid: int
    url: str
    token: str


def listening(token: str = "") -> socket.socket:
    """Listen on a free port, and tell whoever started this process which, and by which token they come in."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen(BACKLOG)
    print(f"http://127.0.0.1:{taken.getsockname()[1]} {token}", flush=True)
    return taken


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a program as the service runs: on uvloop."""

    async def begun() -> None:
        await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(begun())


@asynccontextmanager
async def running(module: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Program]:
    """Run ``module`` for the time of the block.

    Raises:
        NotAvailable: it did not start, as where what it needs is not installed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    if process.stdout is None:
        raise AssertionError
    try:
        async with asyncio.timeout(START_SECONDS):
            url, _, token = (await process.stdout.readline()).decode().strip().partition(" ")
        if not url:
            raise NotAvailable(f"{module} did not start; make bench installs what it needs")
        yield Program(pid=process.pid, url=url, token=token)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

"""What goes on for as long as the service lives, whatever happens to it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final

import structlog

from ledger.domain.errors import Unavailable
from ledger.store.local_postgres.server import LocalPostgres
from ledger.store.pool import LOST

log = structlog.get_logger()

RESTART_WAITS: Final = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS: Final = 30.0
"""A server that lived for so long may be restarted at once when it dies."""
AGAIN_SECONDS: Final = 5.0

pause = asyncio.sleep


async def keep_postgres(server: LocalPostgres) -> None:
    """Restart the embedded PostgreSQL whenever it dies, until cancelled.

    At once the first time; one that dies again within 30 seconds, or does not start, is tried again after
    0.5, 1, 2, 5 and then every 10 seconds.
    """
    clock = asyncio.get_running_loop().time
    failures, since = 0, clock()
    while True:
        await server.wait_exit()
        if clock() - since > STEADY_SECONDS:
            failures = 0
        wait = RESTART_WAITS[min(failures, len(RESTART_WAITS) - 1)]
        log.error("postgres.died", pid=server.pid, restart_in=wait)
        await pause(wait)
        failures += 1
        try:
            await server.restart()
        except (Unavailable, *LOST) as failed:
            log.error("postgres.restart.failed", attempt=failures, error=str(failed))  # noqa: TRY400 - says all
        else:
            log.warning("postgres.restarted", pid=server.pid)
        since = clock()


@asynccontextmanager
async def going_on(name: str, begin: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Keep a task going for the time of the block; one that crashes is logged and begun again after 5 seconds."""
    task = asyncio.create_task(_forever(name, begin), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _forever(name: str, begin: Callable[[], Coroutine[None, None, None]]) -> None:
    while True:
        attempt = asyncio.create_task(begin(), name=name)
        try:
            await asyncio.wait([attempt])
        finally:
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
        failure = None if attempt.cancelled() else attempt.exception()
        log.error("service.task.crashed", task=name, exc_info=failure)
        await asyncio.sleep(AGAIN_SECONDS)

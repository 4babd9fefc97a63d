"""What is done again and again by the clock alone."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from ledger.domain.errors import LedgerError

log = structlog.get_logger()


async def sweep_forever(sweep: Callable[[], Awaitable[None]], *, every: float, failed: str) -> None:
    """Sweep every so many seconds until cancelled; a sweep that fails is logged as ``failed``, and the next one tries again."""
    while True:
        try:
            await sweep()
        except LedgerError as error:
            log.warning(failed, code=error.code)
        await asyncio.sleep(every)

"""What is read of the history, written down behind the answers: at most one sum a minute for a query of a session."""

import asyncio
from typing import Final

import structlog

from ledger.domain.errors import LedgerError
from ledger.history import readings
from ledger.history.readings import Readings
from ledger.identity.identity import Identity

log = structlog.get_logger()

TELL_SECONDS: Final = 1.0


async def run_forever(identity: Identity, read: Readings, *, every: float = TELL_SECONDS) -> None:
    """Tell what is due every so many seconds until cancelled."""
    while True:
        await tell(identity, read)
        await asyncio.sleep(every)


async def tell(identity: Identity, read: Readings, *, anyway: bool = False) -> None:
    """Write what is due, or all there is (``anyway``); what cannot be written now is kept."""
    for command in read.take(identity.clock(), anyway=anyway):
        try:
            await readings.tell(identity, command)
        except LedgerError as failed:
            log.warning("readings.not_told", code=failed.code)
            read.give_back(command)

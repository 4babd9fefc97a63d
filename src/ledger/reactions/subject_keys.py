"""Keys of data subjects that an earlier secret key of the service has wrapped are wrapped anew under the current one."""

import asyncio
from typing import Final

import structlog

from ledger.domain.errors import LedgerError
from ledger.identity.identity import Identity
from ledger.personal import keys

log = structlog.get_logger()

SWEEP_SECONDS: Final = 60.0
AT_ONCE: Final = 500
"""How many are wrapped in one transaction."""


async def run_forever(identity: Identity, *, every: float = SWEEP_SECONDS) -> None:
    """Sweep every so many seconds until cancelled; a sweep that fails is logged, and the next one tries again."""
    while True:
        try:
            await sweep(identity)
        except LedgerError as failed:
            log.warning("subject_keys.sweep.failed", code=failed.code)
        await asyncio.sleep(every)


async def sweep(identity: Identity) -> None:
    """Wrap anew what is wrapped under previous keys, so that these can leave the settings.

    Raises:
        Unavailable: the database cannot be reached.
    """
    if not identity.subject_keys.previous_ids():
        return
    while await keys.rewrap(identity.ledger, identity.subject_keys, at_most=AT_ONCE) >= AT_ONCE:
        pass

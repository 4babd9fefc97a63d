"""Every hour the newest checkpoint is stamped by a time-stamping authority, if it is one that was not (ADR 0027)."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from ledger.domain.errors import LedgerError
from ledger.identity.identity import writing
from ledger.sealing import partners, timestamps
from ledger.sealing.asking import Outbound, PartnerFailed
from ledger.sealing.partners import Partner
from ledger.sealing.rows import Sealed, last_checkpoint
from ledger.store.ledger import Ledger
from ledger.store.pool import reading

log = structlog.get_logger()

ERRAND: Final = "timestamps"
LOOK_EVERY: Final = 5.0
"""Seconds from one look at what is due to the next."""
LEASE_SECONDS: Final = 30.0
FIRST_REST: Final = 10.0
LONGEST_REST: Final = 600.0
"""Seconds that an authority which has failed is left alone: doubled each time, from the first to the longest."""


class Stamping:
    """One process's part in having checkpoints stamped by one authority."""

    def __init__(
        self, ledger: Ledger, url: str, clock: Callable[[], datetime], *, interval: timedelta
    ) -> None:
        """Prepare to ask the authority at ``url`` once in an ``interval``."""
        self._ledger, self._url, self._clock, self._interval = ledger, url, clock, interval
        self._authority = timestamps.authority_of(url)
        self._owner: UUID = uuid7()
        self._problem: str | None = None

    async def run_forever(self, *, every: float = LOOK_EVERY) -> None:
        """Look every so many seconds until cancelled; a look that fails is logged, and the next one tries again."""
        async with Outbound() as outbound:
            try:
                while True:
                    try:
                        await self.stamp_due(outbound)
                    except LedgerError as failed:
                        log.warning("timestamps.look.failed", code=failed.code)
                    await asyncio.sleep(every)
            finally:
                with suppress(LedgerError):
                    await partners.give_back(self._ledger.pool, self._ledger.ledger_id, ERRAND, self._owner)

    async def stamp_due(self, outbound: Outbound) -> bool:
        """Have the newest checkpoint stamped if it is time; tell whether it was.

        Raises:
            DatabaseUnreachable: nothing is known without the database.
        """
        ledger_id = self._ledger.ledger_id
        if not await partners.claim(self._ledger.pool, ledger_id, ERRAND, self._owner, seconds=LEASE_SECONDS):
            return False
        newest = await self._due()
        if newest is None:
            return False
        try:
            token = await timestamps.ask(outbound, self._url, newest.note)
        except PartnerFailed as failed:
            await self._failed(failed)
            return False
        async with writing(self._ledger.pool) as conn:
            await timestamps.keep(conn, ledger_id, newest.size, self._authority, token)
            await partners.succeeded(conn, ledger_id, self._authority, self._clock())
        log.info("timestamp.kept", size=newest.size, stamped_at=token.stamped_at.isoformat())
        self._problem = None
        return True

    async def _due(self) -> Sealed | None:
        """Find the checkpoint to be stamped now; ``None``: there is none."""
        ledger_id = self._ledger.ledger_id
        async with reading(self._ledger.pool) as conn:
            newest = await last_checkpoint(conn, ledger_id)
            stamped = await timestamps.last_stamped(conn, ledger_id, self._authority)
            partner = (await partners.standings(conn, ledger_id, [self._authority])).get(self._authority)
        if newest is None or (stamped is not None and stamped.size >= newest.size):
            return None
        is_time = partner is None or self._clock() - partner.tried_at >= self._rest_of(partner)
        return newest if is_time else None

    def _rest_of(self, partner: Partner) -> timedelta:
        if partner.problem is None:
            return self._interval
        seconds = min(LONGEST_REST, FIRST_REST * 2.0 ** min(partner.failures - 1, 10))
        return min(self._interval, timedelta(seconds=seconds))

    async def _failed(self, failed: PartnerFailed) -> None:
        if failed.problem != self._problem:
            self._problem = failed.problem
            log.warning("timestamp.failed", problem=failed.problem)
        await partners.failed(
            self._ledger.pool, self._ledger.ledger_id, self._authority, self._clock(), problem=failed.problem
        )

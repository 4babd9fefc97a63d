"""Receipts: whoever has just written an event waits, within bounds, until it is sealed, and is given the proof.

Theory. Whatever process seals, the database tells all of them when it has. Nobody sleeps: each ring makes one of those
who wait look how far the log is sealed, for all of them. A ring that is lost delays a receipt, nothing else.
"""

import asyncio
import time
from typing import Final

from ledger.domain.ids import START, Position
from ledger.sealing.notary import Notary
from ledger.sealing.proofs import proof_of
from ledger.sealing.rows import last_checkpoint
from ledger.store.ledger import Ledger
from ledger.store.pool import reading

MOST_WAITING: Final = 1_000


class Receipts:
    """How far the log is sealed, for everybody in this process who waits for it."""

    def __init__(self, ledger: Ledger, notary: Notary, *, most_waiting: int = MOST_WAITING) -> None:
        """Listen to the bell of ``notary``; let at most so many wait at once."""
        self._ledger, self._notary, self._most_waiting = ledger, notary, most_waiting
        self._bell = notary.sealed
        self._sealed, self._looked = START, -1
        self._looking = asyncio.Lock()
        self._waiting = 0

    async def proof_within(self, position: Position, seconds: float) -> str | None:
        """Wait at most so many seconds until an event is sealed; its proof, or ``None``: it is not yet.

        Not at all where sealing stands still, or where as many wait as this process lets.

        Raises:
            Unavailable: the database cannot be reached.
            TileMissing: the log's tree is not whole.
        """
        deadline = time.monotonic() + seconds
        rings = self._bell.rings()
        while await self._sealed_after(rings) < position:
            if not await self._heard(rings, deadline - time.monotonic()):
                break
            rings = self._bell.rings()
        return await proof_of(self._ledger, position)  # which looks for itself, whatever was heard

    async def _heard(self, rings: int, seconds: float) -> bool:
        if seconds <= 0 or self._notary.halt is not None or self._waiting >= self._most_waiting:
            return False
        self._waiting += 1
        try:
            return await self._bell.wait_past(rings, seconds)
        finally:
            self._waiting -= 1

    async def _sealed_after(self, rings: int) -> Position:
        """Say how far the log was sealed at some moment after so many rings; one looks for all."""
        async with self._looking:
            if self._looked < rings:
                looked = self._bell.rings()
                async with reading(self._ledger.pool) as conn:
                    last = await last_checkpoint(conn, self._ledger.ledger_id)
                self._sealed, self._looked = Position(last.size if last else START), looked
            return self._sealed

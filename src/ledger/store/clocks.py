"""What time it is by the slower of two clocks: a mistake of one must not take away what nobody can bring back (ADR 0022)."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from ledger.store.ledger import Ledger
from ledger.store.pool import reading

# no binds
CLOCK: Final = "select clock_timestamp()"


async def slower(ledger: Ledger, clock: Callable[[], datetime]) -> datetime:
    """Say what has been reached by this machine's ``clock`` and by the database's.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    async with reading(ledger.pool) as conn:
        there: datetime = await conn.fetchval(CLOCK)
    return min(clock(), there)

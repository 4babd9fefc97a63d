"""The line to the database that batches go over: sent until it is known what became of them.

Everything but a fault of the data means that the outcome is unknown: a new connection, the same bytes again; the event
ids make that safe. Faulty data takes down the whole batch, whose appends are then sent one by one.
"""

import asyncio
from typing import Final

import asyncpg
import structlog

from ledger.domain.errors import Invalid, OutcomeUnknown, Unavailable
from ledger.store.appends import SealedAppend
from ledger.store.batches import Answer, Batch, pack, send_batch
from ledger.store.pool import DatabaseUnreachable, DirectConnection, connect

log = structlog.get_logger()

RESEND_WAITS: Final = (0.05, 0.2, 0.8)
RESEND_SECONDS: Final = 8.0
"""A batch that was lost once is given up after so many seconds more: its callers wait, and those behind it."""
SEND_TIMEOUT: Final = 30.0

AT_FAULT: Final = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.PostgresSyntaxError,
    asyncpg.ProgramLimitExceededError,
    TypeError,
    ValueError,
)
"""The append itself is at fault: it fails alone and is not sent again."""

Outcome = Answer | OutcomeUnknown | Unavailable | Invalid


class RejectedByDatabase(Invalid):
    """The database refuses these events."""

    code = "rejected-by-database"
    advice = "Nothing was written; the request holds something that cannot be stored."


class Line:
    """One connection, opened when it is needed and again when it is lost."""

    def __init__(self, url: str, ledger_id: int) -> None:
        """Prepare to send to ``ledger_id`` at ``url``."""
        self._url = url
        self._ledger_id = ledger_id
        self._conn: DirectConnection | None = None

    async def send(self, batch: Batch) -> list[Outcome]:
        """Send a batch; say what became of each of its appends, in its order."""
        try:
            return [*await self._settle(batch)]
        except AT_FAULT as fault:
            if len(batch.appends) == 1:
                return [_refused(batch.appends[0], fault)]
            return await self._send_singly(batch)
        except Unavailable as unsettled:
            return [unsettled] * len(batch.appends)

    async def _send_singly(self, batch: Batch) -> list[Outcome]:
        """Send each append of a batch that was refused as a whole by itself, and no more once the database is away."""
        outcomes = list[Outcome]()
        for append in batch.appends:
            outcomes += await self.send(pack([append]))
            if isinstance(outcomes[-1], Unavailable):
                break
        return [*outcomes, *(Unavailable() for _ in batch.appends[len(outcomes) :])]

    def close(self) -> None:
        """Close the connection; it is opened again for the next batch."""
        if self._conn is not None:
            self._conn.terminate()
            self._conn = None

    async def _settle(self, batch: Batch) -> list[Answer]:
        """Send until the outcome is known: at once, then after 0.05, 0.2 and 0.8 seconds on a new connection.

        Connecting, and sending again, takes 8 seconds in all at most.
        """
        clock = asyncio.get_running_loop().time
        was_sent, deadline = False, None if self._is_connected() else clock() + RESEND_SECONDS
        for wait in (*RESEND_WAITS, None):
            try:
                async with asyncio.timeout_at(deadline):
                    conn = await self._connected()
                    again, was_sent = was_sent, True
                    async with asyncio.timeout(SEND_TIMEOUT):
                        return await send_batch(conn, self._ledger_id, batch, again=again)
            except AT_FAULT:
                raise
            except asyncio.CancelledError:  # before the driver asks the server to cancel what may be a commit
                self.close()
                raise
            except (
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
                OSError,
                DatabaseUnreachable,
            ) as lost:
                log.warning("append.connection.lost", error=type(lost).__name__, resend_in=wait)
                self.close()
                deadline = deadline or clock() + RESEND_SECONDS
                if wait is None or clock() > deadline:
                    raise (OutcomeUnknown() if was_sent else Unavailable()) from lost
                await asyncio.sleep(wait)
        raise AssertionError  # the loop above returns or raises

    def _is_connected(self) -> bool:
        return self._conn is not None and not self._conn.is_closed()

    async def _connected(self) -> DirectConnection:
        if self._conn is None or self._conn.is_closed():
            self._conn = await connect(self._url)
        return self._conn


def _refused(sealed: SealedAppend, fault: Exception) -> RejectedByDatabase:
    refusal = RejectedByDatabase(reason=str(fault).splitlines()[0])
    refusal.__cause__ = fault
    log.warning("append.rejected", stream=sealed.append.stream, error=type(fault).__name__)
    return refusal

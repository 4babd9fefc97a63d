"""Group commit: while one batch commits the next one forms, so that concurrent appends share a flush.

Theory of operation (ADR 0003, 0013). Appends queue in order. A batch takes from the front what may travel
together: one append a stream, and never a reader of a stream with its writer, or a verdict could get a later
position than the revocation it did not see. It takes half of what is in the air; if it took all, a process
and its server would work in turns, the one idle while the other is busy. What stays behind keeps its place:
nothing behind it that touches its streams overtakes it. A batch is one statement and one commit. Everything but
a fault of the data means that the outcome is unknown: a new connection, the same bytes again; the event ids make
that safe.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec
import structlog

from ledger.domain.errors import Corrupt, Invalid, OutcomeUnknown, Overloaded, Unavailable, VersionConflict
from ledger.measures import Histogram
from ledger.store.appends import Append, Landed, SealedAppend, send_batch, send_one, stamp
from ledger.store.pool import DatabaseUnreachable, DirectConnection, connect

log = structlog.get_logger()

_batches = Histogram(
    "ledger_append_batch_appends",
    "Appends that travelled together",
    [1, 2, 4, 8, 16, 32, 64, 128, 256],
)
_seconds = Histogram(
    "ledger_append_duration",
    "Time until a batch was settled: committed and flushed, or given up",
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
    unit="seconds",
)

MAX_BATCH: Final = 256
UNDIVIDED: Final = 8
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
MAX_QUEUE: Final = 4096
SCAN_AHEAD: Final = 1024
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

Answer = Landed | VersionConflict | Corrupt


class RejectedByDatabase(Invalid):
    """The database refuses these events."""

    code = "rejected-by-database"
    advice = "Nothing was written; the request holds something that cannot be stored."


class _Waiting(msgspec.Struct, frozen=True):
    sealed: SealedAppend
    size: int
    answer: asyncio.Future[Answer]


class Appender:
    """The one writer of this process: a queue, a connection and a task; several processes may have one each."""

    def __init__(self, url: str, ledger_id: int, *, max_queue: int = MAX_QUEUE) -> None:
        """Prepare to append to ``ledger_id`` at ``url``; at most ``max_queue`` appends wait."""
        self._url = url
        self._ledger_id = ledger_id
        self.max_queue = max_queue
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._conn: DirectConnection | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take appends."""
        self._task = asyncio.create_task(self._run(), name="appender")

    async def stop(self) -> None:
        """Write what is queued, refuse what comes, close the connection."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._disconnect()

    def is_running(self) -> bool:
        """Tell whether appends are taken."""
        return self._task is not None and not self._task.done() and not self._stopping

    def give_up(self) -> None:
        """Cut the connection: nobody answers there."""
        if self._conn is not None:
            self._conn.terminate()

    def queued(self) -> int:
        """Count the appends that wait for a batch."""
        return len(self._queue)

    async def append(self, append: Append) -> Landed:
        """Append, and return once it is committed and flushed.

        Raises:
            VersionConflict: another writer got there first, on the stream or on one it read.
            Overloaded: too many appends are waiting; nothing was written.
            Unavailable: the database cannot be reached; nothing was written.
            OutcomeUnknown: the connection broke and three more tries could not settle what happened.
            RejectedByDatabase: the events hold what PostgreSQL cannot store; nothing was written.
        """
        if self._stopping or len(self._queue) >= self.max_queue:
            raise Overloaded(waiting=len(self._queue))
        sealed = stamp(append, self._ledger_id)
        size = sum(len(item.envelope) + len(item.event.payload) for item in sealed.events)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(sealed, size, answer))
        self._wake.set()
        landed = await answer
        if isinstance(landed, VersionConflict | Corrupt):
            raise landed
        return landed

    async def _run(self) -> None:
        try:
            answered = 0
            while self._queue or not self._stopping:
                due = answered if self._queue else 0  # their next appends; else those wait already
                await self._wake.wait()
                batch = self._take(_share(len(self._queue) + due) if answered else MAX_BATCH)
                if batch:
                    began = time.perf_counter()
                    await self._commit(batch)
                    answered = len(batch)
                    _batches.record(answered)
                    _seconds.record(time.perf_counter() - began)
        finally:  # whatever ended it, nobody may wait for ever
            self._stopping = True
            for waiting in self._queue:
                _fail(waiting, Unavailable())

    def _take(self, limit: int) -> list[_Waiting]:
        """Take from the front of the queue what may travel together, at most ``limit``."""
        batch: list[_Waiting] = []
        behind: list[_Waiting] = []
        written, read, blocked, ids, size = set[str](), set[str](), set[str](), set[object](), 0
        while self._queue and len(batch) < limit and size < MAX_BATCH_BYTES and len(behind) < SCAN_AHEAD:
            waiting = self._queue.popleft()
            if waiting.answer.done():  # its caller has gone before we sent it
                continue
            append = waiting.sealed.append
            reads = {stream for stream, _ in append.reads}
            first_id = append.events[0].event_id
            clashes = (
                append.stream in written
                or append.stream in read
                or first_id in ids
                or not reads.isdisjoint(written)
            )
            if clashes or append.stream in blocked or not reads.isdisjoint(blocked):
                behind.append(waiting)
                blocked.add(append.stream)
                blocked |= reads
                continue
            batch.append(waiting)
            written.add(append.stream)
            read |= reads
            ids.add(first_id)
            size += waiting.size
        self._queue.extendleft(reversed(behind))
        if not self._queue and not self._stopping:
            self._wake.clear()
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        try:
            answers = await self._settle([waiting.sealed for waiting in batch])
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)
        except AT_FAULT as fault:
            await self._commit_singly(batch, fault)
        except Unavailable as unsettled:
            for waiting in batch:
                _fail(waiting, unsettled)
        finally:
            for waiting in batch:
                _fail(waiting, OutcomeUnknown())

    async def _commit_singly(self, batch: Sequence[_Waiting], fault: Exception) -> None:
        """Send each append of a refused batch alone, so that only the culprit fails."""
        if len(batch) > 1:
            for waiting in batch:
                await self._commit([waiting])
            return
        refusal = RejectedByDatabase(reason=str(fault).splitlines()[0])
        refusal.__cause__ = fault
        log.warning("append.rejected", stream=batch[0].sealed.append.stream, error=type(fault).__name__)
        _fail(batch[0], refusal)

    async def _settle(self, batch: list[SealedAppend]) -> list[Answer]:
        """Send until the outcome is known: at once, then after 0.05, 0.2 and 0.8 seconds on a new connection.

        Connecting, and sending again, takes 8 seconds in all at most.
        """
        clock = asyncio.get_running_loop().time
        was_sent, deadline = False, None if self._is_connected() else clock() + RESEND_SECONDS
        for wait in (*RESEND_WAITS, None):
            try:
                async with asyncio.timeout_at(deadline):
                    conn = await self._connected()
                    was_sent = True
                    async with asyncio.timeout(SEND_TIMEOUT):
                        return await self._send(conn, batch)
            except AT_FAULT:
                raise
            except (
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
                OSError,
                DatabaseUnreachable,
            ) as lost:
                log.warning("append.connection.lost", error=type(lost).__name__, resend_in=wait)
                await self._disconnect()
                deadline = deadline or clock() + RESEND_SECONDS
                if wait is None or clock() > deadline:
                    raise (OutcomeUnknown() if was_sent else Unavailable()) from lost
                await asyncio.sleep(wait)
        raise AssertionError  # the loop above returns or raises

    async def _send(self, conn: DirectConnection, batch: list[SealedAppend]) -> list[Answer]:
        if len(batch) == 1:
            return [await send_one(conn, self._ledger_id, batch[0])]
        return await send_batch(conn, self._ledger_id, batch)

    def _is_connected(self) -> bool:
        return self._conn is not None and not self._conn.is_closed()

    async def _connected(self) -> DirectConnection:
        if self._conn is None or self._conn.is_closed():
            self._conn = await connect(self._url)
        return self._conn

    async def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.terminate()
            self._conn = None


def _share(in_the_air: int) -> int:
    """Say how many may travel: half, so that one half is prepared while the other commits; a few stay together."""
    return min(MAX_BATCH, max(UNDIVIDED, (in_the_air + 1) // 2))


def _fail(waiting: _Waiting, reason: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(reason)

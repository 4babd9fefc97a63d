"""Group commit: while one batch commits the next one forms, so that concurrent appends share a flush.

Theory of operation (ADR 0003, 0013). Appends queue in order. A batch takes from the front what may travel
together: one append a stream, and never a reader of a stream with its writer, or a verdict could get a later
position than the revocation it did not see. It takes half of what is in the air; if it took all, a process
and its server would work in turns, the one idle while the other is busy. For the same reason a batch is packed as
soon as there is enough for it, while the one before it is under way, and sent before the callers of that one are told
(ADR 0035). Where others append to the same ledger about as much, all that is in the air travels: ours waits for
the head while theirs is taken, and halves of halves would pay the fixed share of a batch more often (ADR 0044).
What stays behind keeps its place: nothing behind it that touches its streams overtakes it. A batch is one call
and one commit; the next is sent when it is known what became of it.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.domain.errors import Corrupt, OutcomeUnknown, Overloaded, Unavailable, VersionConflict
from ledger.measures import Histogram
from ledger.store.appends import Append, Appended, Landed, SealedAppend, stamp
from ledger.store.batches import Answer, Batch, pack
from ledger.store.sending import Line, Outcome

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
NEVER: Final = sys.maxsize
FORGOTTEN_AFTER: Final = 16
"""Batches in a row with few or none of others' events before them; who only missed a turn is not forgotten."""


class _Waiting(msgspec.Struct, frozen=True):
    sealed: SealedAppend
    answer: asyncio.Future[Answer]


class _Group(msgspec.Struct, frozen=True):
    """Who travels together, and what is sent of them."""

    waiting: Sequence[_Waiting]
    batch: Batch


class Appender:
    """The one writer of this process: a queue, a connection and a task; several processes may have one each."""

    def __init__(self, url: str, ledger_id: int, *, max_queue: int = MAX_QUEUE) -> None:
        """Prepare to append to ``ledger_id`` at ``url``; at most ``max_queue`` appends wait."""
        self._ledger_id = ledger_id
        self.max_queue = max_queue
        self._queue: deque[_Waiting] = deque()
        self._next: _Group | None = None  # packed, and the first to go
        self._under_way: _Group | None = None
        self._enough = NEVER  # that many in the queue are packed without waiting for more
        self._untold: Sequence[tuple[_Waiting, Outcome]] = ()
        self._got_nowhere = False
        self._neighbours = Neighbours()
        self._wake = asyncio.Event()
        self._stopping = False
        self._line = Line(url, ledger_id)
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
        self._line.close()

    def is_running(self) -> bool:
        """Tell whether appends are taken."""
        return self._task is not None and not self._task.done() and not self._stopping

    def is_refused(self) -> bool:
        """Tell whether the database did not take the last batch: it cannot write, or was not reached."""
        return self._got_nowhere

    def give_up(self) -> None:
        """Cut the connection: nobody answers there."""
        self._line.close()

    def queued(self) -> int:
        """Count the appends that wait to be sent."""
        return len(self._queue) + (0 if self._next is None else len(self._next.waiting))

    async def append(self, append: Append) -> Landed:
        """Append, and return once it is committed and flushed.

        Raises:
            VersionConflict: another writer got there first, on the stream or on one it read.
            Overloaded: too many appends are waiting; nothing was written.
            Unavailable: the database cannot be reached; nothing was written.
            OutcomeUnknown: the connection broke and three more tries could not settle what happened.
            RejectedByDatabase: the events hold what PostgreSQL cannot store; nothing was written.
        """
        if self._stopping or self.queued() >= self.max_queue:
            raise Overloaded(waiting=self.queued())
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(stamp(append, self._ledger_id), answer))
        self._wake.set()
        if len(self._queue) >= self._enough:
            self._prepare()
        landed = await answer
        if isinstance(landed, Exception):
            raise landed
        return landed

    async def _run(self) -> None:
        limit = MAX_BATCH
        try:
            while True:
                if self._neighbours.are_there():
                    await self._gather()
                group = self._due(limit)
                if group is not None:
                    await self._send(group)
                else:
                    self._tell()
                    if self._stopping and not self._queue:
                        return
                    await self._wake.wait()
                limit = self._share(len(self._queue) + len(self._untold))  # the next appends of those are due
        finally:
            self._stopping = True
            self._let_all_go()

    async def _send(self, group: _Group) -> None:
        """Send a group and wait for its outcomes; meanwhile tell those of the last, and pack the next."""
        began = time.perf_counter()
        self._under_way = group
        if not self._neighbours.are_there():
            self._enough = max(UNDIVIDED, len(group.waiting))  # as many as are under way are half of them all
        outcomes = await self._sent(group)
        self._untold = tuple(zip(group.waiting, outcomes, strict=True))
        self._under_way, self._enough = None, NEVER
        self._neighbours.look(outcomes)
        self._got_nowhere = isinstance(outcomes[-1], Unavailable)
        if self._got_nowhere:
            self._turn_away()
        _batches.record(len(group.waiting))
        _seconds.record(time.perf_counter() - began)

    async def _sent(self, group: _Group) -> list[Outcome]:
        if not self._untold and not self._queue:  # a lone caller's: no task for nobody
            return await self._line.send(group.batch)
        sending = asyncio.create_task(self._line.send(group.batch))
        await asyncio.sleep(0)  # it leaves before anybody is told and goes on
        self._tell()
        if len(self._queue) >= self._enough:
            self._prepare()
        return await sending

    async def _gather(self) -> None:
        """Tell those whose outcomes are known, and let them ask again, before the next batch is taken."""
        self._tell()
        await asyncio.sleep(0)

    def _tell(self) -> None:
        untold, self._untold = self._untold, ()
        for waiting, outcome in untold:
            if waiting.answer.done():  # its caller has gone
                continue
            if isinstance(outcome, Exception) and not isinstance(outcome, VersionConflict | Corrupt):
                waiting.answer.set_exception(outcome)
            else:
                waiting.answer.set_result(outcome)

    def _let_all_go(self) -> None:
        """Whatever ended it, nobody may wait for ever."""
        self._tell()
        if self._under_way is not None:
            _fail(self._under_way.waiting, OutcomeUnknown())
        self._turn_away()

    def _turn_away(self) -> None:
        """Tell those who wait that nothing was written; behind a batch that got nowhere they would wait for the same."""
        _fail([*(() if self._next is None else self._next.waiting), *self._queue], Unavailable())
        self._next = None
        self._queue.clear()

    def _due(self, limit: int) -> _Group | None:
        """Give the group that goes now, without those whose callers have gone; ``None``: nobody waits."""
        group, self._next = self._next, None
        staying = [] if group is None else [one for one in group.waiting if not one.answer.done()]
        if group is not None and len(staying) == len(group.waiting):
            return group
        return _grouped(staying or self._take(limit))

    def _prepare(self) -> None:
        """Pack the group that follows the one under way: half of all, who may have become many meanwhile."""
        limit = self._share(len(self._queue) + self._enough)
        self._next, self._enough = _grouped(self._take(limit)), NEVER

    def _share(self, in_the_air: int) -> int:
        """Say how many may travel: half, so that one half is prepared while the other commits; a few stay together."""
        share = in_the_air if self._neighbours.are_there() else (in_the_air + 1) // 2
        return min(MAX_BATCH, max(UNDIVIDED, share))

    def _take(self, limit: int) -> list[_Waiting]:
        """Take from the front of the queue what may travel together, at most ``limit``."""
        batch: list[_Waiting] = []
        behind: list[_Waiting] = []
        written, read, blocked, ids, size = set[str](), set[str](), set[str](), set[int](), 0
        while self._queue and len(batch) < limit and size < MAX_BATCH_BYTES and len(behind) < SCAN_AHEAD:
            waiting = self._queue.popleft()
            if waiting.answer.done():  # its caller has gone before we sent it
                continue
            append = waiting.sealed.append
            stream, reads, first_id = append.stream, append.reads, append.events[0].event_id.int
            clashes = (
                stream in written
                or stream in read
                or first_id in ids
                or (reads and any(name in written for name, _ in reads))
            )
            if clashes or stream in blocked or (reads and any(name in blocked for name, _ in reads)):
                behind.append(waiting)
                blocked.add(stream)
                blocked.update(name for name, _ in reads)
                continue
            batch.append(waiting)
            written.add(stream)
            if reads:
                read.update(name for name, _ in reads)
            ids.add(first_id)
            size += waiting.sealed.size
        self._queue.extendleft(reversed(behind))
        if not self._queue and not self._stopping:
            self._wake.clear()
        return batch


class Neighbours:
    """Whether others append to this ledger about as much, which the positions of our own batches tell."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._batches_alone = FORGOTTEN_AFTER

    def are_there(self) -> bool:
        """Tell whether others have taken turns with us lately."""
        return self._batches_alone < FORGOTTEN_AFTER

    def look(self, outcomes: Sequence[Outcome]) -> None:
        """Look at the outcomes of a batch: what is missing before it, others have appended since the last of ours."""
        landed = [outcome for outcome in outcomes if isinstance(outcome, Appended)]
        if not landed:
            return
        before = landed[0].first_position - 1
        theirs = 0 if self._last is None else before - self._last
        self._last = landed[-1].first_position + len(landed[-1].leaves) - 1
        ours = self._last - before
        self._batches_alone = 0 if 2 * theirs >= ours else self._batches_alone + 1


def _grouped(waiting: Sequence[_Waiting]) -> _Group | None:
    return _Group(waiting, pack([one.sealed for one in waiting])) if waiting else None


def _fail(waiting: Sequence[_Waiting], reason: Exception) -> None:
    for one in waiting:
        if not one.answer.done():
            one.answer.set_exception(reason)

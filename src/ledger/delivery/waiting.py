"""Submitters who wait for an answer: thousands of them, woken by one task, without a query or a connection each.

Theory. Whoever waits has a place in the room of their decision. An event of that decision, in whatever process it was
written, makes the one task here look the answer up, once for all places of the room. A place is taken before the
decision is looked at, so that no answer can come between.
"""

import asyncio
from asyncio import Future
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, get_args

import asyncpg
import msgspec
import structlog
from opentelemetry import metrics

from ledger.delivery.notices import Notice
from ledger.domain.decision.evolving import Answering
from ledger.domain.decision.state import Answer
from ledger.domain.errors import Corrupt, Overloaded, Unavailable
from ledger.domain.event import type_name
from ledger.domain.ids import EventId, PersonId, StreamName, Version
from ledger.identity.people import ERASED, names_of
from ledger.projections.decision_row import DecisionRow
from ledger.projections.views.decisions import current
from ledger.store.excerpts import last_of
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, reading
from ledger.store.signals import Bell

log = structlog.get_logger()

MAX_WAITERS: Final = 10_000
LOOKS_AT_ONCE: Final = 4
"""As many connections are taken for those who wait, however many they are."""
WOKEN_AT_ONCE: Final = 50
"""A room may hold thousands; between so many of them everybody else has a turn."""
AGAIN_SECONDS: Final = 0.5
FOR_EVER: Final = 3600.0
ANSWERING: Final = tuple(type_name(event_type) for event_type in get_args(Answering))

_waiters = metrics.get_meter("ledger.delivery").create_up_down_counter(
    "ledger_waiters", description="Calls that wait for the answer to a decision"
)


class TooManyWaiters(Overloaded):
    """As many wait for answers as this service lets."""

    code = "too-many-waiters"
    advice = "Ask without 'wait', or come again after the time in Retry-After."


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a decision at a version of its stream; ``decided_by`` is a user name (``None``: no person did).

    ``event_id`` is the event that gave it (``None``: it is under a name of an earlier release), ``submitted_by`` whom
    it is for.
    """

    answer: Answer
    version: Version
    decided_by: str | None
    event_id: EventId | None
    submitted_by: PersonId


async def told(ledger: Ledger, row: DecisionRow, answer: Answer, decided_by: str | None) -> Answered:
    """Put together what whoever waits is told of a decision that has its ``answer``."""
    async with reading(ledger.pool) as conn:
        event = await last_of(conn, ledger.ledger_id, row.stream, upto=row.version, wanted=ANSWERING)
    return Answered(
        answer=answer,
        version=row.version,
        decided_by=decided_by,
        event_id=event,
        submitted_by=row.submitted_by,
    )


class Place:
    """Somebody who waits."""

    def __init__(self) -> None:
        """Wait for the answer from now on."""
        self._answer: Future[Answered | None] = asyncio.get_running_loop().create_future()

    def answer(self, answered: Answered) -> None:
        """Tell the answer."""
        if not self._answer.done():
            self._answer.set_result(answered)

    def give_up(self) -> None:
        """Wait no longer: it takes too long, or nobody is there any more."""
        if not self._answer.done():
            self._answer.set_result(None)

    async def wait(self, seconds: float) -> Answered | None:
        """Wait for the answer; ``None``: there is none yet."""
        late = asyncio.get_running_loop().call_later(seconds, self.give_up)
        try:
            return await self._answer
        finally:
            late.cancel()


class Waiters:
    """Everybody in this process who waits, by decision."""

    def __init__(self, ledger: Ledger, *, max_waiters: int = MAX_WAITERS) -> None:
        """Prepare for at most ``max_waiters``."""
        self._ledger, self._max_waiters = ledger, max_waiters
        self._rooms: dict[StreamName, set[Place]] = {}
        self._places = self._waiting = 0
        self._is_over = False
        self._touched: set[StreamName] = set()
        self._bell = Bell()

    def waiting(self) -> int:
        """Count those who wait right now, having looked."""
        return self._waiting

    def close(self) -> None:
        """Send everybody away without an answer, now and from now on."""
        self._is_over = True
        for room in self._rooms.values():
            for place in room:
                place.give_up()

    @contextmanager
    def place(self, stream: StreamName) -> Iterator[Place]:
        """Take a place for the time of the block; look at the decision only then.

        Raises:
            TooManyWaiters: there are so many.
        """
        if self._places >= self._max_waiters:
            raise TooManyWaiters
        place, room = Place(), self._rooms.setdefault(stream, set())
        room.add(place)
        self._places += 1
        if self._is_over:
            place.give_up()
        try:
            yield place
        finally:
            self._places -= 1
            room.discard(place)
            if not room:
                self._rooms.pop(stream, None)

    async def wait(self, place: Place, seconds: float) -> Answered | None:
        """Wait in a place for at most so many seconds; ``None``: there is no answer yet."""
        self._count(1)
        try:
            return await place.wait(seconds)
        finally:
            self._count(-1)

    def hear(self, notices: Sequence[Notice]) -> None:
        """Take news of decisions; none: what happened so far was not heard."""
        streams = {notice.stream for notice in notices} if notices else set(self._rooms)
        self._touched |= streams & self._rooms.keys()
        if self._touched:
            self._bell.ring()

    async def run_forever(self) -> None:
        """Look up the answers that news may have brought; a database that is away delays."""
        while True:
            rings = self._bell.rings()
            touched, self._touched = self._touched, set()
            try:
                await self._look(touched)
            except (*LOST, asyncpg.PostgresError, Unavailable) as lost:
                log.warning("delivery.waiters.lost", error=type(lost).__name__)
                self._touched |= touched
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                await self._bell.wait_past(rings, FOR_EVER)

    async def _look(self, streams: set[StreamName]) -> None:
        left = list(streams)
        while left:
            several, left = left[:LOOKS_AT_ONCE], left[LOOKS_AT_ONCE:]
            await asyncio.gather(*(self._answer(stream) for stream in several))

    async def _answer(self, stream: StreamName) -> None:
        if stream not in self._rooms:
            return
        try:
            decision = await current(self._ledger, stream)
        except Corrupt as unreadable:  # whoever asks without waiting is told
            log.warning("delivery.answer.unreadable", code=unreadable.code)
            return
        if decision is None or decision.answer is None:
            return
        name = await self._name(decision.answer.decided_by)
        answered = await told(self._ledger, decision, decision.answer, name)
        for number, place in enumerate(tuple(self._rooms.get(stream, ())), 1):
            place.answer(answered)
            if number % WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _name(self, person: PersonId | None) -> str | None:
        if person is None:
            return None
        names = await names_of(self._ledger.pool, self._ledger.ledger_id, [person])
        return names.get(person, ERASED)

    def _count(self, change: int) -> None:
        self._waiting += change
        _waiters.add(change)

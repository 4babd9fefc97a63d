"""The latest notices, held in memory for everybody in this process who follows what happens to decisions.

Theory. One task reads the log and rings. Whoever follows has a position of their own and takes what lies behind it from
the memory that all share, or from the log where that does not reach back far enough. So following costs a position,
nothing is queued for anybody, and whoever is slow costs nobody else anything.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import asyncpg
import structlog

from ledger.delivery.notices import Notice, NoticePage, for_submitter, read_notices
from ledger.domain.errors import Overloaded, Unavailable
from ledger.domain.ids import START, PersonId, Position
from ledger.store.history import PAGE, POLL_EVERY
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST
from ledger.store.signals import APPENDED_CHANNEL

log = structlog.get_logger()

HELD: Final = 2_000
MAX_STREAMS: Final = 1_000
MAX_CATCHING_UP: Final = 2
"""Readings of the log for those whom memory cannot serve: more would take the connections of everybody else."""
AGAIN_SECONDS: Final = 0.5
PAUSE: Final = 0.02
"""Seconds between two looks, so that a busy log does not make a busy reader."""

Heard = Callable[[Sequence[Notice]], None]


class TooManyStreams(Overloaded):
    """As many follow the events as this service lets."""

    code = "too-many-streams"
    advice = "Come again after the time in Retry-After; a call with 'wait' may do instead."


class Ear:
    """Somebody who listens for news, until the ear is ``lost``."""

    def __init__(self) -> None:
        """Begin to listen."""
        self.is_lost = False
        self._woken = asyncio.Event()

    def ring(self) -> None:
        """Say that there is news."""
        self._woken.set()

    def lose(self) -> None:
        """Say that nobody is there any more."""
        self.is_lost = True
        self._woken.set()

    async def listen(self, seconds: float) -> bool:
        """Wait for a ring since the last time, at most so long; tell whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class News:
    """What has happened to decisions lately, and who listens."""

    def __init__(self, ledger: Ledger, *, max_streams: int = MAX_STREAMS, held: int = HELD) -> None:
        """Prepare to follow ``ledger`` for at most ``max_streams`` ears, with about ``held`` notices in memory."""
        self.is_over = False
        """Whether this process takes its leave."""
        self.alarms = 0
        """How often somebody may have lost a session or a right; who goes by it looks whether it was theirs."""
        self._ledger, self._max_streams, self._hold = ledger, max_streams, held
        self._held: list[Notice] = []
        self._floor = self._position = START
        self._has_begun = self._has_listened = False
        self._begins_anew = True
        self._ears: set[Ear] = set()
        self._heard: list[Heard] = []
        self._catching_up = asyncio.Semaphore(MAX_CATCHING_UP)
        ledger.signals.on(APPENDED_CHANNEL, self._heard_of)

    def on(self, heard: Heard) -> None:
        """Have ``heard`` called with every page of notices, and without any when the following begins, or begins again."""
        self._heard.append(heard)

    def listeners(self) -> int:
        """Count the ears."""
        return len(self._ears)

    def close(self) -> None:
        """Have everybody who listens say goodbye, and let nobody in any more."""
        self.is_over = True
        self._ring()

    def alarm(self) -> None:
        """Have everybody who listens make sure that their session is still good."""
        self.alarms += 1
        self._ring()

    @contextmanager
    def listening(self) -> Iterator[Ear]:
        """Listen for the time of the block.

        Raises:
            TooManyStreams: so many do already, or the service is stopping.
        """
        if self.is_over or len(self._ears) >= self._max_streams:
            raise TooManyStreams
        ear = Ear()
        self._ears.add(ear)
        try:
            yield ear
        finally:
            self._ears.discard(ear)

    async def after(self, position: Position, *, submitted_by: PersonId | None = None) -> NoticePage:
        """Give what comes behind ``position``, as ``read_notices`` does, from memory where that reaches back so far.

        Raises:
            DatabaseUnreachable: the log has to be read, and cannot be.
        """
        if not self._has_begun or position < self._floor:
            async with self._catching_up:
                return await read_notices(self._ledger, after=position, submitted_by=submitted_by)
        first = bisect_right(self._held, position, key=_position_of)
        found = self._held[first : first + PAGE]
        is_last = first + len(found) == len(self._held)
        return NoticePage(
            notices=tuple(found if submitted_by is None else for_submitter(found, submitted_by)),
            after=max(position, self._position) if is_last else found[-1].told.position,
            is_last=is_last,
        )

    async def run_forever(self) -> None:
        """Follow the log from where it ends; a database that is away delays, and loses nothing."""
        while True:
            rings = self._ledger.appended.rings()
            try:
                is_level = await self._look()
            except (*LOST, asyncpg.PostgresError, Unavailable) as lost:
                log.warning("delivery.news.lost", error=type(lost).__name__)
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if is_level:
                await asyncio.sleep(PAUSE)
                await self._ledger.appended.wait_past(rings, POLL_EVERY)

    async def _look(self) -> bool:
        if self._begins_anew:
            await self._begin()
        page = await read_notices(self._ledger, after=self._position)
        self._held += page.notices
        self._forget()
        self._position = page.after
        if page.notices:
            self._tell(page.notices)
        return page.is_last

    def _heard_of(self, payload: str | None) -> None:
        """Begin anew when notifications were missed: a standby may have taken over that had not received all.

        Its log may have grown past where the other one was by then, so that its length says nothing.
        """
        if payload is None:
            self._begins_anew = self._begins_anew or self._has_listened
            self._has_listened = True

    async def _begin(self) -> None:
        """Follow from where the log ends, and have everybody look for themselves at what came before."""
        self._begins_anew = False
        try:
            head = await self._ledger.head()
        except Unavailable:
            self._begins_anew = True
            raise
        self._held.clear()
        self._floor = self._position = head
        self._has_begun = True
        self._tell(())

    def _forget(self) -> None:
        """Drop the oldest, many at a time."""
        surplus = len(self._held) - self._hold
        if surplus > self._hold:
            self._floor = self._held[surplus - 1].told.position
            del self._held[:surplus]

    def _tell(self, notices: Sequence[Notice]) -> None:
        for heard in self._heard:
            heard(notices)
        self._ring()

    def _ring(self) -> None:
        for ear in self._ears:
            ear.ring()


def _position_of(notice: Notice) -> Position:
    return notice.told.position

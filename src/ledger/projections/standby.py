"""Reading from a standby, which never shows less than the primary did when the read began.

Theory. Nobody has to remember who wrote what, or where. Before a read the primary is asked how far the log and the
views have come: one small query, shared by all who ask at that time. The very connection to the standby that will
answer is asked the same, and is used once it shows as much. So a read sees whatever had been acknowledged before it
began, to whom and by whichever process, as on the primary (Raft's ReadIndex, for followers; ADR 0034). A standby that is
a moment late is waited for, and otherwise the primary answers: a standby takes load off it and can break nothing.

A look once a second judges the standby as a whole. While it is away, nobody waits for it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from itertools import chain, repeat
from typing import Final, Self, TypeVar

import asyncpg
import msgspec
import structlog

from ledger.domain.errors import Unavailable
from ledger.domain.ids import Position
from ledger.projections.catalog import ALL
from ledger.projections.checkpoints import look
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, Connection, Lines, Pool, close_pool, open_pool, reading
from ledger.store.together import Together

log = structlog.get_logger()

T = TypeVar("T")

WAIT_SECONDS: Final = 0.1
"""How long a read waits for what the standby has not replayed yet; longer than that the primary is quicker."""
MOST_BEHIND: Final = 2.0
"""Seconds: a standby that takes longer to show what the primary shows is not asked."""
CONNECT_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 2.0
LOOK_EVERY: Final = 1.0
WAITS: Final = (0.002, 0.004, 0.008, 0.016, 0.032)
"""Seconds from one look to the next: a standby takes no LISTEN, so nothing tells when it has gone on."""

# $1 ledger, arrays: $2 projections, $3 their versions
LOOK_THERE: Final = """
select asked.projection, coalesce(c.position, 0) as position, head.position as head,
       pg_is_in_recovery() as follows, i.namespace
from unnest($2::text[], $3::integer[]) as asked(projection, version)
cross join (select coalesce(max(e.position), 0) as position from ledger.events e where e.ledger_id = $1) as head
left join ledger.ledger_identity i on i.ledger_id = $1
left join views.checkpoints c
  on c.ledger_id = $1 and c.projection = asked.projection and c.version = asked.version
"""


class Away(StrEnum):
    """Why a standby is not asked; values of logs and of /health/database."""

    NOT_SEEN_YET = "not-seen-yet"
    UNREACHABLE = "unreachable"
    BEHIND = "behind"
    PROMOTED = "promoted"
    ANOTHER_LEDGER = "another-ledger"
    AHEAD = "ahead-of-the-primary"


class Answered(StrEnum):
    """Who answered a read that a standby might, and why; values of a metric."""

    STANDBY = "standby"
    PRIMARY_LATE = "primary-standby-late"
    PRIMARY_FAILED = "primary-standby-failed"
    PRIMARY_AWAY = "primary-standby-away"
    PRIMARY_SILENT = "primary-not-measured"


class Reach(msgspec.Struct, frozen=True):
    """How far a server shows the log and each view."""

    head: Position
    views: Mapping[str, Position]

    def shows(self, wanted: "Reach", views: Sequence[str]) -> bool:
        """Say whether it shows all that ``wanted`` does of the log and of ``views``."""
        return self.head >= wanted.head and all(self.views[name] >= wanted.views[name] for name in views)


class _Late(Exception):
    """It does not show enough yet, or has no connection to spare."""


class _Odd(Exception):
    """It is no standby of this ledger."""

    def __init__(self, away: Away) -> None:
        super().__init__(away)
        self.away = away


class Standby:
    """A standby of a ledger, asked while it follows; use ``open``, have ``run_forever`` run, and ``stop`` it."""

    def __init__(self, ledger: Ledger, pool: Pool, lines: Lines) -> None:
        """Take what ``open`` has prepared."""
        self.answers: Counter[Answered] = Counter()
        self.away: Away | None = Away.NOT_SEEN_YET
        self._ledger, self._pool, self._lines = ledger, pool, lines
        self._names = [feed.name for feed in ALL]
        self._versions = [feed.version for feed in ALL]
        self._level_at = time.monotonic()
        self._asked = Together[None, Reach](self._ask)

    @classmethod
    async def open(cls, ledger: Ledger, url: str, *, max_size: int) -> Self:
        """Prepare up to ``max_size`` connections to the standby of ``ledger``; none is opened yet."""
        lines = Lines()
        pool = await open_pool(url, min_size=0, max_size=max_size, is_read_only=True, lines=lines)
        return cls(ledger, pool, lines)

    async def stop(self) -> None:
        """Close the connections."""
        await close_pool(self._pool)

    def seconds_behind(self) -> float:
        """Say how long ago it last showed all that the primary did."""
        return time.monotonic() - self._level_at

    async def read(self, views: Sequence[str], work: Callable[[Ledger], Awaitable[T]]) -> T:
        """Do ``work``, which only reads, on a ledger whose ``source`` shows at least what the primary shows now.

        That is of the log and of ``views``, the views that it reads. It may be done twice: what fails on the standby is
        done on the primary, as is everything while the primary does not say in time how far it is.

        Raises:
            DatabaseUnreachable: the primary cannot be reached, or what ``work`` raises there.
        """
        if self.away is not None:
            return await self._on_primary(work, Answered.PRIMARY_AWAY)
        try:
            wanted = await self._wanted()
        except Unavailable:  # nobody knows what the standby would lack; the primary lacks nothing
            return await self._on_primary(work, Answered.PRIMARY_SILENT)
        try:
            async with self._level(views, wanted, WAIT_SECONDS) as conn:
                found = await work(self._ledger.on(conn))
        except _Late:
            return await self._on_primary(work, Answered.PRIMARY_LATE)
        except _Odd as odd:
            self._leave(odd.away)
        except (Unavailable, asyncpg.PostgresError) as failed:
            self._failed(failed)
        else:
            self.answers[Answered.STANDBY] += 1
            return found
        return await self._on_primary(work, Answered.PRIMARY_FAILED)

    async def run_forever(self) -> None:
        """Judge the standby once a second."""
        while True:
            await self.judge()
            await asyncio.sleep(LOOK_EVERY)

    async def judge(self) -> None:
        """Look whether the standby follows, and have it asked or not."""
        try:
            wanted = await self._wanted()
        except Unavailable:
            return  # without the primary nothing is read, and nothing can be said of the standby
        began = time.monotonic()
        try:
            reach = await self._reach_of_standby(wanted)
            after = await self._wanted()
        except _Late:
            if not self._is_full():
                self._leave(Away.BEHIND)
        except _Odd as odd:
            self._leave(odd.away)
        except (Unavailable, asyncpg.PostgresError) as lost:
            self._leave(Away.UNREACHABLE, error=type(lost.__cause__ or lost).__name__)
        else:
            if reach.head > after.head:
                self._leave(Away.AHEAD)
            else:
                self._level_at = began
                self._return()

    async def _on_primary(self, work: Callable[[Ledger], Awaitable[T]], why: Answered) -> T:
        self.answers[why] += 1
        return await work(self._ledger)

    def _failed(self, failed: Exception) -> None:
        """Leave the standby if it is gone; one that has only refused a statement is there."""
        cause = failed.__cause__ or failed
        # Replay has cancelled it, it took too long, or the tables there are older than the release.
        if isinstance(cause, asyncpg.QueryCanceledError) or not isinstance(cause, (*LOST, Unavailable)):
            log.warning("standby.read.failed", error=type(cause).__name__)
        else:
            self._leave(Away.UNREACHABLE, error=type(cause).__name__)

    def _leave(self, away: Away, **facts: str) -> None:
        if self.away is not away:
            log.warning("standby.away", reason=away.value, **facts)
            if away is Away.UNREACHABLE:  # who waits for an answer on a dead line is served by the primary
                self._lines.give_up()
        self.away = away

    def _return(self) -> None:
        if self.away is not None:
            log.info("standby.asked", was=self.away.value)
        self.away = None

    def _is_full(self) -> bool:
        return self._pool.get_idle_size() == 0 and self._pool.get_size() == self._pool.get_max_size()

    @asynccontextmanager
    async def _level(self, views: Sequence[str], wanted: Reach, seconds: float) -> AsyncIterator[Connection]:
        """Borrow a connection to a standby that shows what is wanted, or will within so many seconds."""
        if self._is_full():
            raise _Late
        async with reading(self._pool, seconds=CONNECT_SECONDS) as conn:
            deadline = time.monotonic() + seconds
            for wait in chain(WAITS, repeat(WAITS[-1])):
                if (await self._reach_by(conn)).shows(wanted, views):
                    break
                if time.monotonic() + wait > deadline:
                    raise _Late
                await asyncio.sleep(wait)
            yield conn

    async def _reach_of_standby(self, wanted: Reach) -> Reach:
        try:
            async with self._level(self._names, wanted, MOST_BEHIND) as conn:
                return await self._reach_by(conn)
        finally:
            if self.away is not None:  # behind the address there may be another server by now
                await self._pool.expire_connections()

    async def _reach_by(self, conn: Connection) -> Reach:
        asked = (self._ledger.ledger_id, self._names, self._versions)
        rows = await conn.fetch(LOOK_THERE, *asked, timeout=LOOK_SECONDS)
        first = rows[0]
        if not self._ledger.is_held_by(first["namespace"]):
            raise _Odd(Away.ANOTHER_LEDGER)
        if not first["follows"]:
            raise _Odd(Away.PROMOTED)
        return Reach(first["head"], {row["projection"]: row["position"] for row in rows})

    async def _wanted(self) -> Reach:
        """Ask the primary how far it has come by now, together with all who ask meanwhile."""
        return (await self._asked.find([None]))[None]

    async def _ask(self, _: Sequence[None]) -> dict[None, Reach]:
        try:
            async with asyncio.timeout(LOOK_SECONDS), reading(self._ledger.pool) as conn:
                sights = await look(conn, self._ledger.ledger_id, ALL)
        except (*LOST, asyncpg.PostgresError) as lost:
            raise Unavailable from lost
        heads = [sight.head for sight in sights.values()]
        return {None: Reach(max(heads), {name: sight.checkpoint.position for name, sight in sights.items()})}

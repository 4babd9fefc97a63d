"""Sessions and accounts, held in memory and exact all the same: the log is followed, what it touches is forgotten.

Theory. A revocation is an event. Each instance follows the log, drops what it holds of every stream that an event
touches, and keeps a row that says how far it has come. A call that takes something away answers once every live
instance has passed its event, or after one second; and an instance that has not confirmed the log's head for one
second trusts nothing it holds and asks the database. So whoever asks after that answer is told the truth, on
whichever instance, and asking costs no round trip as long as nothing has changed.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import structlog

from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.events import AccountRegistered
from ledger.domain.errors import Unavailable
from ledger.domain.event import type_name
from ledger.domain.ids import START, Position, StreamName
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import SessionOpened
from ledger.identity import instance_rows
from ledger.identity.instance_rows import FOLLOWED_CHANNEL
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, DirectConnection, connect
from ledger.store.signals import Bell
from ledger.store.streams import Stream, read_streams

log = structlog.get_logger()

TRUST_SECONDS: Final = 1.0
"""How long a confirmed head counts; no revoking call waits for longer."""
LOOK_EVERY: Final = 0.25
PAUSE: Final = 0.01
"""Seconds between two looks, so that a busy log does not make a busy follower."""
TELL_EVERY: Final = 0.3
LOOK_TIMEOUT: Final = 5.0
RECONNECT_WAIT: Final = 0.25
PAGE: Final = 5_000
MAX_HELD: Final = 10_000

# $1 ledger, $2 after this position, $3 types of sessions and accounts, $4 those that may take something away,
# $5 at most this many. The page is ordered by its key, so that no plan reads the whole log.
LOOK: Final = """
select count(*) as found, coalesce(max(position), $2) as position,
       coalesce(array_agg(distinct stream) filter (where type = any($3)), '{}') as touched,
       coalesce(bool_or(type = any($4)), false) as is_urgent
from (
    select position, stream, type from ledger.events
    where ledger_id = $1 and position > $2
    order by position limit $5
) page
"""
FOLLOWED_TYPES: Final = tuple(type_name(each) for each in (*SESSION.event_types, *ACCOUNT.event_types))
URGENT_TYPES: Final = tuple(
    name for name in FOLLOWED_TYPES if name not in {type_name(SessionOpened), type_name(AccountRegistered)}
)


class _Reading:
    """A read under way; an event that comes meanwhile makes what it brings not worth keeping."""

    def __init__(self, names: Sequence[StreamName]) -> None:
        self.fresh = set(names)


class Following:
    """What this instance holds of sessions and accounts; make it before the ledger is started."""

    def __init__(self, ledger: Ledger) -> None:
        """Prepare to follow ``ledger``; until it is started, every question goes to the database."""
        self.instance = uuid4()
        self._ledger = ledger
        self._held: OrderedDict[StreamName, Stream] = OrderedDict()
        self._readings: set[_Reading] = set()
        self._position: Position | None = None
        self._confirmed_at = self._told_at = float("-inf")
        self._others: dict[UUID, Position] = {}
        self._told = Bell()
        self._taken_away: list[Callable[[], None]] = []
        self._forgotten: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        ledger.signals.on(FOLLOWED_CHANNEL, self._heard)

    def on_taken_away(self, heard: Callable[[], None]) -> None:
        """Have ``heard`` called whenever somebody may have lost a session or a right: for calls that last."""
        self._taken_away.append(heard)

    def on_forgotten(self, heard: Callable[[], None]) -> None:
        """Have ``heard`` called whenever what was read of the log before may not be in it any more."""
        self._forgotten.append(heard)

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._run(), name="following")

    async def stop(self) -> None:
        """Stop following, and let nobody wait for this instance any more."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._confirmed_at = float("-inf")
        try:
            await instance_rows.leave(self._ledger.pool, self._ledger.ledger_id, self.instance)
        except Unavailable as lost:
            log.warning("identity.following.not_left", code=lost.code)

    def is_current(self) -> bool:
        """Say whether what is held may be trusted at this moment."""
        return time.monotonic() - min(self._confirmed_at, self._told_at) < TRUST_SECONDS

    async def read(self, names: Sequence[StreamName]) -> Mapping[StreamName, Stream]:
        """Give streams of sessions and accounts, as ``read_streams`` does, from memory where that is exact.

        Raises:
            Unavailable: the database has to be asked, and cannot be reached.
        """
        if not self.is_current():
            return await read_streams(self._ledger, names)
        held = {name: self._held[name] for name in names if name in self._held}
        for name in held:
            self._held.move_to_end(name)
        missing = [name for name in names if name not in held]
        return held | await self._fetch(missing) if missing else held

    async def _fetch(self, names: Sequence[StreamName]) -> dict[StreamName, Stream]:
        reading = _Reading(names)
        self._readings.add(reading)
        try:
            found = await read_streams(self._ledger, names)
        finally:
            self._readings.discard(reading)
        self._held.update((name, found[name]) for name in reading.fresh if found[name].events)
        while len(self._held) > MAX_HELD:
            self._held.popitem(last=False)
        return found

    async def settled(self, position: Position) -> bool:
        """Wait until every live instance knows of ``position``, one second at most; tell whether all do.

        After that second an instance that does not has asked the database for a while already.
        """
        deadline = time.monotonic() + TRUST_SECONDS
        try:
            async with asyncio.timeout(TRUST_SECONDS):
                live = await instance_rows.live(self._ledger.pool, self._ledger.ledger_id)
        except (Unavailable, TimeoutError):  # nobody knows who follows: all of them lose their trust by then
            await asyncio.sleep(deadline - time.monotonic())
            return False
        while True:
            rings = self._told.rings()
            left = deadline - time.monotonic()
            behind = [each for each, told in live.items() if self._known(each, told) < position]
            if not behind or left <= 0:
                return not behind
            await self._told.wait_past(rings, left)

    def _known(self, instance: UUID, told: Position) -> Position:
        if instance == self.instance:
            return self._position or START
        return max(told, self._others.get(instance, START))

    def _heard(self, payload: str | None) -> None:
        """Take a notification ``ledger instance position``; ``None``: some may have been missed."""
        if payload is None:
            return
        ledger_id, instance, position = payload.split(" ")
        if int(ledger_id) == self._ledger.ledger_id:
            self._others[UUID(instance)] = Position(int(position))
            self._told.ring()

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except (*LOST, asyncpg.PostgresError, Unavailable) as lost:
                log.warning("identity.following.lost", error=type(lost).__name__)
            await asyncio.sleep(RECONNECT_WAIT)

    async def _follow(self) -> None:
        conn = await connect(self._ledger.url)
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                head = await self._ledger.on(conn).head()  # the pool may still lead to another server
            self._forget_all()  # another server may answer now, whose log does not hold all that was seen here
            self._others.clear()
            self._position = head
            self._alarm()  # nobody has seen what was taken away meanwhile
            while True:
                rings = self._ledger.appended.rings()
                async with asyncio.timeout(LOOK_TIMEOUT):
                    is_level = await self._look(conn, self._position)
                if is_level:
                    await self._ledger.appended.wait_past(rings, LOOK_EVERY)
                    await asyncio.sleep(PAUSE)
        finally:
            conn.terminate()

    async def _look(self, conn: DirectConnection, after: Position) -> bool:
        """Read on, forget what was touched, tell how far it has come; say whether that was all there is."""
        began, was_current = time.monotonic(), self.is_current()
        seen = await conn.fetchrow(LOOK, self._ledger.ledger_id, after, FOLLOWED_TYPES, URGENT_TYPES, PAGE)
        if seen is None:
            raise Unavailable
        self._forget(seen["touched"])
        self._position = Position(seen["position"])
        is_level = bool(seen["found"] < PAGE)
        if seen["is_urgent"] or began - self._told_at > TELL_EVERY:
            await instance_rows.tell(conn, self._ledger.ledger_id, self.instance, self._position)
            self._told_at = began
        if not was_current:
            self._forget_all()
        if is_level:
            self._confirmed_at = began
        self._told.ring()
        if seen["is_urgent"] or not was_current:
            self._alarm()
        return is_level

    def _alarm(self) -> None:
        for heard in self._taken_away:
            heard()

    def _forget_all(self) -> None:
        """Forget what is from before this instance was waited for, or followed, again: it may be revoked meanwhile."""
        self._held.clear()
        for reading in self._readings:
            reading.fresh.clear()
        for heard in self._forgotten:
            heard()

    def _forget(self, names: Sequence[StreamName]) -> None:
        for name in names:
            self._held.pop(name, None)
        for reading in self._readings:
            reading.fresh.difference_update(names)

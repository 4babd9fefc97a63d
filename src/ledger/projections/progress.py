"""How far the views have come, for whoever waits to see their own write.

Fed by the runner of this process, by a notification for every checkpoint that moves in any process, and by a
look at the checkpoints behind both: a lost notification delays, it does not mislead.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Final

import asyncpg
import msgspec
import structlog

from ledger.domain.errors import Unavailable
from ledger.domain.ids import START, Position, StreamName
from ledger.projections.catalog import ALL
from ledger.projections.checkpoints import VIEW_MOVED_CHANNEL, Checkpoint, Sight, look, start
from ledger.projections.parking import parked_in
from ledger.projections.projection import Feed
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, reading
from ledger.store.signals import Bell

log = structlog.get_logger()

MAX_WAIT: Final = 1.0
BEHIND_TOO_LONG: Final = 1.0
"""Seconds: a view that has been behind for longer is not waited for."""
LOOK_EVERY: Final = 0.5
LOOK_TIMEOUT: Final = 5.0


class _Waiter:
    """Somebody who waits until some views have come to a position: woken by the last of them, and when it is late."""

    def __init__(self, missing: int) -> None:
        self._missing = missing
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def arrived(self) -> None:
        self._missing -= 1
        if self._missing <= 0:
            self.wake()

    def wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    async def wait(self, seconds: float) -> None:
        late = asyncio.get_running_loop().call_later(seconds, self.wake)
        try:
            await self._woken
        finally:
            late.cancel()


class _View(msgspec.Struct):
    """Where a view is, and what it owes: a position it must reach, and when we learned of that one.

    ``awaited`` are those who wait for it to come to a position, the lowest first; ``hurry`` rings for each who begins to.
    """

    at: Checkpoint
    hurry: Bell
    awaited: list[tuple[Position, int, _Waiter]] = []
    owes: Position | None = None
    owes_since: float = 0.0
    was_level: bool = False


class Progress:
    """The positions of this release's views, as this process knows them."""

    def __init__(self, ledger: Ledger, projections: Sequence[Feed] = ALL) -> None:
        """Prepare to follow ``projections``; call this before ``ledger.start``."""
        self._ledger = ledger
        self._feeds = tuple(projections)
        self._versions = {feed.name: feed.version for feed in projections}
        self._views = {feed.name: _View(at=start(), hurry=Bell()) for feed in projections}
        self._head, self._head_seen_at = START, 0.0
        self._goal: Position | None = None
        self._has_listened = self._may_have_gone_back = False
        self._asked = Bell()
        self._waits = count()
        self._task: asyncio.Task[None] | None = None
        ledger.signals.on(VIEW_MOVED_CHANNEL, self._heard)

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="progress")

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def position(self, name: str) -> Position:
        """Say how far a view has come, at least."""
        return self._views[name].at.position

    def parked(self, name: str) -> int:
        """Count the events of a view that wait for a repair, as last heard."""
        return self._views[name].at.parked

    def is_paused(self, name: str) -> bool:
        """Say whether somebody has paused a view, as last heard."""
        return self._views[name].at.is_paused

    def awaited(self, name: str) -> Bell:
        """Give the bell that rings when somebody in this process begins to wait for a view."""
        return self._views[name].hurry

    def head(self) -> Position:
        """Say where the log ends, at least."""
        return self._head

    def was_level(self, name: str) -> bool:
        """Say whether a view has once been level with the head found at start or, later, at a reconnect."""
        return self._views[name].was_level

    def stale(self, names: Sequence[str]) -> tuple[str, ...]:
        """Name the views that a list must not pretend are level: late, paused, or with something parked."""
        return tuple(name for name in names if self._is_stale(self._views[name]))

    def saw(self, name: str, at: Checkpoint) -> None:
        """Take note of where a view stands; an older position is no news."""
        view = self._views[name]
        if at.position < view.at.position:
            return
        view.at = at
        view.was_level = view.was_level or (self._goal is not None and at.position >= self._goal)
        if view.owes is not None and at.position >= view.owes:
            view.owes = None
        while view.awaited and (at.is_paused or view.awaited[0][0] <= at.position):
            heappop(view.awaited)[2].arrived()

    async def wait_for(
        self,
        names: Sequence[str],
        position: Position,
        timeout: float = MAX_WAIT,  # noqa: ASYNC109 - a bound
        *,
        stream: StreamName | None = None,
    ) -> tuple[str, ...]:
        """Wait until the views have come to ``position``; return those that do not show it, of which the answer tells.

        At most ``timeout`` seconds and never more than one; not at all for a view that is paused or has been behind
        for more than a second already. A view in which events of ``stream`` are parked does not show it either.
        """
        behind = await self._wait_for(names, position, timeout)
        return tuple(dict.fromkeys([*behind, *await self._parked_in(names, stream)]))

    async def _wait_for(self, names: Sequence[str], position: Position, seconds: float) -> tuple[str, ...]:
        self._see_head(position)
        deadline = time.monotonic() + min(seconds, MAX_WAIT)
        while True:
            now = time.monotonic()
            behind = {name: view for name in names if (view := self._views[name]).at.position < position}
            worth_it = [view for view in behind.values() if _patience(view, now) > 0]
            if not worth_it or now >= deadline:
                return tuple(behind)
            waiter, number = _Waiter(len(worth_it)), next(self._waits)
            for view in worth_it:
                heappush(view.awaited, (position, number, waiter))
                view.hurry.ring()
            await waiter.wait(min(deadline - now, *(_patience(view, now) for view in worth_it)))

    async def _parked_in(self, names: Sequence[str], stream: StreamName | None) -> tuple[str, ...]:
        """Ask the database only where something is parked at all."""
        feeds = [feed for feed in self._feeds if feed.name in names and self._views[feed.name].at.parked]
        if stream is None or not feeds:
            return ()
        try:
            async with reading(self._ledger.pool) as conn:
                found = await parked_in(conn, self._ledger.ledger_id, stream, feeds)
        except (*LOST, asyncpg.PostgresError, Unavailable):
            return tuple(feed.name for feed in feeds)  # better to warn in vain
        return tuple(feed.name for feed in feeds if feed.name in found)

    def _is_stale(self, view: _View) -> bool:
        is_behind = view.at.position < self._head
        return view.at.parked > 0 or (is_behind and _patience(view, time.monotonic()) <= 0)

    def _see_head(self, head: Position) -> None:
        if head > self._head:
            self._head, self._head_seen_at = head, time.monotonic()
        for view in self._views.values():
            self._owe(view)

    def _owe(self, view: _View) -> None:
        if view.owes is None and view.at.position < self._head:
            view.owes, view.owes_since = self._head, self._head_seen_at

    def _heard(self, payload: str | None) -> None:
        """Take a notification ``ledger name version position parked paused``; ``None``: some may have been missed."""
        if payload is None:
            self._goal = None if self._has_listened else self._goal
            self._may_have_gone_back = self._has_listened
            self._has_listened = True
            self._asked.ring()
            return
        ledger_id, name, version, position, parked, paused = payload.split(" ")
        if int(ledger_id) == self._ledger.ledger_id and self._versions.get(name) == int(version):
            at = Checkpoint(position=Position(int(position)), parked=int(parked), is_paused=paused != "0")
            self.saw(name, at)

    async def _run(self) -> None:
        while True:
            rings = self._asked.rings()
            try:
                async with asyncio.timeout(LOOK_TIMEOUT), reading(self._ledger.pool) as conn:
                    self._take(await look(conn, self._ledger.ledger_id, self._feeds))
            except (*LOST, asyncpg.PostgresError, Unavailable) as lost:
                log.warning("progress.look.failed", error=type(lost).__name__)
            await self._asked.wait_past(rings, LOOK_EVERY)

    def _take(self, sights: Mapping[str, Sight]) -> None:
        head = max((sight.head for sight in sights.values()), default=START)
        if self._may_have_gone_back:  # another server may answer now, whose log ends earlier
            self._may_have_gone_back, self._head = False, START
            for name, sight in sights.items():
                self._views[name].at, self._views[name].owes = sight.checkpoint, None
        self._see_head(head)
        for name, sight in sights.items():
            self.saw(name, sight.checkpoint)
        if self._goal is None:
            self._goal = head
            for view in self._views.values():
                view.was_level = view.at.position >= head


def _patience(view: _View, now: float) -> float:
    """Say for how many seconds more a view is waited for; not at all where it is paused or late."""
    if view.at.is_paused:
        return 0.0
    return MAX_WAIT if view.owes is None else view.owes_since + BEHIND_TOO_LONG - now

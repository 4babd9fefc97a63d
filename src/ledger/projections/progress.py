"""How far the views have come, for whoever waits to see their own write.

Fed by the runner of this process, by a notification for every checkpoint that moves in any process, and by a
look at the checkpoints behind both: a lost notification delays, it does not mislead.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec
import structlog

from ledger.domain.errors import Unavailable
from ledger.domain.ids import START, Position
from ledger.projections.catalog import ALL
from ledger.projections.checkpoints import VIEW_MOVED_CHANNEL, Sighting, look
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


class _View(msgspec.Struct):
    """Where a view is, and what it owes: a position it must reach, and when we learned of that one."""

    position: Position = START
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
        self._views = {feed.name: _View() for feed in projections}
        self._head, self._head_seen_at = START, 0.0
        self._goal: Position | None = None
        self._has_listened = False
        self._moved, self._asked = Bell(), Bell()
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
        return self._views[name].position

    def head(self) -> Position:
        """Say where the log ends, at least."""
        return self._head

    def was_level(self, name: str) -> bool:
        """Say whether a view has once been level with the head found at start or, later, at a reconnect."""
        return self._views[name].was_level

    def moved(self, name: str, position: Position) -> None:
        """Take note that a view has come to ``position``; an older one is no news."""
        view = self._views[name]
        if position <= view.position:
            return
        view.position = position
        view.was_level = view.was_level or (self._goal is not None and position >= self._goal)
        if view.owes is not None and position >= view.owes:
            view.owes = None
        self._moved.ring()

    async def wait_for(
        self,
        names: Sequence[str],
        position: Position,
        timeout: float = MAX_WAIT,  # noqa: ASYNC109 - a bound
    ) -> tuple[str, ...]:
        """Wait until the views have come to ``position``; return those that have not, of which the answer tells.

        At most ``timeout`` seconds and never more than one; not at all for a view that has been behind for more
        than a second already.
        """
        self._see_head(position)
        deadline = time.monotonic() + min(timeout, MAX_WAIT)
        while True:
            rings = self._moved.rings()
            behind = [name for name in names if self._views[name].position < position]
            left = deadline - time.monotonic()
            if left <= 0 or all(self._is_late(self._views[name]) for name in behind):
                return tuple(behind)
            await self._moved.wait_past(rings, left)

    def _is_late(self, view: _View) -> bool:
        return view.owes is not None and time.monotonic() - view.owes_since > BEHIND_TOO_LONG

    def _see_head(self, head: Position) -> None:
        if head > self._head:
            self._head, self._head_seen_at = head, time.monotonic()
        for view in self._views.values():
            self._owe(view)

    def _owe(self, view: _View) -> None:
        if view.owes is None and view.position < self._head:
            view.owes, view.owes_since = self._head, self._head_seen_at

    def _heard(self, payload: str | None) -> None:
        """Take a notification ``ledger name version position``; ``None``: some may have been missed."""
        if payload is None:
            self._goal = None if self._has_listened else self._goal
            self._has_listened = True
            self._asked.ring()
            return
        ledger_id, name, version, position = payload.split(" ")
        if int(ledger_id) == self._ledger.ledger_id and self._versions.get(name) == int(version):
            self.moved(name, Position(int(position)))

    async def _run(self) -> None:
        while True:
            rings = self._asked.rings()
            try:
                async with asyncio.timeout(LOOK_TIMEOUT), reading(self._ledger.pool) as conn:
                    self._saw(await look(conn, self._ledger.ledger_id, self._feeds))
            except (*LOST, asyncpg.PostgresError, Unavailable) as lost:
                log.warning("progress.look.failed", error=type(lost).__name__)
            await self._asked.wait_past(rings, LOOK_EVERY)

    def _saw(self, sighting: Sighting) -> None:
        self._see_head(sighting.head)
        for name, position in sighting.positions.items():
            self.moved(name, position)
        if self._goal is None:
            self._goal = sighting.head
            for view in self._views.values():
                view.was_level = view.position >= sighting.head

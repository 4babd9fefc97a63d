"""Trouble for any projection: wraps it, and lets it fail, dawdle or die where a test says so.

A fault is chosen by the event, not by chance or by how often it was tried: whatever is retried fails again until
``heal`` is called, exactly as a broken handler would.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from copy import copy
from typing import Final, Literal, TypeVar

import asyncpg

from ledger.projections.projection import Feed
from ledger.store.pool import Connection, DirectConnection
from ledger.store.streams import Stored

T = TypeVar("T")

Point = Literal["before", "after"]
Aim = Callable[[Stored], bool]
Error = Callable[[], Exception]


class Poison(Exception):
    """What a broken handler raises."""


def persistent() -> Exception:
    return Poison("a payload might be quoted here")


def transient() -> Exception:
    return asyncpg.SerializationError("could not serialize access")


def die() -> None:
    """End this process as the kernel would."""
    os.kill(os.getpid(), signal.SIGKILL)


class Chaos:
    """A projection with troubles; without any it is the one it wraps."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._faults: list[tuple[Aim, Error]] = []
        self._kills: list[tuple[Point, Aim, Callable[[], object]]] = []
        self._seconds = 0.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fed: list[Stored] = []
        """Every event it was given, as often as it was given it."""

    @property
    def name(self) -> str:
        return self._feed.name

    @property
    def version(self) -> int:
        return self._feed.version

    @property
    def tables(self) -> tuple[str, ...]:
        return self._feed.tables

    @property
    def is_keyed_by_stream(self) -> bool:
        return self._feed.is_keyed_by_stream

    @property
    def is_awaited(self) -> bool:
        return self._feed.is_awaited

    @property
    def schema(self) -> str:
        return self._feed.schema

    def under(self, name: str, schema: str) -> "Chaos":
        """The same troubles on other tables."""
        other = copy(self)
        other._feed = self._feed.under(name, schema)
        return other

    def wanted(self) -> tuple[str, ...]:
        return self._feed.wanted()

    def sequence(self, stored: Stored) -> str:
        return self._feed.sequence(stored)

    def check(self, stored: Stored) -> None:
        self._feed.check(stored)

    def fail(self, aim: Aim, error: Error = persistent) -> None:
        """Fail on every event that ``aim`` picks."""
        self._faults.append((aim, error))

    def fail_on(self, *positions: int, error: Error = persistent) -> None:
        """Fail on the events at these positions."""
        self.fail(lambda stored: stored.position in positions, error)

    def fail_every(self, nth: int, error: Error = persistent) -> None:
        """Fail on every nth position."""
        self.fail(lambda stored: stored.position % nth == 0, error)

    def fail_on_type(self, name: str, error: Error = persistent) -> None:
        """Fail on events of a type."""
        self.fail(lambda stored: stored.type == name, error)

    def dawdle(self, seconds: float) -> None:
        """Take so long for every event."""
        self._seconds = seconds

    def kill(self, point: Point, aim: Aim, how: Callable[[], object] = die) -> None:
        """Die before or after the handler has seen an event that ``aim`` picks."""
        self._kills.append((point, aim, how))

    def heal(self) -> None:
        """Trouble it no more."""
        self._faults.clear()
        self._kills.clear()
        self._seconds = 0.0
        self.gate.set()

    async def feed(self, conn: Connection, ledger_id: int, log: Sequence[Stored]) -> int:
        self.fed += log
        await self.gate.wait()
        self._die("before", log)
        for stored in log:
            for aim, error in self._faults:
                if aim(stored):
                    raise error()
            if self._seconds:
                await asyncio.sleep(self._seconds)
        applied = await self._feed.feed(conn, ledger_id, log)
        self._die("after", log)
        return applied

    def _die(self, at: Point, log: Sequence[Stored]) -> None:
        for point, aim, how in self._kills:
            if point == at and any(aim(stored) for stored in log):
                how()


class Killed(BaseException):
    """The process died at this await point."""


class UntilKilled:
    """Awaits a coroutine up to its nth await point, then cuts its connection and lets it die there.

    ``await`` raises ``Killed``; when there are fewer await points, it gives the result.
    """

    def __init__(self, work: Coroutine[object, object, T], conn: DirectConnection, nth: int) -> None:
        self._work, self._conn, self._nth = work, conn, nth

    def __await__(self) -> Generator[object, object, object]:
        points = 0
        steps = self._work.__await__()
        while True:
            try:
                waits_for = next(steps)
            except StopIteration as done:
                return done.value
            points += 1
            if points == self._nth:
                if isinstance(waits_for, asyncio.Future):  # nobody will ask what became of it
                    waits_for.add_done_callback(lambda done: done.cancelled() or done.exception())
                self._conn.terminate()
                with suppress(Killed, asyncpg.InterfaceError, OSError):
                    steps.throw(Killed())
                raise Killed
            yield waits_for


MOST_POINTS: Final = 200


async def at_every_await_point(
    make: Callable[[DirectConnection], Coroutine[object, object, T]],
    connect: Callable[[], Awaitable[DirectConnection]],
    after_each: Callable[[], Awaitable[None]],
) -> int:
    """Kill the work at its first, second, … await point until it outlives that; how many there were."""
    for nth in range(1, MOST_POINTS):
        conn = await connect()
        try:
            await UntilKilled(make(conn), conn, nth)
        except Killed:
            await after_each()
            continue
        finally:
            conn.terminate()
        return nth - 1
    raise AssertionError("it never came to its end")

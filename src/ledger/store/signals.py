"""What has just happened in the database, told to whoever waits in this process.

One connection listens. It may die at any time: it is opened again, and every listener is told that it may
have missed something, so that it looks for itself. Nothing here is needed for correctness, only for speed:
whoever waits also looks from time to time.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Final, TypeAlias

import asyncpg
import structlog

from ledger.domain.errors import Unavailable
from ledger.store.pool import LOST, connect

log = structlog.get_logger()

APPENDED_CHANNEL: Final = "ledger_appended"
RECONNECT_WAITS: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
PROBE_EVERY: Final = 1.0
PROBE_TIMEOUT: Final = 5.0

Heard: TypeAlias = Callable[[str | None], None]
"""Called with the payload of a notification, or ``None`` when some may have been missed."""


class Signals:
    """Listens on one connection for all channels of this process."""

    def __init__(self, url: str) -> None:
        """Prepare to listen at ``url``."""
        self._url = url
        self._listeners: defaultdict[str, list[Heard]] = defaultdict(list)
        self._when_dead: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._connected = False

    def on(self, channel: str, heard: Heard) -> None:
        """Have ``heard`` called for every notification on ``channel``; say so before ``start``."""
        self._listeners[channel].append(heard)

    def when_dead(self, give_up: Callable[[], None]) -> None:
        """Have ``give_up`` called when the server has not answered for 5 seconds, though nothing was refused."""
        self._when_dead.append(give_up)

    def is_connected(self) -> bool:
        """Tell whether notifications arrive right now."""
        return self._connected

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._run(), name="signals")

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._listen()
            except (*LOST, asyncpg.PostgresError, Unavailable) as lost:
                failures = 0 if self._connected else failures + 1
                log.warning("signals.connection.lost", error=type(lost).__name__)
            finally:
                self._connected = False
            await asyncio.sleep(RECONNECT_WAITS[min(failures, len(RECONNECT_WAITS) - 1)])

    async def _listen(self) -> None:
        conn = await connect(self._url)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                for channel in self._listeners:
                    await conn.add_listener(channel, self._on_notification)
            self._connected = True
            self._tell_all_to_look()
            while True:  # a dead peer sends no goodbye: ask
                await asyncio.sleep(PROBE_EVERY)
                await conn.execute("select 1", timeout=PROBE_TIMEOUT)
        except TimeoutError:
            for give_up in self._when_dead:
                give_up()
            raise
        finally:
            conn.terminate()

    def _on_notification(self, _conn: object, _pid: int, channel: str, payload: object) -> None:
        for heard in self._listeners[channel]:
            heard(str(payload))

    def _tell_all_to_look(self) -> None:
        for listeners in self._listeners.values():
            for heard in listeners:
                heard(None)


class Bell:
    """Rings for everybody who waits; nobody who looked before the ring misses it."""

    def __init__(self) -> None:
        """Begin unrung."""
        self._rings = 0
        self._awaited: asyncio.Event | None = None

    def ring(self, _payload: str | None = None) -> None:
        """Wake everybody who waits."""
        self._rings += 1
        if self._awaited is not None:
            self._awaited.set()
            self._awaited = None

    def rings(self) -> int:
        """Count the rings so far; take it before looking at what the bell is about."""
        return self._rings

    async def wait_past(self, rings: int, timeout: float) -> bool:  # noqa: ASYNC109 - a bound, not a cancellation
        """Wait up to ``timeout`` seconds for a ring after the first ``rings``; tell whether there was one."""
        if self._rings > rings:
            return True
        if self._awaited is None:
            self._awaited = asyncio.Event()
        try:
            async with asyncio.timeout(timeout):
                await self._awaited.wait()
        except TimeoutError:
            return False
        return True

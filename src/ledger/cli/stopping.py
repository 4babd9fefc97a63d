"""How the service is told to stop: the first signal drains it, the second one ends it."""

import asyncio
import os
import signal
from types import FrameType
from typing import Final

from ledger.store.local_postgres.server import LocalPostgres

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
EXIT_OF_SIGNAL: Final = 128


class Stopping:
    """Listens for signals from its making on; make it inside the running loop, in the main thread."""

    def __init__(self) -> None:
        """Take over SIGINT and SIGTERM."""
        self.signal: int | None = None
        self.server: LocalPostgres | None = None
        """The embedded PostgreSQL of this process, which must not outlive it."""
        self._asked = asyncio.Event()
        self._is_started = False
        self._loop = asyncio.get_running_loop()
        self._starting = asyncio.current_task()
        # Not the loop's own handlers: these also run while the loop is busy.
        for number in SIGNALS:
            signal.signal(number, self._heard)

    async def asked(self) -> None:
        """Wait until somebody wants us to stop."""
        await self._asked.wait()

    def started(self) -> None:
        """Say that a signal no longer interrupts the start, but is waited for by ``asked``."""
        self._is_started = True

    @property
    def exit_code(self) -> int:
        """Give the exit code of a start that a signal interrupted, as a shell would."""
        return EXIT_OF_SIGNAL + (self.signal or signal.SIGTERM)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            self._stop_at_once(number)
        self.signal = number
        self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._asked.set()
        if not self._is_started and self._starting is not None:
            self._starting.cancel()

    def _stop_at_once(self, number: int) -> None:
        """Leave without goodbye; PostgreSQL stops without a checkpoint, and recovers at its next start."""
        if self.server is not None and self.server.is_alive:
            os.kill(self.server.pid, signal.SIGQUIT)
        os._exit(EXIT_OF_SIGNAL + number)

"""A clock that does not believe a leap at once (ADR 0022)."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

log = structlog.get_logger()

TOLERANCE: Final = timedelta(seconds=1)
PATIENCE_SECONDS: Final = 60.0
"""For so long a clock that has leapt forward must stay there before it is believed."""
BOOT: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def ticks() -> float:
    """Count the seconds since this machine was started, also those in which it slept, where the system tells them."""
    return time.monotonic() if BOOT is None else time.clock_gettime(BOOT)


class SteadyClock:
    """This machine's clock; a leap forward counts once it has lasted a minute, and one backward at once.

    So what it says is never early because of a mistake that is put right within a minute.
    """

    def __init__(self, clock: Callable[[], datetime], ticks: Callable[[], float] = ticks) -> None:
        """Believe ``clock`` as it is now; ``ticks`` never leap."""
        self._clock, self._ticks = clock, ticks
        self._wall, self._tick = clock(), ticks()
        self._leapt_at: float | None = None

    def __call__(self) -> datetime:
        """Say what time it is."""
        wall, tick = self._clock(), self._ticks()
        expected = self._wall + timedelta(seconds=tick - self._tick)
        if wall > expected + TOLERANCE and not self._has_lasted(tick):
            if self._leapt_at is None:
                self._leapt_at = tick
                log.warning("clock.leapt", seconds=(wall - expected).total_seconds())
            return expected
        self._wall, self._tick, self._leapt_at = wall, tick, None
        return wall

    def _has_lasted(self, tick: float) -> bool:
        return self._leapt_at is not None and tick - self._leapt_at >= PATIENCE_SECONDS

"""A circuit breaker: whoever does not answer is left alone for a while, then asked by one, then by everybody again.

Theory. Closed, every call goes through, and failures in a row are counted. Enough of them open it: calls are turned
away until its rest is over. From then on it is half open: one call goes through to see, and all others are turned away
as before. If that one is answered the breaker closes; if it fails, the next rest begins; if it is broken off, it has
said nothing and another one may try. What comes of a call that began before the breaker last changed says nothing
new and counts for nothing: a late answer does not close it, a late failure makes no rest longer.

Everything happens in one event loop and nothing is awaited here, so there is no lock (ADR 0033).
"""

import time
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

import structlog
from opentelemetry import metrics

log = structlog.get_logger()

_breakers = metrics.get_meter("ledger.limiting").create_gauge(
    "ledger_circuit_breakers", description="Circuit breakers, by what they guard and how they stand"
)


class BreakerState(StrEnum):
    """How a breaker stands; label values of metrics."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


class Breaker:
    """The breaker of one thing that this process asks."""

    def __init__(
        self,
        guards: str,
        *,
        failures: int,
        rest_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open after so many ``failures`` in a row, for ``rest_seconds``; ``guards`` is its name in the log."""
        self.guards: Final = guards
        self._most, self._rest, self._clock = failures, rest_seconds, clock
        self._failures = 0
        self._opened_at: float | None = None
        self._changes = 0
        self._is_probed = False

    @property
    def state(self) -> BreakerState:
        """Tell how it stands now."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        is_over = self._clock() - self._opened_at >= self._rest
        return BreakerState.HALF_OPEN if is_over else BreakerState.OPEN

    def call(self) -> "BreakerCall | None":
        """Let a call through; ``None``: it is turned away. What comes of it is told to what is given, in its block."""
        match self.state:
            case BreakerState.CLOSED:
                return BreakerCall(self, self._changes)
            case BreakerState.HALF_OPEN if not self._is_probed:
                self._is_probed = True
                return BreakerCall(self, self._changes)
            case _:
                return None

    def settle(self, began: int, *, is_answered: bool | None) -> None:
        """Take what came of a call; ``None``: it was broken off."""
        if began != self._changes:
            return
        if is_answered is None:
            self._is_probed = False
        elif is_answered:
            self._close()
        else:
            self._failed()

    def _close(self) -> None:
        self._failures = 0
        if self._opened_at is not None:
            self._change(None)
            log.info("breaker.closed", breaker=self.guards)

    def _failed(self) -> None:
        self._failures += 1
        if self._opened_at is None and self._failures < self._most:
            return
        if self._opened_at is None:  # said once, not after each rest
            log.warning("breaker.opened", breaker=self.guards, failures=self._failures, seconds=self._rest)
        self._change(self._clock())

    def _change(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._changes += 1
        self._is_probed = False


class BreakerCall:
    """A call that was let through: tell it ``answered`` or ``failed`` before its block ends; else it was broken off."""

    def __init__(self, breaker: Breaker, began: int) -> None:
        """Begin while ``breaker`` has changed ``began`` times."""
        self._breaker, self._began = breaker, began
        self._is_answered: bool | None = None

    def answered(self) -> None:
        """Say that an answer came."""
        self._is_answered = True

    def failed(self) -> None:
        """Say that none came."""
        self._is_answered = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell the breaker."""
        self._breaker.settle(self._began, is_answered=self._is_answered)


def measure(guards: str, *, closed: int = 0, half_open: int = 0, opened: int = 0) -> None:
    """Set the gauge of all breakers of one kind: how many stand how."""
    for state, count in (
        (BreakerState.CLOSED, closed),
        (BreakerState.HALF_OPEN, half_open),
        (BreakerState.OPEN, opened),
    ):
        _breakers.set(count, {"guards": guards, "state": state.value})

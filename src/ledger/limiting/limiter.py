"""The one place where something is counted against a rate.

Every count is kept in this process first and, where there is a Redis, there as well. So a refusal of ours needs
nobody else, and when Redis goes away the count does not begin at zero.
"""

import math
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TypeAlias, TypeVar

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from ledger.limiting.breaker import BreakerState, measure
from ledger.limiting.rates import Quota, Rate
from ledger.limiting.shared import Shared
from ledger.limiting.windows import Windows

T = TypeVar("T")
Backend: TypeAlias = Windows | RedisStorage


class Limiter:
    """Counts against rates; keys are opaque, never a name or an address."""

    def __init__(self, *, clock: Callable[[], float] = time.time, shared: Shared | None = None) -> None:
        """Count by ``clock`` in this process, and in ``shared`` as well."""
        self._clock = clock
        self._here = Windows(clock)
        self._shared = shared

    async def count(self, rate: Rate, key: str) -> Quota | None:
        """Count one, in fixed windows that begin with their first; ``None``: it is one too many."""
        name = _name(rate, key)
        here = self._here.add(name, rate.seconds)  # every request comes by here
        number, ends_at = here.number, here.ends_at
        if self._shared is not None:
            there = await self._shared.ask(lambda storage: storage.incr(name, rate.seconds))
            number = max(number, there or 0)
        if number > rate.amount:
            return None
        left = math.ceil(ends_at - self._clock())
        return Quota(rate=rate, remaining=rate.amount - number, reset_seconds=left)

    async def enter(self, rate: Rate, key: str) -> bool:
        """Count one, in a window that moves; ``False``: it is one too many and was not counted."""
        item = _moving(rate)
        entered = await self._everywhere(
            lambda storage: MovingWindowRateLimiter(storage).hit(item, rate.name, key)
        )
        return all(entered)

    async def seconds_to_window(self, rate: Rate, key: str) -> int:
        """Tell how long a fixed window goes on, at least 1 second."""
        name = _name(rate, key)
        ends = await self._everywhere(lambda storage: storage.get_expiry(name))
        return max(1, math.ceil(max(ends) - self._clock()))

    async def seconds_to_entry(self, rate: Rate, key: str) -> int:
        """Tell in how many seconds ``enter`` would let one in; 0: now."""
        item = _moving(rate)
        stats = await self._everywhere(
            lambda storage: MovingWindowRateLimiter(storage).get_window_stats(item, rate.name, key)
        )
        waits = [math.ceil(one.reset_time - self._clock()) for one in stats if one.remaining <= 0]
        return max(waits, default=0)

    async def forget(self, rate: Rate, key: str) -> None:
        """Forget what was counted."""
        item = _moving(rate)
        await self._everywhere(lambda storage: _cleared(storage, item, rate.name, key))

    async def is_alone(self) -> bool:
        """Tell whether this process counts for itself although there is a Redis to count in; may look for it."""
        if self._shared is None:
            return False
        await self._shared.look()
        return self._shared.is_away

    def measure(self) -> None:
        """Set the gauge of the breaker; without a Redis there is none."""
        if self._shared is not None:
            state = self._shared.breaker.state
            measure(
                self._shared.breaker.guards,
                closed=int(state is BreakerState.CLOSED),
                half_open=int(state is BreakerState.HALF_OPEN),
                opened=int(state is BreakerState.OPEN),
            )

    async def stop(self) -> None:
        """Close what is open."""
        if self._shared is not None:
            await self._shared.stop()

    async def _everywhere(self, question: Callable[[Backend], Awaitable[T]]) -> tuple[T, ...]:
        here = await question(self._here)
        if self._shared is None:
            return (here,)
        there = await self._shared.ask(question)
        return (here,) if there is None else (here, there)


async def _cleared(storage: Backend, item: RateLimitItem, name: str, key: str) -> bool:
    await MovingWindowRateLimiter(storage).clear(item, name, key)
    return True


@lru_cache(maxsize=4096)
def _name(rate: Rate, key: str) -> str:
    """Name the count of a fixed window."""
    return RateLimitItemPerSecond(rate.amount, rate.seconds, namespace="fixed").key_for(rate.name, key)


def _moving(rate: Rate) -> RateLimitItem:
    return RateLimitItemPerSecond(rate.amount, rate.seconds, namespace="moving")

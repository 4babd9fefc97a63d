"""Counts of all processes, in a Redis; while it is away each process goes on with its own.

Three failures in a row open its breaker for five seconds; then one caller asks while all others go on without, and the
first answer closes it. So a Redis that hangs costs one request in five seconds half a second, and the others nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from limits.aio.storage import RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from opentelemetry import metrics
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger.limiting.breaker import Breaker, BreakerState

log = structlog.get_logger()

T = TypeVar("T")

PATIENCE_SECONDS: Final = 0.5
CONNECTIONS: Final = 8
GUARDS: Final = "redis"
LOOK: Final = "look"
"""A key that nobody counts under."""
FAILURES: Final = 3
OPEN_SECONDS: Final = 5.0
AWAY: Final = (RedisError, OSError, TimeoutError)

_meter = metrics.get_meter("ledger.limiting")
_outages = _meter.create_counter(
    "ledger_limits_redis_outages", description="Times the limits lost their Redis and went on by process"
)
_is_shared = _meter.create_gauge(
    "ledger_limits_shared", description="1 while limits count over all processes, 0 while Redis is away"
)


class Shared:
    """A Redis that may be away."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use the Redis at ``url``; every key begins with ``prefix``. Nothing is asked of it yet.

        An answer that takes more than ``patience`` seconds is none.
        """
        self.breaker = Breaker(GUARDS, failures=FAILURES, rest_seconds=OPEN_SECONDS, clock=clock)
        self.storage = RedisStorage(f"async+{url}", implementation="redispy", key_prefix=prefix)
        self._patience = patience
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self.is_away = False
        """Whether limits count by process, because the last question was not answered."""
        _is_shared.set(1)

    async def ask(self, question: Callable[[RedisStorage], Awaitable[T]]) -> T | None:
        """Ask, with patience; ``None``: it is away, which is said once."""
        if self.breaker.state is BreakerState.OPEN:  # nobody queues for that
            return None
        async with self._turns:
            call = self.breaker.call()
            if call is None:
                return None
            with call:
                try:
                    async with asyncio.timeout(self._patience):
                        answer = await question(self.storage)
                except AWAY as failed:
                    call.failed()
                    self._say_away(failed)
                    return None
                call.answered()
        if self.breaker.state is BreakerState.CLOSED:  # a late answer changes nothing
            self._say_back()
        return answer

    async def look(self) -> None:
        """Ask whether it is back, if it is away and it is time to ask."""
        if self.is_away:
            await self.ask(lambda storage: storage.get(LOOK))

    async def stop(self) -> None:
        """Close its connections."""
        bridge = self.storage.bridge
        client: object = bridge.get_connection() if isinstance(bridge, RedispyBridge) else None
        if isinstance(client, Redis):
            await client.aclose()

    def _say_away(self, failed: Exception) -> None:
        if not self.is_away:
            self.is_away = True
            _outages.add(1)
            _is_shared.set(0)
            log.warning("limits.redis.away", error=type(failed).__name__, advice="limits go on by process")

    def _say_back(self) -> None:
        if self.is_away:
            self.is_away = False
            _is_shared.set(1)
            log.info("limits.redis.back")

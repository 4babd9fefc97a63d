"""Counts of all processes, in a Redis; while it is away each process goes on with its own.

Theory: a breaker of two numbers. Three failures in a row open it for five seconds; then whoever comes asks
again, and the first answer closes it. (The breaker library that we tried raises one and the same exception
object for every call it turns away, whose traceback grows with each of them.)
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

log = structlog.get_logger()

T = TypeVar("T")

PATIENCE_SECONDS: Final = 0.5
CONNECTIONS: Final = 8
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

    def __init__(self, url: str, *, prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Use the Redis at ``url``; every key begins with ``prefix``. Nothing is asked of it yet."""
        self._clock = clock
        self.storage = RedisStorage(f"async+{url}", implementation="redispy", key_prefix=prefix)
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._failures = 0
        self._opened_at = float("-inf")
        self._is_away = False
        _is_shared.set(1)

    async def ask(self, question: Callable[[RedisStorage], Awaitable[T]]) -> T | None:
        """Ask, for at most half a second; ``None``: it is away, which is said once."""
        async with self._turns:
            if self._is_open():
                return None
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    answer = await question(self.storage)
            except AWAY as failed:
                self._failed(failed)
                return None
        self._answered()
        return answer

    async def stop(self) -> None:
        """Close its connections."""
        bridge = self.storage.bridge
        client: object = bridge.get_connection() if isinstance(bridge, RedispyBridge) else None
        if isinstance(client, Redis):
            await client.aclose()

    def _is_open(self) -> bool:
        return self._clock() - self._opened_at < OPEN_SECONDS

    def _failed(self, failed: Exception) -> None:
        self._failures += 1
        if self._failures >= FAILURES:
            self._opened_at = self._clock()
        if not self._is_away:
            self._is_away = True
            _outages.add(1)
            _is_shared.set(0)
            log.warning("limits.redis.away", error=type(failed).__name__, advice="limits go on by process")

    def _answered(self) -> None:
        self._failures = 0
        if self._is_away:
            self._is_away = False
            _is_shared.set(1)
            log.info("limits.redis.back")

"""Limiters by a clock that stands still, and over a Redis of the test's own."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest

from ledger.limiting.shared import Shared
from tests.support.redis import HANG_GUARD, RedisServer, redis_server


class Seconds:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


class Over(Protocol):
    """Makes what a process has of the test's Redis."""

    def __call__(self, *, patience: float = ..., clock: Callable[[], float] = ...) -> Shared: ...


@pytest.fixture
async def over(redis: RedisServer) -> AsyncIterator[Over]:
    """As a process would use it, but with the patience of a slow machine; closed whatever comes of the test."""
    async with AsyncExitStack() as stack:

        def shared(*, patience: float = HANG_GUARD, clock: Callable[[], float] = time.monotonic) -> Shared:
            made = Shared(redis.url, prefix="ledger:test", patience=patience, clock=clock)
            stack.push_async_callback(made.stop)
            return made

        yield shared

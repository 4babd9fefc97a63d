"""Counts of this process: exact, because nothing is awaited between reading and writing one.

The memory storage that the limits package brings looks through everything it holds after every single hit,
with a hop to a thread for each key of a moving window: a flood of guesses would keep the event loop busy with
that alone. This one forgets what has expired once in a while.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
from limits.aio.storage import MovingWindowSupport, Storage

SWEEP_SECONDS: Final = 30.0


class Count(msgspec.Struct):
    """What was counted in a window, and when that ends."""

    number: int
    ends_at: float


class _Entries(msgspec.Struct):
    """The moments of hits, the oldest first; forgotten from ``ends_at`` on."""

    moments: deque[float]
    ends_at: float


class Windows(Storage, MovingWindowSupport):
    """Fixed windows (``incr``) and moving ones (``acquire_entry``), in memory."""

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float]) -> None:
        """Count by ``clock``, in seconds."""
        super().__init__()
        self._clock = clock
        self._counts: dict[str, Count] = {}
        self._entries: dict[str, _Entries] = {}
        self._swept_at = clock()

    @property
    def base_exceptions(self) -> type[Exception]:
        """Name what may go wrong: nothing."""
        return ValueError

    def add(self, key: str, expiry: int, amount: int = 1) -> Count:
        """Add to a count; the first addition opens a window of ``expiry`` seconds."""
        now = self._now()
        count = self._counts.get(key)
        if count is None or count.ends_at <= now:
            count = self._counts[key] = Count(0, now + expiry)
        count.ends_at = min(count.ends_at, now + expiry)  # the clock may have been put back
        count.number += amount
        return count

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a count, as ``add``."""
        return self.add(key, expiry, amount).number

    async def get(self, key: str) -> int:
        """Read a count."""
        count = self._counts.get(key)
        return 0 if count is None or count.ends_at <= self._clock() else count.number

    async def get_expiry(self, key: str) -> float:
        """Tell when the window of a count ends; now, where there is none."""
        count = self._counts.get(key)
        now = self._clock()
        return now if count is None else max(now, count.ends_at)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Enter ``amount`` hits unless there would be more than ``limit`` in the last ``expiry`` seconds."""
        now = self._now()
        moments = self._inside(key, now, expiry)
        if len(moments) + amount > limit:
            return False
        moments.extend([now] * amount)
        self._entries[key] = _Entries(moments, now + expiry)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Give the moment of the oldest hit in the window (now, where there is none), and how many there are."""
        now = self._clock()
        inside = self._inside(key, now, expiry)
        return (inside[0], min(limit, len(inside))) if inside else (now, 0)

    async def check(self) -> bool:
        """Say that this storage is well."""
        return True

    async def reset(self) -> int | None:
        """Forget everything."""
        held = len(self._counts) + len(self._entries)
        self._counts.clear()
        self._entries.clear()
        return held

    async def clear(self, key: str) -> None:
        """Forget one key."""
        self._counts.pop(key, None)
        self._entries.pop(key, None)

    def _inside(self, key: str, now: float, expiry: int) -> deque[float]:
        """Give the hits in the window; what lies ahead, because the clock was put back, counts as of now."""
        entries = self._entries.get(key)
        if entries is None:
            return deque()
        if entries.moments and entries.moments[-1] > now:
            entries.moments = deque(min(moment, now) for moment in entries.moments)
        while entries.moments and entries.moments[0] <= now - expiry:
            entries.moments.popleft()
        return entries.moments

    def _now(self) -> float:
        now = self._clock()
        if abs(now - self._swept_at) >= SWEEP_SECONDS:
            self._swept_at = now
            self._counts = {key: one for key, one in self._counts.items() if one.ends_at > now}
            self._entries = {key: one for key, one in self._entries.items() if one.ends_at > now}
        return now

"""Turns on a hot stream: commands of one process on one stream go one after the other.

Without turns they would all decide on the same version, and all but one would collide at the append. Turns spare
that work; they keep nothing safe. What another process does in between is still caught by the expected version.
"""

import asyncio
from weakref import WeakValueDictionary

from ledger.domain.ids import StreamName


class Turns:
    """A lock for every stream that somebody works on right now, first come, first served."""

    def __init__(self) -> None:
        """Begin with nobody at work."""
        self._locks: WeakValueDictionary[StreamName, asyncio.Lock] = WeakValueDictionary()

    def on(self, stream: StreamName) -> asyncio.Lock:
        """Give the lock of a stream; hold on to it for as long as it is used."""
        lock = self._locks.get(stream)
        if lock is None:
            lock = self._locks[stream] = asyncio.Lock()
        return lock

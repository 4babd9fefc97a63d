"""Everything that goes out while it happens, to whoever is connected to this process."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Final

from ledger.delivery.news import MAX_STREAMS, News
from ledger.delivery.switchboard import Switchboard
from ledger.delivery.waiting import MAX_WAITERS, Waiters
from ledger.identity.following import Following
from ledger.store.ledger import Ledger

GOODBYE_SECONDS: Final = 2.0
"""How long those who stay connected may take to hear that this process takes its leave."""


class Live:
    """Those who follow events, those who wait for an answer, and those whom alerts go to."""

    def __init__(
        self,
        ledger: Ledger,
        following: Following,
        *,
        max_streams: int = MAX_STREAMS,
        max_waiters: int = MAX_WAITERS,
    ) -> None:
        """Prepare for so many of each; nobody is told anything before the ``tasks`` go on."""
        self.news = News(ledger, max_streams=max_streams)
        self.waiters = Waiters(ledger, max_waiters=max_waiters)
        self.switchboard = Switchboard()
        self._guests: set[Callable[[], None]] = set()
        self.news.on(self.waiters.hear)
        following.on_taken_away(self.news.alarm)

    def tasks(self) -> Iterator[tuple[str, Callable[[], Coroutine[None, None, None]]]]:
        """Name what has to go on for as long as the process serves."""
        yield "news", self.news.run_forever
        yield "waiters", self.waiters.run_forever

    def connected(self) -> int:
        """Count everybody whom ``close`` will send away."""
        return self.news.listeners() + self.waiters.waiting()

    @contextmanager
    def staying(self, hang_up: Callable[[], None]) -> Iterator[None]:
        """Serve somebody who stays connected for the time of the block; ``hang_up`` ends their connection at once."""
        self._guests.add(hang_up)
        try:
            yield
        finally:
            if not self.news.is_over:  # else they may not have read the goodbye
                self._guests.discard(hang_up)

    def close(self) -> None:
        """Say goodbye to everybody, so that a stop need not wait for them; who does not read is hung up on after 2 seconds."""
        self.news.close()
        self.waiters.close()
        asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self._hang_up)

    def _hang_up(self) -> None:
        for hang_up in self._guests:
            hang_up()

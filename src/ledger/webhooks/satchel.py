"""What one process has taken on to send: what waits in here for its turn, what is on its way, what came of the rest.

Theory. To lease is a transaction, and so is to write down what came of an attempt: both cost as much for one message as
for fifty. So outcomes are kept until they are written down together, and of a webhook more messages are leased than may
be on their way: twice as many as have just arrived there, which is about as many as arrive until the next time.

What waits in here is out of everybody's reach: a pause, another URL, another worker. So nothing is leased ahead for a
receiver that does not take what it gets: what still waits when an attempt fails, or for a second, is given back unsent.
"""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ledger.domain.ids import MessageId, WebhookId
from ledger.webhooks.outcomes import Attempt
from ledger.webhooks.queue import AT_ONCE, Leased
from ledger.webhooks.sending import GONE, MOST_CONNECTIONS

IN_FLIGHT: Final = 32
"""How many messages one process sends side by side, not counting those that take long."""
SLOW_SECONDS: Final = 1.0
"""An attempt that takes longer gives its place to others: a receiver that hangs holds up nobody but itself."""
MOST_IN_FLIGHT: Final = MOST_CONNECTIONS
"""How many there may be in all: more than begin in the ten seconds until the first is broken off, if all receivers hang."""
MOST_AHEAD: Final = 96
"""How many messages of one webhook are leased beyond those that may be on their way."""
FRESH_SECONDS: Final = 1.0
"""How long a leased message may wait for its turn: the rest of its lease must be enough for an attempt."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written down: attempts that have ended, in that order, and messages that are given back."""

    ended: tuple[Attempt, ...]
    returned: tuple[MessageId, ...]

    def gone(self) -> set[WebhookId]:
        """Name the webhooks whose receiver wants nothing more."""
        return {one.leased.webhook for one in self.ended if one.outcome.status == GONE}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages there is room for, and how many of them may be of which webhook beyond its places."""

    limit: int
    ahead: Mapping[WebhookId, int]


class _Waiting(msgspec.Struct, frozen=True):
    leased: Leased
    since: float


class Satchel:
    """One process's messages, until what came of them is written down; times are those of the monotonic clock."""

    def __init__(self, *, in_flight: int = IN_FLIGHT, slow_seconds: float = SLOW_SECONDS) -> None:
        """Begin without any."""
        self._in_flight, self._slow = in_flight, slow_seconds
        self._held = set[MessageId]()
        self._waiting: dict[WebhookId, deque[_Waiting]] = {}
        self._under_way: dict[MessageId, float] = {}  # when it began, the oldest first
        self._busy = Counter[WebhookId]()
        self._ended: list[Attempt] = []
        self._returned: list[MessageId] = []

    def put(self, leased: Sequence[Leased], *, since: float) -> None:
        """Take what was leased, not before ``since``; but not what is in here already, its lease slept through."""
        for one in leased:
            if one.message not in self._held:
                self._held.add(one.message)
                self._waiting.setdefault(one.webhook, deque()).append(_Waiting(one, since))

    def begin(self) -> Leased | None:
        """Choose what is sent next, webhooks in turn, and give it a place; ``None``: there is no room, or nothing."""
        self._return_stale()
        if self._room() <= 0:
            return None
        for webhook, waiting in self._waiting.items():
            if self._busy[webhook] < AT_ONCE:
                leased = waiting.popleft().leased
                del self._waiting[webhook]
                if waiting:
                    self._waiting[webhook] = waiting
                self._busy[webhook] += 1
                self._under_way[leased.message] = time.monotonic()
                return leased
        return None

    def end(self, leased: Leased, attempt: Attempt | None) -> None:
        """Keep what came of an attempt; ``None``: nobody knows, and it is sent again when its lease has run out."""
        del self._under_way[leased.message]
        self._busy[leased.webhook] -= 1
        if not self._busy[leased.webhook]:
            del self._busy[leased.webhook]
        if attempt is None:
            self._held.discard(leased.message)
        else:
            self._ended.append(attempt)
        if attempt is None or not attempt.outcome.is_delivered():
            self._return(leased.webhook)

    def unwritten(self) -> Batch:
        """Give what is to be written down now; it is kept until that is ``written``."""
        self._return_stale()
        return Batch(ended=tuple(self._ended), returned=tuple(self._returned))

    def written(self, batch: Batch) -> None:
        """Forget what has been written down."""
        del self._ended[: len(batch.ended)]
        del self._returned[: len(batch.returned)]
        self._held.difference_update(one.leased.message for one in batch.ended)
        self._held.difference_update(batch.returned)

    def wish(self, batch: Batch) -> Wish:
        """Say how much may be leased when a batch is written down."""
        arrived = Counter(one.leased.webhook for one in batch.ended if one.outcome.is_delivered())
        ahead = {webhook: min(2 * count, MOST_AHEAD) for webhook, count in arrived.items()}
        waiting = sum(len(one) for one in self._waiting.values())
        return Wish(limit=max(0, self._room() + sum(ahead.values()) - waiting), ahead=ahead)

    def close(self) -> None:
        """Let nothing more begin: what waits is given back."""
        for webhook in tuple(self._waiting):
            self._return(webhook)

    def _room(self) -> int:
        """Count the places that are free: an attempt that takes long holds none, as long as there are not too many."""
        young, quick = time.monotonic() - self._slow, 0
        for began in reversed(self._under_way.values()):
            if began < young:
                break
            quick += 1
        return max(0, min(self._in_flight - quick, MOST_IN_FLIGHT - len(self._under_way)))

    def _return_stale(self) -> None:
        stale = time.monotonic() - FRESH_SECONDS
        for webhook in [one for one, waiting in self._waiting.items() if waiting[0].since < stale]:
            self._return(webhook)

    def _return(self, webhook: WebhookId) -> None:
        self._returned += [one.leased.message for one in self._waiting.pop(webhook, ())]

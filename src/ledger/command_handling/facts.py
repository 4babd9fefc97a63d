"""What streams say: loaded for one attempt, folded into the states that its command is made of and decided by."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias, TypeVar

from ledger.domain.decider import Decider, fold
from ledger.domain.event import Event
from ledger.domain.ids import StreamName
from ledger.store.lately import is_short
from ledger.store.snapshots import thaw
from ledger.store.streams import Stream, recorded

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)


class Facts:
    """What the target and the read streams said when this attempt began."""

    def __init__(self, now: datetime, streams: Mapping[StreamName, Stream], target: StreamName) -> None:
        """Take the streams as they were read, and the moment of the attempt."""
        self.now = now
        self._streams, self._target = streams, target

    def state(self, decider: Decider[C, S, E], name: StreamName) -> S:
        """Fold one of the streams that were read.

        Raises:
            Corrupt: this release cannot read one of its events.
        """
        if name == self._target:
            return state_of(decider, self._streams[name])
        return state_asked_often(decider, self._streams[name])


Build: TypeAlias = Callable[[Facts], C]
"""Makes the command of what was loaded; may refuse, once an attempt."""


def state_of(decider: Decider[C, S, E], stream: Stream) -> S:
    """Fold a stream, from its snapshot if it was loaded with one.

    Raises:
        Corrupt: this release cannot read one of its events.
    """
    start = None if stream.snapshot is None else thaw(decider, stream.snapshot)
    return fold(decider, (recorded(stored, decider.event_types).event for stored in stream.events), start)


def state_asked_often(decider: Decider[C, S, E], stream: Stream) -> S:
    """As ``state_of``, for callers and policies: the same few streams for one command after the other.

    Raises:
        Corrupt: this release cannot read one of its events.
    """
    if not is_short(stream):
        return state_of(decider, stream)
    state: S = _remembered(decider, stream)
    return state


@lru_cache(maxsize=2048)
def _remembered(decider: Decider[C, S, E], stream: Stream) -> S:
    """Remember a state by all that it was folded from: the same events give the same state."""
    return state_of(decider, stream)

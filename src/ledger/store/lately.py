"""What streams said when they were last read: good enough to try by, because every append checks what it relied on."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ledger.domain.ids import StreamName
from ledger.store.streams import Stream

MAX_HELD: Final = 2048
MAX_BYTES: Final = 16 * 1024


def is_short(stream: Stream) -> bool:
    """Say whether a stream is worth holding: one of a caller, a kind or a policy, as nearly all of them are."""
    return sum(len(stored.payload or b"") for stored in stream.events) <= MAX_BYTES


class Lately:
    """Short streams that commands rely on, as they were read; some are out of date at any time.

    An append checks their versions, and a version says what is in a stream as long as the log only grows. Should
    a standby take over that had not received all, it may hold other events by the same numbers.
    """

    def __init__(self, is_followed: Callable[[], bool]) -> None:
        """Begin with none; give some only while the log ``is_followed``, so that it is known to have gone on."""
        self.times_cleared = 0
        """Whoever reads while this grows may have read of another log, and notes nothing."""
        self._is_followed = is_followed
        self._held: OrderedDict[StreamName, Stream] = OrderedDict()

    def note(self, streams: Iterable[Stream]) -> None:
        """Keep streams as they have just been read."""
        for stream in streams:
            if is_short(stream):
                self._held[stream.name] = stream
                self._held.move_to_end(stream.name)
        while len(self._held) > MAX_HELD:
            self._held.popitem(last=False)

    def all_of(self, names: Sequence[StreamName]) -> dict[StreamName, Stream] | None:
        """Give all of these streams; ``None``: one is not held, or nobody knows of which log they are."""
        if not self._is_followed():
            return None
        found = {name: stream for name in names if (stream := self._held.get(name)) is not None}
        return found if len(found) == len(set(names)) else None

    def forget(self, names: Iterable[StreamName]) -> None:
        """Forget what has turned out to be out of date."""
        for name in names:
            self._held.pop(name, None)

    def clear(self) -> None:
        """Forget all: another log may be read from now on."""
        self.times_cleared += 1
        self._held.clear()

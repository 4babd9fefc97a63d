"""What the entries of the log say together: each stream is a chain, and no event is there twice."""

from array import array
from itertools import pairwise
from typing import Final

import msgspec

from ledger.verifier.envelope import Envelope, parse_envelope
from ledger.verifier.verdict import Tampered

BUCKETS: Final = 256


class StreamBroken(Tampered):
    """An event does not go on from the one before it in its stream.

    Context: ``position``, ``stream``, ``version``, and the version ``before``.
    """

    code = "stream-broken"


class OtherLedger(Tampered):
    """An event belongs to another ledger than the first one.

    Context: ``position``, ``stream``.
    """

    code = "other-ledger"


class EventTwice(Tampered):
    """Two events have one id.

    Context: the ``position`` and ``stream`` of the second, and the ``event_id``.
    """

    code = "event-twice"


class End(msgspec.Struct, frozen=True, gc=False):
    """The last event of a stream so far."""

    version: int
    leaf: str


class Chain:
    """Takes the entries of the log in their order.

    It holds the end of each stream, eight bytes of each event's id, and nothing else.
    """

    def __init__(self, *, first: int) -> None:
        """Begin at the position ``first``; 1: at the beginning, where every stream has to begin as well."""
        self.first = first
        self.next = first
        self.joined: set[str] = set()
        """Streams that began before ``first``: their first event here is taken as it is."""
        self.command_began = ""
        """The first event's id of the command that the last event came from; empty: it began before ``first``."""
        self._command = ""
        self._ledger = 0
        self._ends: dict[str, End] = {}
        self._ids = [array("Q") for _ in range(BUCKETS)]

    @property
    def streams(self) -> int:
        """Count the streams."""
        return len(self._ends)

    def take(self, entry: bytes, leaf: bytes) -> Envelope:
        """Check the next entry, whose hash is ``leaf``, against all before it.

        Raises:
            EnvelopeMalformed, StreamBroken, OtherLedger: it does not fit.
        """
        position = self.next
        envelope = parse_envelope(entry, position)
        stream = envelope.stream
        end = self._ends.get(stream)
        if end is None:
            self._begin(envelope, position)
        elif envelope.version != end.version + 1 or envelope.prev != end.leaf:
            raise StreamBroken(position=position, stream=stream, version=envelope.version, before=end.version)
        if envelope.ledger != self._ledger:
            if self._ledger:
                raise OtherLedger(position=position, stream=stream)
            self._ledger = envelope.ledger
        self._ends[stream] = End(envelope.version, leaf.hex())
        self._remember(envelope)
        self.next = position + 1
        return envelope

    def doubtful(self) -> set[int]:
        """Name the ids, by their last 64 bits, that may be there twice: two in many millions may agree by chance."""
        found = set[int]()
        for bucket in self._ids:
            ordered = sorted(bucket)
            found.update(one for one, other in pairwise(ordered) if one == other)
        return found

    def _begin(self, envelope: Envelope, position: int) -> None:
        if envelope.version == 1 and not envelope.prev:
            return
        if self.first == 1 or envelope.version == 1 or not envelope.prev:
            raise StreamBroken(position=position, stream=envelope.stream, version=envelope.version, before=0)
        self.joined.add(envelope.stream)

    def _remember(self, envelope: Envelope) -> None:
        mark = id_mark(envelope.event_id)
        self._ids[mark % BUCKETS].append(mark)
        if envelope.command_id != self._command:
            is_first = self._command or self.first == 1
            self.command_began = envelope.event_id if is_first else ""
            self._command = envelope.command_id


def id_mark(event_id: str) -> int:
    """Shorten an event's id to 64 bits, all but two of which tell ids apart."""
    return int(event_id[19:23] + event_id[24:], 16)


class Doubles:
    """Looks at events once more for those whose shortened ids were there twice."""

    def __init__(self, doubtful: set[int]) -> None:
        """Look for these."""
        self._doubtful = doubtful
        self._seen: set[str] = set()

    def take(self, entry: bytes, position: int) -> None:
        """Look at the next entry.

        Raises:
            EventTwice: its id was there before.
        """
        envelope = parse_envelope(entry, position)
        if id_mark(envelope.event_id) not in self._doubtful:
            return
        if envelope.event_id in self._seen:
            raise EventTwice(position=position, stream=envelope.stream, event_id=envelope.event_id)
        self._seen.add(envelope.event_id)

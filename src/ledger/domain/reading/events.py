"""What somebody reads in the history.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).
"""

from typing import TypeAlias

import msgspec

from ledger.domain.event import Event, Utc
from ledger.domain.ids import Digest, PersonId, Position, SessionId


class Filter(msgspec.Struct, frozen=True):
    """Something that was asked for by name: a type, a stream, an actor's id, a time, a position."""

    name: str
    value: str


class Query(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked: which ``call``, and of what; decisions by their streams, people by their ids.

    ``words`` stands for a text that was searched for: an HMAC under the ledger's own key, so that equal searches can
    be told, and the text is not kept (``None``: none was).
    """

    call: str
    filters: tuple[Filter, ...] = ()
    words: Digest | None = None


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """How much was given: answers or files begun, events in them, between which positions (``None``: none)."""

    reads: int
    events: int
    first: Position | None
    last: Position | None


class HistoryRead(Event, frozen=True, kw_only=True, tag="history-read"):
    """Somebody read, from ``since`` to ``until``, what the query gives: the first time at once, then sums.

    At most one sum a minute for each query of a session; it counts what came since the one before.
    """

    person: PersonId
    session: SessionId
    query: Query
    extent: Extent
    since: Utc
    until: Utc


ReadingEvent: TypeAlias = HistoryRead

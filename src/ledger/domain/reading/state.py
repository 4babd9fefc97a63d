"""How much somebody has read in a session.

The legal moves, by state and command; the guards in ``decide`` may still refuse.
``tests/domain/test_legal_moves.py`` walks it.

    Unread  ReadHistory   HistoryRead
    Unread  SumUpReading  HistoryRead
    Reader  ReadHistory   HistoryRead
    Reader  SumUpReading  HistoryRead
"""

from typing import TypeAlias

import msgspec

from ledger.domain.event import Utc
from ledger.domain.ids import PersonId
from ledger.domain.reading.events import ReadingEvent


class Unread(msgspec.Struct, frozen=True, tag="unread"):
    """Nobody has read anything in this session."""


class Reader(msgspec.Struct, frozen=True, kw_only=True, tag="reader"):
    """Somebody has: so many answers with so many events, the last ones until then."""

    person: PersonId
    reads: int
    events: int
    until: Utc


ReadingState: TypeAlias = Unread | Reader


def evolve(state: ReadingState, event: ReadingEvent) -> ReadingState:
    """Apply what happened."""
    before = state if isinstance(state, Reader) else None
    return Reader(
        person=event.person,
        reads=event.extent.reads + (0 if before is None else before.reads),
        events=event.extent.events + (0 if before is None else before.events),
        until=event.until if before is None else max(event.until, before.until),
    )

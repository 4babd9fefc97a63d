"""What was read of the history and what is to be told of it: ``history_read(events=3)``, ``read_history(by=ADA)``."""

from datetime import datetime
from typing import Final

from ledger.domain.authority import Authority
from ledger.domain.ids import Digest, PersonId, Position
from ledger.domain.reading.commands import ReadHistory, SumUpReading
from ledger.domain.reading.events import Extent, Filter, HistoryRead, Query
from tests.builders.people import AUDREY, NOW, acting, later, session_of

QUERY: Final = Query(
    call="events",
    filters=(Filter("type", "vote-cast"), Filter("from", "2026-03-01T00:00:00Z")),
    words=Digest("d" * 64),
)


def extent(*, reads: int = 1, events: int = 2) -> Extent:
    return Extent(reads=reads, events=events, first=Position(7), last=Position(9))


def history_read(
    person: PersonId = AUDREY, *, reads: int = 1, events: int = 2, since: datetime = NOW, at: datetime = NOW
) -> HistoryRead:
    return HistoryRead(
        at=at,
        person=person,
        session=session_of(person),
        query=QUERY,
        extent=extent(reads=reads, events=events),
        since=since,
        until=at,
    )


def read_history(*, by: PersonId | Authority = AUDREY, now: datetime = NOW) -> ReadHistory:
    return ReadHistory(now=now, by=acting(by), query=QUERY, extent=extent())


def sum_up_reading(*, reads: int = 3, events: int = 40, now: datetime | None = None) -> SumUpReading:
    return SumUpReading(
        now=now or later(60),
        person=AUDREY,
        session=session_of(AUDREY),
        query=QUERY,
        extent=extent(reads=reads, events=events),
        since=NOW,
        until=later(50),
    )

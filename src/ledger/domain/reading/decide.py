"""What is told of who reads the history: whoever may not read it is refused before anything is given."""

from datetime import timedelta
from typing import Final, assert_never

from ledger.domain.authority import Authority, InsufficientPermissions, Role, require
from ledger.domain.decider import Decider
from ledger.domain.ids import SessionId
from ledger.domain.reading.commands import ReadHistory, ReadingCommand, SumUpReading
from ledger.domain.reading.events import HistoryRead, ReadingEvent
from ledger.domain.reading.state import ReadingState, Unread, evolve

OVERSEERS: Final = frozenset({Role.ADMIN, Role.AUDITOR})
TOLD_EVERY: Final = timedelta(minutes=1)


def decide(command: ReadingCommand, state: ReadingState) -> tuple[ReadingEvent, ...]:
    """Say what ``command`` causes.

    Raises:
        Refused: this person may not read the history.
        Unauthenticated: their session has ended.
    """
    del state
    match command:
        case ReadHistory():
            return (_first(command),)
        case SumUpReading():
            return (_sum(command),)
        case _:
            assert_never(command)


def _first(command: ReadHistory) -> HistoryRead:
    session = _session_of(command.by)
    return HistoryRead(
        at=command.now,
        person=command.by.person,
        session=session,
        query=command.query,
        extent=command.extent,
        since=command.now,
        until=command.now,
    )


def _session_of(by: Authority) -> SessionId:
    require(by, OVERSEERS)
    if by.session is None:
        raise InsufficientPermissions(role=by.role.value)
    return by.session


def _sum(command: SumUpReading) -> HistoryRead:
    return HistoryRead(
        at=command.now,
        person=command.person,
        session=command.session,
        query=command.query,
        extent=command.extent,
        since=command.since,
        until=command.until,
    )


READING: Final = Decider[ReadingCommand, ReadingState, ReadingEvent](
    category="reading",
    event_types=(HistoryRead,),
    state_type=ReadingState,
    initial=Unread(),
    decide=decide,
    evolve=evolve,
)
"""What is read of the history in one session, as a value."""

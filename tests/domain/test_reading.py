import pytest
from msgspec.structs import replace

from ledger.domain.authority import InsufficientPermissions, Role, SessionNotLive
from ledger.domain.decider import fold
from ledger.domain.reading.decide import READING
from ledger.domain.reading.events import HistoryRead
from ledger.domain.reading.state import Reader, Unread
from tests.builders import ADA, AUDREY, NOW, SAM, authority, later
from tests.builders.readings import QUERY, extent, history_read, read_history, sum_up_reading
from tests.domain.given import Given


@pytest.mark.parametrize("reader", [AUDREY, ADA])
def test_who_oversees_may_read_and_is_told_of(reader):
    Given(READING).when(read_history(by=reader)).then(history_read(reader))


@pytest.mark.parametrize("role", [Role.ANALYST, Role.VIEWER, Role.SERVICE])
def test_nobody_else_reads_the_history(role):
    Given(READING).when(read_history(by=authority(SAM, role=role))).then_refused(
        InsufficientPermissions, role=role.value
    )


def test_a_session_that_has_ended_reads_nothing():
    by = authority(AUDREY, session_is_live=False)

    Given(READING).when(read_history(by=by)).then_refused(SessionNotLive, session=by.session)


def test_a_key_without_a_session_reads_nothing():
    by = replace(authority(AUDREY, role=Role.AUDITOR), session=None)

    Given(READING).when(read_history(by=by)).then_refused(InsufficientPermissions, role="auditor")


def test_what_more_was_read_is_one_sum():
    (told,) = READING.decide(sum_up_reading(reads=3, events=40), Unread())

    assert told == HistoryRead(
        at=later(60),
        person=AUDREY,
        session=read_history().by.session,
        query=QUERY,
        extent=extent(reads=3, events=40),
        since=NOW,
        until=later(50),
    )


def test_a_reader_is_known_by_how_much_they_have_read():
    assert fold(READING, []) == Unread()
    assert fold(READING, [history_read(), history_read(reads=3, events=40, at=later(60))]) == Reader(
        person=AUDREY, reads=4, events=42, until=later(60)
    )

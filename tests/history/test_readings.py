"""What is read is added up, told once a minute, and kept while it cannot be told."""

from ledger.domain.ids import Position
from ledger.domain.reading.events import Extent, Query
from ledger.history import readings
from ledger.history.readings import Readings, extent_of
from tests.builders import AUDREY, NOW, later, session_of

SESSION = session_of(AUDREY)
QUERY = Query(call="events")
OTHER = Query(call="queue")


def begun(*queries: Query) -> Readings:
    found = Readings()
    for query in queries:
        found.begin(SESSION, query, AUDREY, NOW)
    return found


def read(events: int, *, first: int = 1, reads: int = 1) -> Extent:
    return extent_of([Position(first + number) for number in range(events)], reads=reads)


def test_what_was_never_read_is_to_be_recorded_at_once():
    assert Readings().add(SESSION, QUERY, read(3), NOW) is False
    assert begun(OTHER).add(SESSION, QUERY, read(3), NOW) is False
    assert begun(QUERY).add(session_of(AUDREY, 1), QUERY, read(3), NOW) is False


def test_more_of_the_same_is_one_sum_from_the_first_to_the_last():
    found = begun(QUERY)
    assert found.add(SESSION, QUERY, read(3, first=5), later(10)) is True
    assert found.add(SESSION, QUERY, read(2, first=2), later(20)) is True
    assert found.add(SESSION, QUERY, read(0), later(30)) is True

    (told,) = found.take(later(60))

    assert told.extent == Extent(reads=3, events=5, first=Position(2), last=Position(7))
    assert (told.person, told.session, told.query) == (AUDREY, SESSION, QUERY)
    assert (told.since, told.until, told.now) == (NOW, later(30), later(60))


def test_a_sum_is_told_after_a_minute_and_not_before():
    found = begun(QUERY)
    found.add(SESSION, QUERY, read(1), later(1))

    assert found.take(later(59)) == ()
    assert len(found.take(later(60))) == 1
    assert found.take(later(61)) == ()


def test_all_there_is_can_be_taken_at_once():
    found = begun(QUERY, OTHER)
    found.add(SESSION, QUERY, read(1), later(1))

    (told,) = found.take(later(2), anyway=True)

    assert told.query == QUERY
    assert found.take(later(3), anyway=True) == ()


def test_after_a_minute_without_reading_the_next_time_is_a_first_time():
    found = begun(QUERY)
    assert found.take(later(60)) == ()

    assert found.add(SESSION, QUERY, read(1), later(61)) is False


def test_reading_that_goes_on_is_not_a_first_time_again():
    found = begun(QUERY)
    found.add(SESSION, QUERY, read(1), later(50))
    found.take(later(60))

    assert found.add(SESSION, QUERY, read(1), later(61)) is True
    (told,) = found.take(later(120))
    assert (told.since, told.until) == (later(60), later(61))


def test_what_could_not_be_told_is_told_with_what_came_since():
    found = begun(QUERY)
    found.add(SESSION, QUERY, read(2), later(5))
    (untold,) = found.take(later(60))
    found.add(SESSION, QUERY, read(3, first=10), later(70))
    found.give_back(untold)

    (told,) = found.take(later(130))

    assert told.extent == Extent(reads=2, events=5, first=Position(1), last=Position(12))
    assert (told.since, told.until) == (NOW, later(70))


def test_what_could_not_be_told_at_the_end_is_kept_too():
    found = begun(QUERY)
    found.add(SESSION, QUERY, read(2), later(5))
    (untold,) = found.take(later(6), anyway=True)
    found.give_back(untold)

    (told,) = found.take(later(7), anyway=True)
    assert (told.extent, told.since, told.until) == (untold.extent, NOW, later(5))


def test_a_file_counts_however_long_ago_it_began():
    found = Readings()
    found.count(SESSION, QUERY, AUDREY, read(500, reads=0), later(100))
    found.count(SESSION, QUERY, AUDREY, read(500, first=501, reads=0), later(110))

    (told,) = found.take(later(160))
    assert told.extent == Extent(reads=0, events=1000, first=Position(1), last=Position(1000))


def test_beyond_so_many_each_reading_is_recorded_at_once(monkeypatch):
    monkeypatch.setattr(readings, "MOST_TALLIES", 1)
    found = begun(QUERY, OTHER)

    assert found.add(SESSION, QUERY, read(1), NOW) is True
    assert found.add(SESSION, OTHER, read(1), NOW) is False

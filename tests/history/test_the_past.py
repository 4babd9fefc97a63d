"""Whatever happened: what a decision and the queue were at a moment is what the events up to there say."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.domain.decider import fold
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.state import Closed, NotSubmitted, Resolved, is_overdue, status_of
from ledger.domain.event import Event
from ledger.domain.ids import Position, StreamName, Version
from ledger.history import queues
from ledger.history.moments import (
    AtPosition,
    AtTime,
    AtVersion,
    Moment,
    MomentNotReached,
    NoSuchVersion,
    moment_in,
    moment_of,
    place,
)
from ledger.history.queues import queue_at
from ledger.history.states import NotYetSubmitted, as_left_by, decision_at
from ledger.projections.submission import RANKS
from ledger.store.ledger import Ledger
from ledger.store.streams import read_stream, recorded
from tests.builders import later
from tests.builders.decision_events import submitted
from tests.projections.histories import History, histories, timed_histories
from tests.support.databases import Cluster
from tests.support.recorded import happened

together = pytest.mark.asyncio(loop_scope="module")
MOMENTS = tuple(later(seconds) for seconds in (0, 400, 2_000, 10**7))
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(postgres: Cluster) -> AsyncIterator[Ledger]:
    """One ledger for all histories: each has streams of its own."""
    async with postgres.fresh() as database, await Ledger.open(database.service_url) as opened:
        yield opened


class Played:
    """A history that has been written into the ledger."""

    def __init__(self, history: History) -> None:
        self.names = {stream: StreamName(f"decision-{uuid4()}") for stream in history.decisions}
        self.log: list[tuple[Position, StreamName, Event]] = []
        self._history = history

    async def write(self, ledger: Ledger) -> None:
        for stream, event in self._history.events:
            if stream in self.names:
                name = self.names[stream]
                self.log.append((await happened(ledger, name, event), name, event))

    def prefix(self, name: StreamName, upto: Position) -> list[Event]:
        return [event for position, of, event in self.log if of == name and position <= upto]


@together
@few
@given(history=histories | timed_histories)
async def test_a_decision_at_every_version_is_what_its_first_events_leave(
    ledger: Ledger, history: History
) -> None:
    played = Played(history)
    await played.write(ledger)
    for name in played.names.values():
        stream = await read_stream(ledger, name)
        events = [recorded(one, DECISION.event_types) for one in stream.events]
        for number, event in enumerate(events, start=1):
            moment = await moment_in(ledger, name, AtVersion(Version(number)), later(10**8))
            then = await decision_at(ledger, name, moment)

            assert (moment.position, then.version, then.last) == (event.position, number, event.position)
            assert then == as_left_by(events[:number])
            assert then.state == fold(DECISION, (one.event for one in events[:number]))
            for now in MOMENTS:
                assert then.row.status_at(now) == status_of(then.state, now)


@together
@few
@given(history=histories | timed_histories, data=st.data())
async def test_the_queue_of_a_moment_holds_what_was_open_then_in_its_order(
    ledger: Ledger, history: History, data: st.DataObject
) -> None:
    played = Played(history)
    await played.write(ledger)
    if not played.log:
        return
    upto = data.draw(st.sampled_from([position for position, _, _ in played.log]))
    now = data.draw(st.sampled_from(MOMENTS))
    moment = Moment(position=upto, time=now)

    found = (await queue_at(ledger, moment, after=None, limit=10**6)).items
    ours = [item for item in found if item.stream in played.names.values()]

    expected = {}
    for name in played.names.values():
        state = fold(DECISION, played.prefix(name, upto))
        if not isinstance(state, NotSubmitted | Resolved | Closed) and not is_overdue(state.case, now):
            expected[name] = state
    assert {item.stream for item in ours} == set(expected)
    assert [(item.rank, item.position) for item in ours] == sorted(
        (item.rank, item.position) for item in ours
    )
    for item in ours:
        state = expected[item.stream]
        assert item.status_at(now) == status_of(state, now)
        assert (item.priority, item.rank) == (state.case.priority, RANKS[state.case.priority])
        assert item.assigned_to == state.case.assigned_to


@together
async def test_pages_of_a_queue_of_the_past_are_parts_of_the_whole(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "WINDOW", 7)
    monkeypatch.setattr(queues, "AT_ONCE", 3)
    for _ in range(5):
        await _a_decision(ledger)
    moment = Moment(position=await ledger.head(), time=later(0))
    whole = await queue_at(ledger, moment, after=None, limit=10**6)
    paged, after = [], None
    while True:
        page = await queue_at(ledger, moment, after=after, limit=5)
        paged += page.items
        assert page.total == whole.total
        if not page.has_more:
            break
        after = page.items[-1].cursor()

    assert [item.stream for item in paged] == [item.stream for item in whole.items]


@together
async def test_before_its_submission_there_is_no_decision(ledger: Ledger) -> None:
    with pytest.raises(NotYetSubmitted):
        await decision_at(
            ledger, StreamName(f"decision-{uuid4()}"), Moment(position=Position(10**6), time=later(0))
        )


@together
async def test_a_moment_is_a_position_and_a_time(ledger: Ledger) -> None:
    now = later(10**8)
    stream = await read_stream(ledger, await _a_decision(ledger))
    event = stream.events[0]

    assert await moment_of(ledger, None, now) == Moment(position=await ledger.head(), time=now)
    here = Moment(position=event.position, time=event.recorded_at)
    assert await moment_of(ledger, AtPosition(event.position), now) == here
    assert await moment_in(ledger, stream.name, AtVersion(Version(1)), now) == here
    at_time = await moment_of(ledger, AtTime(event.recorded_at), now)
    assert at_time.position >= event.position
    assert at_time.time == event.recorded_at
    long_ago = event.recorded_at - timedelta(days=9)
    assert await moment_of(ledger, AtTime(long_ago), now) == Moment(position=Position(0), time=long_ago)


@together
async def test_a_moment_that_has_not_come_is_refused(ledger: Ledger) -> None:
    stream = await read_stream(ledger, await _a_decision(ledger))
    head = await ledger.head()

    with pytest.raises(MomentNotReached) as ahead:
        await moment_of(ledger, AtPosition(Position(head + 1)), later(0))
    with pytest.raises(MomentNotReached):
        await moment_of(ledger, AtTime(later(1)), later(0))
    with pytest.raises(NoSuchVersion) as missing:
        await moment_in(ledger, stream.name, AtVersion(Version(stream.version() + 1)), later(0))

    assert ahead.value.context == {"head": head}
    assert missing.value.context == {"version": stream.version()}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("version:3", AtVersion(Version(3))),
        ("position:812", AtPosition(Position(812))),
        ("812", None),
        ("version:0", None),
        ("version:03", None),
        ("position:-1", None),
        ("version:3\n", None),
        ("2026-11-30T09:00:00Z", None),
    ],
)
def test_a_place_says_of_what_it_is(text, meant):
    assert place(text) == meant


async def _a_decision(ledger: Ledger) -> StreamName:
    name = StreamName(f"decision-{uuid4()}")
    await happened(ledger, name, submitted())
    return name

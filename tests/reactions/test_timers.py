"""Timers fire when they are due, once, whoever fires them, and whatever the clocks say."""

import asyncio
from datetime import timedelta

import pytest

from ledger.domain.decision.events import (
    CommentAdded,
    DecisionEscalated,
    DecisionExpired,
    DecisionSubmitted,
    EscalationCause,
    Milestone,
    OverrideLapsed,
    ReleaseCause,
)
from ledger.domain.event import Event
from ledger.domain.ids import Position, StreamName
from ledger.domain.terms import DefaultOutcome
from ledger.projections.verifying import verify
from ledger.projections.views.timers import TIMERS, backlog
from ledger.reactions import timers
from ledger.reactions.timers import Timekeeper
from ledger.store.appends import Append, NewEvent
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.streams import append, draft, read_stream
from tests.builders import ANA, claimed, resolved
from tests.builders.workflow_events import (
    information_provided,
    information_requested,
    milestone_passed,
    overridden,
)
from tests.projections.given import bring_level
from tests.reactions.waiting import (
    Ticks,
    Wall,
    ago,
    last_of,
    level_and_round,
    many_wait,
    rounds,
    streams_of,
    terms,
    told,
    types_since,
    waits,
)
from tests.support.events import by_somebody
from tests.support.recorded import happened

HANG = 60.0


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def keeper(ledger: Ledger, wall: Wall) -> Timekeeper:
    return Timekeeper(ledger, wall)


def names(events: list[tuple[str, StreamName]]) -> list[str]:
    return [name for name, _ in events]


async def test_at_its_deadline_a_decision_expires_with_its_default_outcome(
    ledger: Ledger, keeper: Timekeeper
) -> None:
    since = ago(100)
    stream = await waits(ledger, "a", terms(deadline=60, default=DefaultOutcome.APPROVE), since=since)

    await level_and_round(ledger, keeper)

    last = (await told(ledger, stream))[-1]
    assert last.actor == "system"
    assert isinstance(last.event, DecisionExpired)
    assert last.event.deadline_at == since + timedelta(seconds=60)
    assert last.event.default_outcome is DefaultOutcome.APPROVE
    assert not last.event.human_seen
    assert last.event.deadline_at <= last.event.at <= ago(0)


async def test_an_expiry_says_that_a_human_had_seen_it(ledger: Ledger, keeper: Timekeeper) -> None:
    stream = await waits(ledger, "a", terms(deadline=60), claimed(at=ago(90)), since=ago(100))

    await level_and_round(ledger, keeper)

    expired = await last_of(ledger, stream)
    assert isinstance(expired, DecisionExpired)
    assert expired.human_seen


async def test_at_half_time_and_at_the_breach_it_moves_up_the_ladder_and_off_its_holder(
    ledger: Ledger, keeper: Timekeeper
) -> None:
    rules = terms(target=100, deadline=400, ladder=("tier-2", "tier-3"), climbs=True)
    held = claimed(at=ago(150), seconds=3_600)
    stream = await waits(ledger, "a", rules, held, since=ago(200))

    await level_and_round(ledger, keeper)

    events = [one.event for one in await told(ledger, stream)][2:]
    assert [type(event).__name__ for event in events] == [
        "MilestonePassed",
        "ClaimReleased",
        "DecisionEscalated",
        "MilestonePassed",
        "DecisionEscalated",
    ]
    moves = [event for event in events if isinstance(event, DecisionEscalated)]
    assert [(move.cause, move.level, move.group, move.by) for move in moves] == [
        (EscalationCause.HALF_TIME, 1, "tier-2", None),
        (EscalationCause.BREACH, 2, "tier-3", None),
    ]
    assert events[1].cause is ReleaseCause.ESCALATED


async def test_an_override_that_nobody_countersigned_lapses(ledger: Ledger, keeper: Timekeeper) -> None:
    lapsing = await waits(ledger, "a", terms(), overridden(countersign_by=ago(10)), since=ago(100))
    waiting = await waits(ledger, "b", terms(), overridden(countersign_by=ago(-60)), since=ago(100))

    await level_and_round(ledger, keeper)

    assert isinstance(await last_of(ledger, lapsing), OverrideLapsed)
    assert len(await told(ledger, waiting)) == 2


async def test_what_is_not_due_or_has_ended_is_left_alone(ledger: Ledger, keeper: Timekeeper) -> None:
    await waits(ledger, "clockless", terms(), since=ago(100))
    await waits(ledger, "later", terms(target=1_000, deadline=2_000), since=ago(100))
    await waits(ledger, "ended", terms(deadline=60), resolved(at=ago(70)), since=ago(100))
    head = await ledger.head()

    await level_and_round(ledger, keeper)

    assert await ledger.head() == head


async def test_a_question_stops_the_clock_and_the_answer_sets_it_anew(
    ledger: Ledger, keeper: Timekeeper
) -> None:
    asked = (claimed(at=ago(95)), information_requested(at=ago(90)))
    stream = await waits(ledger, "a", terms(deadline=60), *asked, since=ago(100))
    await level_and_round(ledger, keeper)
    assert len(await told(ledger, stream)) == 3, "the question stops the clock"

    answer = information_provided(deadline_at=ago(-0.5), at=ago(1))
    await happened(ledger, stream, answer)
    async with asyncio.timeout(HANG):
        while not isinstance(expired := await last_of(ledger, stream), DecisionExpired):
            await level_and_round(ledger, keeper)
    assert expired.deadline_at == answer.deadline_at
    assert expired.at >= answer.deadline_at, "not before the moment it was moved to"


async def test_a_question_that_nobody_answers_stops_it_for_as_long_as_the_policy_says(
    ledger: Ledger, keeper: Timekeeper
) -> None:
    asked = (claimed(at=ago(95)), information_requested(at=ago(90)))
    stream = await waits(ledger, "a", terms(deadline=60, pause=30), *asked, since=ago(100))

    await level_and_round(ledger, keeper)

    assert isinstance(await last_of(ledger, stream), DecisionExpired)


async def test_a_view_that_lags_makes_nothing_fire_early(ledger: Ledger, keeper: Timekeeper) -> None:
    stream = await waits(ledger, "a", terms(deadline=60), since=ago(100))
    await bring_level(ledger, TIMERS)
    await happened(ledger, stream, claimed(at=ago(95)), information_requested(at=ago(90)))
    head = await ledger.head()

    await keeper.round()

    assert await ledger.head() == head


async def test_two_workers_at_once_fire_five_hundred_timers_once_each(ledger: Ledger, wall: Wall) -> None:
    streams = await many_wait(ledger, 500, terms(deadline=60), since=ago(100))
    head = await ledger.head()
    await bring_level(ledger, TIMERS)

    async with await Ledger.open(ledger.url) as other:
        workers = Timekeeper(ledger, wall), Timekeeper(other, wall)
        await asyncio.gather(*(worker.round() for worker in workers))
        await level_and_round(ledger, *workers)

    fired = await types_since(ledger, head)
    assert set(names(fired)) == {"decision-expired"}
    assert sorted(stream for _, stream in fired) == sorted(streams)
    assert (await verify(ledger.url, LEDGER_ID, TIMERS, sample=None)).is_clean()


async def test_what_fell_due_in_a_downtime_is_made_up_for_in_order(
    ledger: Ledger, keeper: Timekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "PAGE", 4)
    monkeypatch.setattr(timers, "AT_ONCE", 1)
    late = [
        await waits(ledger, f"late-{hours}", terms(deadline=3_600), since=ago(hours * 3_600))
        for hours in (2, 9, 5, 7, 3, 8)
    ]
    breached = await waits(ledger, "breached", terms(target=60, deadline=86_400), since=ago(4 * 3_600))
    head = await ledger.head()

    await level_and_round(ledger, keeper)

    fired = await types_since(ledger, head)
    by_age = [late[1], late[5], late[3], late[2], breached, breached, late[4], late[0]]
    assert [stream for _, stream in fired] == by_age
    passed = [one.event for one in await told(ledger, breached)][1:]
    assert [getattr(event, "milestone", None) for event in passed] == [Milestone.HALF_TIME, Milestone.BREACH]


async def test_what_was_fired_is_not_fired_again_before_the_view_shows_it_nor_after(
    ledger: Ledger, keeper: Timekeeper, wall: Wall
) -> None:
    await waits(ledger, "a", terms(target=60, deadline=1_000), since=ago(100))
    await level_and_round(ledger, keeper)
    head = await ledger.head()

    await keeper.round()
    await Timekeeper(ledger, wall).round()  # it remembers nothing
    await rounds(ledger, keeper, 2)

    assert await ledger.head() == head
    assert (await verify(ledger.url, LEDGER_ID, TIMERS, sample=None)).is_clean()


async def test_a_clock_that_runs_ahead_fires_nothing_early(
    ledger: Ledger, wall: Wall, keeper: Timekeeper
) -> None:
    await waits(ledger, "a", terms(target=600, deadline=1_000), since=ago(100))
    head = await ledger.head()
    wall.wrong_by = timedelta(days=400)

    await level_and_round(ledger, keeper, Timekeeper(ledger, wall))

    assert await ledger.head() == head


async def test_what_a_worker_whose_clock_runs_ahead_fires_is_dated_by_the_other_clock(
    ledger: Ledger, wall: Wall
) -> None:
    wall.wrong_by = timedelta(days=400)
    stream = await waits(ledger, "a", terms(target=60, deadline=1_000), since=ago(100))

    await level_and_round(ledger, Timekeeper(ledger, wall))

    passed = [one.event for one in await told(ledger, stream)][1:]
    assert len(passed) == 2
    assert all(ago(60) < event.at < ago(-1) for event in passed)


async def test_a_clock_that_was_set_back_fires_late_and_another_worker_in_time(
    ledger: Ledger, wall: Wall, keeper: Timekeeper
) -> None:
    stream = await waits(ledger, "a", terms(deadline=60), since=ago(100))
    wall.wrong_by = timedelta(days=-1)
    await level_and_round(ledger, keeper)
    assert len(await told(ledger, stream)) == 1

    await level_and_round(ledger, Timekeeper(ledger, Wall()))

    assert isinstance(await last_of(ledger, stream), DecisionExpired)


async def test_a_clock_that_is_set_back_repeats_nothing_and_loses_nothing(
    ledger: Ledger, wall: Wall, keeper: Timekeeper
) -> None:
    await waits(ledger, "before", terms(target=60), since=ago(100))
    await level_and_round(ledger, keeper)
    head = await ledger.head()

    wall.wrong_by = timedelta(days=-1)
    meanwhile = await waits(ledger, "meanwhile", terms(target=60), since=ago(100))
    await rounds(ledger, keeper, 2)
    assert await ledger.head() == head + 1

    wall.wrong_by = timedelta(0)
    ticks = Ticks()
    await rounds(ledger, Timekeeper(ledger, wall, ticks), 2)

    assert names(await types_since(ledger, head + 1)) == ["milestone-passed"] * 2
    assert {stream for _, stream in await types_since(ledger, head + 1)} == {meanwhile}


async def test_a_clock_set_back_in_the_middle_never_dates_an_event_before_its_moment(
    ledger: Ledger, wall: Wall, keeper: Timekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = await waits(ledger, "a", terms(deadline=60), since=ago(100))
    await bring_level(ledger, TIMERS)
    moment = await keeper._look()
    wall.wrong_by = timedelta(days=-1)

    async def as_it_was() -> object:
        return moment

    monkeypatch.setattr(keeper, "_look", as_it_was)
    await keeper.round()

    expired = await last_of(ledger, stream)
    assert isinstance(expired, DecisionExpired)
    assert expired.at == expired.deadline_at


async def unreadable(ledger: Ledger, stream: StreamName) -> None:
    """Append what looks like a comment and is none; the view does not want it, the decider does."""
    drafted = draft(await read_stream(ledger, stream), [milestone_passed()], by_somebody())
    spoilt = NewEvent(
        event_id=drafted.events[0].event_id, type="comment-added", schema_version=1, payload=b'{"text":7}'
    )
    assert CommentAdded.schema_version == 1
    await append(
        ledger,
        Append(
            stream=stream,
            expected=drafted.expected,
            prev=drafted.prev,
            events=(spoilt,),
            provenance=drafted.provenance,
        ),
    )


async def test_a_stream_that_cannot_be_read_keeps_no_other_one_waiting(
    ledger: Ledger, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "PAGE", 2)
    ticks = Ticks()
    keeper = Timekeeper(ledger, wall, ticks)
    broken = [await waits(ledger, f"x-{n}", terms(deadline=60), since=ago(200)) for n in range(3)]
    for stream in broken:
        await unreadable(ledger, stream)
    good = [await waits(ledger, f"y-{n}", terms(deadline=60), since=ago(100)) for n in range(3)]
    head = await ledger.head()

    await level_and_round(ledger, keeper)
    assert sorted(streams_of(await types_since(ledger, head), "decision-expired")) == sorted(good)

    tried: list[StreamName] = []
    issue = keeper._issue

    async def noted(one: timers._Due) -> object:
        tried.append(one.stream)
        return await issue(one)

    monkeypatch.setattr(keeper, "_issue", noted)
    for seconds, times in ((0.9, 0), (0.1, 1), (1.9, 1), (0.1, 2)):
        ticks.seconds += seconds
        await keeper.round()
        assert tried.count(broken[0]) == times


async def test_it_wakes_when_the_next_timer_is_due(
    ledger: Ledger, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "POLL_SECONDS", 3_600.0)  # so that nothing else wakes it
    stream = await waits(ledger, "a", terms(deadline=60), since=ago(59.5))
    await bring_level(ledger, TIMERS)
    keeping = asyncio.create_task(timers.run_forever(ledger, wall))
    try:
        async with asyncio.timeout(HANG):
            while not isinstance(expired := await last_of(ledger, stream), DecisionExpired):
                await asyncio.sleep(0.01)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    assert expired.deadline_at <= expired.at


async def test_the_backlog_is_what_is_due_and_since_when(ledger: Ledger, keeper: Timekeeper) -> None:
    await waits(ledger, "a", terms(deadline=60), since=ago(100))
    since = ago(200)
    await waits(ledger, "b", terms(deadline=60), since=since)
    await waits(ledger, "c", terms(deadline=600), since=ago(100))
    await bring_level(ledger, TIMERS)

    async with ledger.pool.acquire() as conn:
        found = await backlog(conn, LEDGER_ID, ago(0), at_most=10)
        assert (found.timers, (await backlog(conn, LEDGER_ID, ago(0), at_most=1)).timers) == (2, 1)
    assert found.oldest == since + timedelta(seconds=30), "half time"

    await rounds(ledger, keeper, 2)
    async with ledger.pool.acquire() as conn:
        left = await backlog(conn, LEDGER_ID, ago(0), at_most=10)
    assert (left.timers, left.oldest) == (0, None)


async def first_of(ledger: Ledger, stream: StreamName) -> Event:
    return (await told(ledger, stream))[0].event


async def test_an_escalation_leaves_the_item_open_to_the_next_level(
    ledger: Ledger, keeper: Timekeeper
) -> None:
    rules = terms(target=100, ladder=("tier-2",), climbs=True)
    stream = await waits(ledger, "a", rules, since=ago(60))

    await level_and_round(ledger, keeper)

    from ledger.domain.decider import fold
    from ledger.domain.decision.decide import DECISION
    from ledger.domain.decision.state import Pending

    state = fold(DECISION, [one.event for one in await told(ledger, stream)])
    assert isinstance(state, Pending)
    assert state.case.level == 1
    assert isinstance(await first_of(ledger, stream), DecisionSubmitted)
    assert state.case.submitted_by != ANA


async def test_positions_are_dense_after_all_that(ledger: Ledger, keeper: Timekeeper) -> None:
    await many_wait(ledger, 30, terms(target=20, deadline=6_000), since=ago(40))
    await rounds(ledger, keeper, 2)

    assert await ledger.head() == Position(90)

"""Whatever happened, and however it was cut into batches, statistics are what one counts in the log oneself."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from math import floor

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from ledger.domain.decider import fold
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    Choice,
    DecisionClaimed,
    DecisionEscalated,
    DecisionEvent,
    DecisionExpired,
    DecisionOverridden,
    DecisionResolved,
    Priority,
    VoteCast,
)
from ledger.domain.decision.state import (
    Closed,
    DecisionState,
    Resolved,
    Status,
    answer_of,
    case_of,
)
from ledger.domain.ids import PersonId
from ledger.projections import statistics_detail
from ledger.projections.statistics_detail import Detail, Duration, PersonWork, Question, Work
from ledger.projections.views import statistics
from ledger.projections.views.statistics import STATISTICS
from ledger.store.ledger import LEDGER_ID, Ledger
from tests.builders import NOW, later
from tests.projections.given import as_stored, views_undone
from tests.projections.histories import PEOPLE, History, cuts_of, histories, timed_histories
from tests.support.examples import thorough

DAY = 24 * 60 * 60
TODAY = NOW.date()
KIND = "threat_analysis"

some = thorough(80, suppress=(HealthCheck.function_scoped_fixture,))
any_history = st.one_of(histories, timed_histories)


class Told:
    """One decision, as its events tell it."""

    def __init__(self, events: Sequence[DecisionEvent]) -> None:
        self.events = events
        self.state: DecisionState = fold(DECISION, events)
        self.case = case_of(self.state)
        self.is_over = isinstance(self.state, Resolved | Closed)
        self.answer = answer_of(self.state)
        self.status = self.answer.status if self.answer is not None and self.is_over else None
        self.ended_at = self.answer.decided_at if self.answer is not None and self.is_over else None

    def seconds(self) -> float:
        assert self.ended_at is not None
        return (self.ended_at - self.case.submitted_at).total_seconds()

    def first_claim(self) -> datetime | None:
        return next((event.at for event in self.events if isinstance(event, DecisionClaimed)), None)


def told_by(history: History, person: PersonId | None = None) -> list[Told]:
    every = [Told(events) for events in history.decisions.values() if events]
    return [told for told in every if person in (None, told.case.submitted_by)]


@some
@given(history=any_history, data=st.data(), asked_at=st.sampled_from((0, 1_000, DAY, DAY + 2_000, 3 * DAY)))
async def test_counters_equal_a_naive_count(
    ledger: Ledger, history: History, data: st.DataObject, asked_at: int
) -> None:
    async with views_undone(ledger) as conn:
        await _apply(conn, history, data)
        for person in (None, *PEOPLE):
            mine = told_by(history, person)
            found = await statistics.summary(conn, LEDGER_ID, later(asked_at), submitted_by=person)
            totals = await statistics.totals(conn, LEDGER_ID, submitted_by=person)
            spans = [told.seconds() / 60 for told in mine if isinstance(told.state, Resolved)]
            priorities = [told.case.priority for told in mine if not told.is_over]

            assert found.total_pending == totals.pending_decisions == len(priorities)
            assert found.critical_pending == totals.critical_pending == priorities.count(Priority.CRITICAL)
            assert found.high_pending == priorities.count(Priority.HIGH)
            assert found.medium_pending == priorities.count(Priority.MEDIUM)
            assert found.low_pending == priorities.count(Priority.LOW)
            assert found.total_completed == len(spans)
            assert found.avg_response_time_minutes == pytest.approx(sum(spans) / len(spans) if spans else 0)
            assert found.decisions_last_24h == sum(
                told.case.submitted_at > later(asked_at - DAY) for told in mine
            )
            answered = sum(told.answer is not None for told in mine)
            assert (totals.total_decisions, totals.total_responses) == (len(mine), answered)


@some
@given(history=any_history, data=st.data())
async def test_the_detail_equals_a_naive_recount(
    ledger: Ledger, history: History, data: st.DataObject
) -> None:
    asked_at = later(2 * DAY)
    async with views_undone(ledger) as conn:
        await _apply(conn, history, data)
        for person in (None, PEOPLE[0]):
            question = Question(first=TODAY, last=TODAY + timedelta(days=2), submitted_by=person)
            found = await statistics_detail.detail(conn, LEDGER_ID, question, asked_at)
            mine = told_by(history, person)

            _same_pending(found, mine, asked_at)
            _same_work(found.total, mine, question.days())
            for day in found.by_day:
                _same_work(day, mine, (day.day,))
            assert [kind.kind for kind in found.by_kind] == ([KIND] if mine else [])
            for kind in found.by_kind:
                _same_work(kind, mine, question.days())
            assert [one.person for one in found.by_person] == (sorted(_busy(mine)) if person is None else [])
            for one in found.by_person:
                _same_person(one, mine)


@some
@given(history=any_history, data=st.data())
async def test_counting_again_from_nothing_doubles_nothing(
    ledger: Ledger, history: History, data: st.DataObject
) -> None:
    question = Question(first=TODAY, last=TODAY + timedelta(days=2))
    async with views_undone(ledger) as conn:
        await _apply(conn, history, data)
        before = await statistics_detail.detail(conn, LEDGER_ID, question, NOW)
        for table in STATISTICS.tables:
            await conn.execute(f"delete from {table}")  # noqa: S608 - a name of ours
        await _apply(conn, history, data)

        assert await statistics_detail.detail(conn, LEDGER_ID, question, NOW) == before


async def _apply(conn: object, history: History, data: st.DataObject) -> None:
    log = as_stored(history.events)
    for cut in cuts_of(data, len(log)):
        await STATISTICS.feed(conn, LEDGER_ID, log[cut])


def _same_pending(found: Detail, mine: Sequence[Told], now: datetime) -> None:
    waiting = [told for told in mine if not told.is_over]
    assert found.pending.total == len(waiting)
    for priority in Priority:
        assert found.pending.by_priority[priority.value] == sum(t.case.priority is priority for t in waiting)
    levels = [str(told.case.level) for told in waiting]
    assert found.pending.by_level == {level: levels.count(level) for level in sorted(set(levels))}
    assert found.pending.by_kind == ({KIND: len(waiting)} if waiting else {})
    old = sum(now - told.case.submitted_at >= timedelta(days=1) for told in waiting)
    assert found.pending.by_age["under_7_days"] == old
    assert sum(found.pending.by_age.values()) == len(waiting)


def _same_work(work: Work, mine: Sequence[Told], days: Sequence[date]) -> None:
    def within(moment: datetime | None) -> bool:
        return moment is not None and moment.date() in days

    ended = [told for told in mine if within(told.ended_at)]
    people = [told for told in ended if isinstance(told.state, Resolved)]
    claims = [told for told in mine if within(told.first_claim())]
    for name in ("approved", "rejected", "expired", "withdrawn", "cancelled", "superseded"):
        assert getattr(work, name) == sum(told.status is Status(name) for told in ended)
    assert work.submitted == sum(within(told.case.submitted_at) for told in mine)
    assert work.overridden == sum(_is_override(told) for told in ended)
    assert work.expired_unseen == sum(_is_unseen(told) for told in ended)
    moves = [e for told in mine for e in told.events if isinstance(e, DecisionEscalated)]
    assert work.escalated == sum(within(event.at) for event in moves)
    assert work.time_to_decide == _spread([told.seconds() for told in people])
    waits = [(told.first_claim() - told.case.submitted_at).total_seconds() for told in claims]
    assert work.time_to_claim == _spread(waits)
    assert work.agreement.compared == len(people)
    assert work.agreement.agreed == sum(_follows(told) for told in people)


def _is_override(told: Told) -> bool:
    return any(isinstance(event, DecisionOverridden) for event in told.events)


def _is_unseen(told: Told) -> bool:
    return any(isinstance(event, DecisionExpired) and not event.human_seen for event in told.events)


def _follows(told: Told) -> bool:
    """The builders recommend, and approve, to block the address."""
    verdicts = [e for e in told.events if isinstance(e, DecisionResolved | DecisionOverridden)]
    return verdicts[0].outcome.value == "approved" and verdicts[0].approved_actions == ("block_ip",)


def _busy(mine: Sequence[Told]) -> set[PersonId]:
    doers = [_doer(event) for told in mine for event in told.events]
    return {person for person in doers if person is not None}


def _doer(event: DecisionEvent) -> PersonId | None:
    match event:
        case DecisionClaimed():
            return event.holder
        case VoteCast():
            return event.voter
        case DecisionEscalated() | DecisionOverridden():
            return event.by
        case DecisionResolved():
            return event.decided_by
        case _:
            return None


def _same_person(found: PersonWork, mine: Sequence[Told]) -> None:
    did = [event for told in mine for event in told.events if _doer(event) == found.person]
    votes = [event for event in did if isinstance(event, VoteCast)]
    choices = [event.choice for event in votes]
    assert found.claims == sum(isinstance(event, DecisionClaimed) for event in did)
    assert found.decided == sum(isinstance(event, DecisionResolved) for event in did)
    assert found.escalations == sum(isinstance(event, DecisionEscalated) for event in did)
    assert found.overrides == sum(isinstance(event, DecisionOverridden) for event in did)
    assert (found.approvals, found.rejections) == (
        choices.count(Choice.APPROVE),
        choices.count(Choice.REJECT),
    )
    assert found.abstentions == choices.count(Choice.ABSTAIN)
    assert found.agreement.compared == len(choices) - choices.count(Choice.ABSTAIN)
    assert found.agreement.agreed == choices.count(Choice.APPROVE)
    held = [span for told in mine for span in _held(told, found.person)]
    assert found.time_to_vote == _spread(held)


def _held(told: Told, person: PersonId) -> list[float]:
    spans, claim = [], None
    for event in told.events:
        if isinstance(event, DecisionClaimed):
            claim = event
        if isinstance(event, VoteCast) and event.voter == person and claim and claim.holder == person:
            spans.append((event.at - claim.at).total_seconds())
    return spans


def _spread(seconds: Sequence[float]) -> Duration:
    if not seconds:
        return Duration()
    return Duration(
        count=len(seconds),
        median_seconds=pytest.approx(_percentile(seconds, 0.5)),
        p95_seconds=pytest.approx(_percentile(seconds, 0.95)),
    )


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    below = floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def test_percentiles_lie_between_their_neighbours():
    assert _percentile([1, 2, 3, 4], 0.5) == 2.5
    assert _percentile([7], 0.95) == 7

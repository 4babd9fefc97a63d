"""Whatever happened, and however it was cut into batches, the views say what the streams say."""

from collections.abc import Mapping, Sequence

from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.state import Registered
from ledger.domain.decider import fold
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionSubmitted, Priority
from ledger.domain.decision.item import kind_of
from ledger.domain.decision.rules import groups_at_level
from ledger.domain.decision.state import (
    Case,
    Closed,
    DecisionState,
    Duty,
    DutyStanding,
    InReview,
    Pending,
    Resolved,
    answer_of,
    case_of,
    deadline_of,
    is_overdue,
    live_lease,
    longest_pause,
    status_of,
)
from ledger.domain.decision.timing import Timer, clocks_of, due_moments
from ledger.domain.event import Utc
from ledger.domain.ids import StreamName
from ledger.domain.session.decide import SESSION
from ledger.domain.session.state import Active, Ended, Expired, Revoked, SessionState
from ledger.projections.catalog import ALL
from ledger.projections.decision_row import DecisionRow
from ledger.projections.projection import Feed
from ledger.projections.submission import rewritten
from ledger.projections.views import decisions, directory, queue, sessions, timers
from ledger.projections.views.queue import QueueItem
from ledger.projections.views.sessions import Stage
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import Connection
from tests.builders import NOW, later
from tests.projections.given import as_stored, rows_of, views_undone
from tests.projections.histories import PEOPLE, History, cuts_of, histories, timed_histories
from tests.support.examples import thorough

MOMENTS = tuple(later(seconds) for seconds in (0, 150, 1_000, 5_000, 20_000, 10**7))
DAY = 24 * 60 * 60
NEVER = later(10**9)
FIRST = StreamName("")
STAGES = {Active: Stage.OPEN, Ended: Stage.ENDED, Expired: Stage.EXPIRED, Revoked: Stage.REVOKED}

some = thorough(120, suppress=(HealthCheck.function_scoped_fixture,))


async def apply(
    conn: Connection, history: History, cuts: Sequence[slice], feeds: Sequence[Feed] = ALL
) -> None:
    log = as_stored(history.events)
    for cut in cuts:
        for feed in feeds:
            await feed.feed(conn, LEDGER_ID, log[cut])


@some
@given(history=histories, data=st.data())
async def test_batches_of_any_size_give_the_same_rows(
    ledger: Ledger, history: History, data: st.DataObject
) -> None:
    async with views_undone(ledger) as conn:
        await apply(conn, history, [slice(None)])
        at_once = [await rows_of(conn, feed) for feed in ALL]
    async with views_undone(ledger) as conn:
        await apply(conn, history, cuts_of(data, len(history.events)))
        in_batches = [await rows_of(conn, feed) for feed in ALL]

    assert in_batches == at_once


@some
@given(history=histories)
async def test_folding_again_from_nothing_gives_the_same_rows(ledger: Ledger, history: History) -> None:
    async with views_undone(ledger) as conn:
        one_by_one = [slice(at, at + 1) for at in range(len(history.events))]
        await apply(conn, history, one_by_one)
        before = [await rows_of(conn, feed) for feed in ALL]
        for feed in ALL:
            for table in feed.tables:
                await conn.execute(f"delete from {table}")  # noqa: S608 - a name of ours
        await apply(conn, history, [slice(None)])

        assert [await rows_of(conn, feed) for feed in ALL] == before


@some
@given(history=histories | timed_histories, data=st.data())
async def test_decisions_stand_as_their_streams_say(
    ledger: Ledger, history: History, data: st.DataObject
) -> None:
    async with views_undone(ledger) as conn:
        await apply(conn, history, cuts_of(data, len(history.events)), [decisions.DECISIONS])
        for stream, events in history.decisions.items():
            row = (await decisions.find(conn, LEDGER_ID, [stream]))[stream].row
            if not events:
                assert row is None
                continue
            state = fold(DECISION, events)
            assert row is not None
            assert (row.version, row.answer) == (len(events), answer_of(state))
            assert row.is_resolved is isinstance(state, Resolved | Closed)
            _same_case(row, case_of(state))
            approved = state.approved if isinstance(state, Resolved | Closed) else None
            assert (row.answer and row.answer.approved_digest) == approved
            duty = state.duty if isinstance(state, Resolved) else None
            assert (row.override and row.override.standing) == (duty and duty.standing)
            for now in MOMENTS:
                assert row.status_at(now) is status_of(state, now)
                _same_hold(row.standing.live_hold(now), live_lease(state, now))


def _same_case(row: DecisionRow, case: Case) -> None:
    assert row.submitted_by == case.submitted_by
    assert (row.priority, row.asked_priority) == (case.priority, case.asked_priority)
    assert (row.standing.level, row.groups) == (case.level, groups_at_level(case))
    assert row.assigned_to == case.assigned_to
    assert [(vote.voter, vote.choice) for vote in row.votes] == [
        (vote.voter, vote.choice) for vote in case.votes
    ]
    assert row.subject_digest == case.subject_digest
    assert row.deadline_at == deadline_of(case)
    assert row.target_at == (case.target_at and case.target_at + longest_pause(case))
    assert (row.question and row.question.at) == (case.question and case.question.asked_at)
    assert (row.redeemed_at, len(row.evidence)) == (case.redeemed_at, case.evidence)
    assert (row.outcome and row.outcome.at) == case.outcome_reported_at


@some
@given(history=st.one_of(histories, timed_histories), data=st.data(), at=st.sampled_from(MOMENTS))
async def test_the_queue_is_what_is_open_in_order(
    ledger: Ledger, history: History, data: st.DataObject, at: Utc
) -> None:
    positions = {
        stream: position
        for position, (stream, event) in enumerate(history.events, start=1)
        if isinstance(event, DecisionSubmitted)
    }
    states = {stream: fold(DECISION, events) for stream, events in history.decisions.items() if events}
    ranks = list(Priority)
    expected = sorted(
        (ranks.index(case_of(state).priority), positions[stream], stream)
        for stream, state in states.items()
        if isinstance(state, Pending | InReview) and not is_overdue(state.case, at)
    )
    async with views_undone(ledger) as conn:
        await apply(conn, history, cuts_of(data, len(history.events)), [queue.QUEUE])
        found = await queue.page(conn, LEDGER_ID, now=at, limit=100, after=None)
        whole = {row["stream"]: row for row in await conn.fetch("select * from views.queue_v2")}

    assert [(item.rank, item.position, item.stream) for item in found] == expected
    for item in found:
        assert item.version == len(history.decisions[item.stream])
        for now in MOMENTS:
            assert item.status_at(now) is status_of(states[item.stream], now)
            _same_hold(item.standing.live_hold(now), live_lease(states[item.stream], now))
        _same_place(whole[item.stream], item, states[item.stream])


def _same_place(row: Mapping[str, object], item: QueueItem, state: DecisionState) -> None:
    """What decides who may work on it, and by when, is what the domain says."""
    case = case_of(state)
    assert (item.priority, item.asked_priority) == (case.priority, case.asked_priority)
    assert (item.kind, item.standing.level) == (kind_of(case.item), case.level)
    assert (item.groups, item.assigned_to) == (groups_at_level(case), case.assigned_to)
    assert item.subject_digest == case.subject_digest
    assert item.deadline_at == deadline_of(case)
    assert item.target_at == (case.target_at and case.target_at + longest_pause(case))
    assert item.asked_at == (case.question and case.question.asked_at)
    assert row["voters"] == [vote.voter for vote in case.votes]
    assert row["escalators"] == list(case.escalators)
    assert row["four_eyes"] is case.policy.four_eyes
    assert (row["submitted_by"], row["on_behalf_of"]) == (case.submitted_by, case.on_behalf_of)
    assert row["session"] == (state.lease.session if isinstance(state, InReview) else None)
    shown = rewritten(
        case.item,
        decision_id=case.decision_id,
        kind_version=case.kind_version,
        priority=case.asked_priority,
        created_at=case.created_at,
    )
    assert item.submission == shown.encode()


def _same_hold(hold: object, lease: object) -> None:
    fields = ("lease_id", "holder", "fencing_token", "expires_at")
    assert (hold is None) is (lease is None)
    if hold is not None:
        assert [getattr(hold, name) for name in fields] == [getattr(lease, name) for name in fields]


@some
@given(history=timed_histories, data=st.data())
async def test_timers_are_what_the_streams_say(ledger: Ledger, history: History, data: st.DataObject) -> None:
    expected = {
        stream: moments
        for stream, events in history.decisions.items()
        if (moments := _due_in(fold(DECISION, events)))
    }
    async with views_undone(ledger) as conn:
        await apply(conn, history, cuts_of(data, len(history.events)), [timers.TIMERS])
        found, more = await timers.due(conn, LEDGER_ID, NEVER, after=timers.After(NOW, FIRST), limit=100)

        assert {row.stream: row.due() for row in found} == expected
        assert more is None
        earliest = sorted((min(moments.values()), stream) for stream, moments in expected.items())
        assert [row.stream for row in found] == [stream for _, stream in earliest]


def _due_in(state: DecisionState) -> dict[Timer, Utc]:
    """What a decision waits for, said by its state."""
    match state:
        case Pending() | InReview():
            return due_moments(clocks_of(state.case))
        case Resolved(duty=Duty(standing=DutyStanding.OPEN, countersign_by=by)):
            return {Timer.COUNTERSIGN: by}
        case _:
            return {}


@some
@given(history=histories, data=st.data())
async def test_sessions_stand_as_their_streams_say(
    ledger: Ledger, history: History, data: st.DataObject
) -> None:
    states = {stream: fold(SESSION, events) for stream, events in history.sessions.items() if events}
    async with views_undone(ledger) as conn:
        await apply(conn, history, cuts_of(data, len(history.events)), [sessions.SESSIONS])
        rows = await conn.fetch("select stream, person_id, state, ended_at from sessions_v1")
        still_open = {
            row.stream: row for person in PEOPLE for row in await sessions.open_of(conn, LEDGER_ID, person)
        }

    assert {row["stream"]: (row["person_id"], row["state"], row["ended_at"]) for row in rows} == {
        stream: _stage(state) for stream, state in states.items()
    }
    active = {stream: state for stream, state in states.items() if isinstance(state, Active)}
    assert still_open.keys() == active.keys()
    for stream, row in still_open.items():
        state = active[stream]
        assert (row.session, row.epoch, row.expires_at) == (state.session, state.epoch, state.expires_at)


def _stage(state: SessionState) -> tuple[object, ...]:
    assert isinstance(state, Active | Ended | Expired | Revoked)
    return state.person, STAGES[type(state)], None if isinstance(state, Active) else state.at


@some
@given(history=histories, data=st.data())
async def test_the_directory_is_every_accounts_state(
    ledger: Ledger, history: History, data: st.DataObject
) -> None:
    states = [fold(ACCOUNT, events) for events in history.accounts.values() if events]
    async with views_undone(ledger) as conn:
        await apply(conn, history, cuts_of(data, len(history.events)), [directory.DIRECTORY])
        found = await directory.page(conn, LEDGER_ID, limit=100, after=None)
        total = await directory.count(conn, LEDGER_ID)

    registered = [replace(state, credential=None) for state in states if isinstance(state, Registered)]
    assert list(found) == sorted(registered, key=lambda account: account.person)
    assert total == len(registered)

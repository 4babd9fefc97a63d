"""What the clock does by itself: half time, breach, deadline, and the pause of an open question."""

import pytest
from msgspec.structs import replace

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import EscalationCause, Milestone, ReleaseCause
from ledger.domain.decision.rules import DeadlinePassed
from ledger.domain.decision.state import Closed, Status, answer_of, case_of, deadline_of, status_of
from ledger.domain.decision.timing import Timer, clocks_of, due_moments, milestone_at
from ledger.domain.terms import DefaultOutcome
from tests.builders import (
    ANA,
    DIGEST,
    NOW,
    SUSPECT,
    cast_vote,
    claim,
    claimed,
    escalate,
    escalated,
    later,
    policy,
    release,
    released,
    renew,
    resolved,
    submit,
    submitted,
    voted,
)
from tests.builders.workflow_commands import (
    accept_handover,
    assign,
    attach_evidence,
    cancel,
    comment,
    lapse_override,
    offer_handover,
    override,
    pass_milestone,
    provide_information,
    reprioritise,
    request_information,
    supersede,
    time_out,
    withdraw,
)
from tests.builders.workflow_events import (
    commented,
    information_provided,
    information_requested,
    milestone_passed,
    overridden,
    override_lapsed,
    timed_out,
    withdrawn,
)
from tests.domain.given import Given

HALF_TIME, BREACH = Milestone.HALF_TIME, Milestone.BREACH
TIMED = replace(policy(), target_seconds=600, deadline_seconds=1_000)
ESCALATING = replace(TIMED, escalates_at_half=True, escalates_at_breach=True)
PAUSING = replace(TIMED, information_seconds=5_000)
WAITING = Given(DECISION, submitted(policy=TIMED))
ASKED = Given(DECISION, submitted(policy=PAUSING), claimed(by=ANA), information_requested(at=later(100)))


def unasked(level=1, *, cause, at, group=None):
    return escalated(by=None, level=level, cause=cause, reason="", group=group, at=at)


def test_the_clocks_run_from_the_submission():
    terms = replace(TIMED, target_seconds=60)

    Given(DECISION).when(submit(policy=terms, now=later(5))).then(
        replace(submitted(policy=terms, at=later(5)), target_at=later(65), deadline_at=later(1_005))
    )


def test_without_clocks_nothing_is_ever_due():
    case = case_of(Given(DECISION, submitted()).state)

    assert (milestone_at(case, HALF_TIME), milestone_at(case, BREACH), deadline_of(case)) == (None,) * 3


def test_everything_that_falls_due_is_known_from_the_clocks():
    assert due_moments(clocks_of(case_of(WAITING.state))) == {
        Timer.HALF_TIME: later(300),
        Timer.BREACH: later(600),
        Timer.DEADLINE: later(1_000),
    }


def test_an_open_question_puts_everything_off():
    assert due_moments(clocks_of(case_of(ASKED.state))) == {
        Timer.HALF_TIME: later(5_300),
        Timer.BREACH: later(5_600),
        Timer.DEADLINE: later(6_000),
    }


@pytest.mark.parametrize("target", [1_000, 1_500])
def test_at_the_deadline_nothing_but_the_expiry_falls_due(target):
    case = case_of(Given(DECISION, submitted(policy=replace(TIMED, target_seconds=target))).state)

    assert due_moments(clocks_of(case)) == {
        Timer.HALF_TIME: later(target / 2),
        Timer.DEADLINE: later(1_000),
    }


def test_a_target_alone_has_no_deadline():
    case = case_of(Given(DECISION, submitted(policy=replace(TIMED, deadline_seconds=None))).state)

    assert due_moments(clocks_of(case)) == {Timer.HALF_TIME: later(300), Timer.BREACH: later(600)}


def test_without_clocks_nothing_falls_due():
    assert due_moments(clocks_of(case_of(Given(DECISION, submitted()).state))) == {}


def test_half_time_is_half_way_to_the_target_and_a_breach_is_at_it():
    case = case_of(WAITING.state)

    assert (milestone_at(case, HALF_TIME), milestone_at(case, BREACH)) == (later(300), later(600))


def test_without_a_target_half_time_is_half_way_to_the_deadline_and_nothing_is_breached():
    case = case_of(Given(DECISION, submitted(policy=replace(TIMED, target_seconds=None))).state)

    assert (milestone_at(case, HALF_TIME), milestone_at(case, BREACH)) == (later(500), None)


@pytest.mark.parametrize(("milestone", "due"), [(HALF_TIME, 300), (BREACH, 600)])
def test_a_milestone_is_noted_when_it_is_due(milestone, due):
    WAITING.when(pass_milestone(milestone, now=later(due))).then(milestone_passed(milestone, at=later(due)))


@pytest.mark.parametrize(("milestone", "due"), [(HALF_TIME, 300), (BREACH, 600)])
def test_a_timer_that_comes_too_early_changes_nothing(milestone, due):
    WAITING.when(pass_milestone(milestone, now=later(due - 0.001))).then()


@pytest.mark.parametrize(("milestone", "due"), [(HALF_TIME, 300), (BREACH, 600)])
def test_a_milestone_is_passed_once(milestone, due):
    Given(DECISION, *WAITING.events, milestone_passed(milestone, at=later(due))).when(
        pass_milestone(milestone, now=later(due + 1))
    ).then()


@pytest.mark.parametrize("milestone", Milestone)
@pytest.mark.parametrize("events", [[], [submitted(policy=TIMED), resolved()], [submitted(), withdrawn()]])
def test_what_is_not_open_has_no_milestones(events, milestone):
    Given(DECISION, *events).when(pass_milestone(milestone, now=later(900))).then()


@pytest.mark.parametrize("milestone", Milestone)
def test_after_the_deadline_there_are_no_milestones(milestone):
    WAITING.when(pass_milestone(milestone, now=later(1_000))).then()


@pytest.mark.parametrize("milestone", Milestone)
def test_without_a_clock_there_are_no_milestones(milestone):
    Given(DECISION, submitted()).when(pass_milestone(milestone, now=later(10**9))).then()


@pytest.mark.parametrize(
    ("milestone", "cause"),
    [(HALF_TIME, EscalationCause.HALF_TIME), (BREACH, EscalationCause.BREACH)],
)
def test_a_milestone_moves_it_up_where_the_policy_says_so(milestone, cause):
    terms = replace(ESCALATING, ladder=("soc",))

    Given(DECISION, submitted(policy=terms)).when(pass_milestone(milestone, now=later(600))).then(
        milestone_passed(milestone, at=later(600)), unasked(cause=cause, at=later(600), group="soc")
    )


@pytest.mark.parametrize(
    ("milestone", "terms"),
    [
        (HALF_TIME, replace(ESCALATING, escalates_at_half=False)),
        (BREACH, replace(ESCALATING, escalates_at_breach=False)),
    ],
)
def test_each_milestone_moves_it_up_only_where_the_policy_says_so(milestone, terms):
    Given(DECISION, submitted(policy=terms)).when(pass_milestone(milestone, now=later(600))).then(
        milestone_passed(milestone, at=later(600))
    )


def test_at_the_highest_level_a_milestone_is_only_noted():
    terms = replace(ESCALATING, escalation_levels=1)

    Given(DECISION, submitted(policy=terms), escalated(by=ANA)).when(
        pass_milestone(BREACH, now=later(600))
    ).then(milestone_passed(BREACH, at=later(600)))


def test_moving_it_up_ends_the_claim_of_whoever_was_too_slow():
    held = Given(DECISION, submitted(policy=ESCALATING), claimed(by=ANA, at=later(500)))

    held.when(pass_milestone(BREACH, now=later(600))).then(
        milestone_passed(BREACH, at=later(600)),
        released(by=None, holder=ANA, cause=ReleaseCause.ESCALATED, at=later(600)),
        unasked(cause=EscalationCause.BREACH, at=later(600)),
    )


def test_a_milestone_that_moves_nothing_up_leaves_the_claim():
    held = Given(DECISION, submitted(policy=TIMED), claimed(by=ANA, at=later(500)))

    held.when(pass_milestone(BREACH, now=later(600))).then(milestone_passed(BREACH, at=later(600)))


def test_whoever_was_too_slow_may_still_decide_it_at_the_next_level():
    moved_up = Given(
        DECISION,
        submitted(policy=ESCALATING),
        claimed(by=ANA, at=later(200)),
        milestone_passed(HALF_TIME, at=later(300)),
        released(by=None, holder=ANA, cause=ReleaseCause.ESCALATED, at=later(300)),
        unasked(cause=EscalationCause.HALF_TIME, at=later(300)),
    )

    moved_up.when(cast_vote(by=ANA, now=later(400))).then(
        voted(by=ANA, level=1, at=later(400)), resolved(by=ANA, at=later(400))
    )


def test_at_the_deadline_it_expires():
    WAITING.when(time_out(now=later(1_000))).then(timed_out(deadline_at=later(1_000), at=later(1_000)))


def test_a_timer_that_comes_late_says_when_the_deadline_was():
    WAITING.when(time_out(now=later(5_000))).then(timed_out(deadline_at=later(1_000), at=later(5_000)))


def test_before_the_deadline_nothing_expires():
    WAITING.when(time_out(now=later(999.999))).then()


def test_without_a_deadline_nothing_expires():
    Given(DECISION, submitted()).when(time_out(now=later(10**9))).then()


@pytest.mark.parametrize(
    "events",
    [
        [],
        [submitted(policy=TIMED), resolved()],
        [submitted(policy=TIMED), timed_out(deadline_at=later(1_000), at=later(1_000))],
        [submitted(policy=TIMED), withdrawn()],
    ],
)
def test_what_is_not_open_does_not_expire(events):
    Given(DECISION, *events).when(time_out(now=later(2_000))).then()


@pytest.mark.parametrize(
    "work", [[claimed(by=ANA), released(by=ANA)], [voted(by=ANA)], [escalated(by=ANA)]], ids=len
)
def test_an_expiry_says_that_somebody_had_seen_it(work):
    terms = replace(TIMED, approvals_needed=2)

    Given(DECISION, submitted(policy=terms), *work).when(time_out(now=later(1_000))).then(
        timed_out(deadline_at=later(1_000), at=later(1_000), human_seen=True)
    )


@pytest.mark.parametrize(
    "work",
    [[commented(by=ANA)], [milestone_passed(), unasked(cause=EscalationCause.HALF_TIME, at=later(300))]],
    ids=len,
)
def test_an_expiry_says_that_nobody_had_worked_on_it(work):
    Given(DECISION, submitted(policy=TIMED), *work).when(time_out(now=later(1_000))).then(
        timed_out(deadline_at=later(1_000), at=later(1_000), human_seen=False)
    )


def test_votes_that_were_not_enough_do_not_make_an_expiry_a_verdict():
    terms = replace(TIMED, approvals_needed=2)
    expired = Given(DECISION, submitted(policy=terms), voted(by=ANA), timed_out(human_seen=True))

    assert isinstance(expired.state, Closed)
    assert status_of(expired.state, NOW) is Status.EXPIRED
    assert answer_of(expired.state).decided_by is None
    assert answer_of(expired.state).approved_actions == ()


@pytest.mark.parametrize(
    ("default", "approved"), [(DefaultOutcome.DENY, None), (DefaultOutcome.APPROVE, DIGEST)]
)
def test_what_the_policy_lets_pass_may_be_used_and_is_still_an_expiry(default, approved):
    terms = replace(TIMED, default_outcome=default)
    waiting = Given(DECISION, submitted(policy=terms))
    expiry = timed_out(deadline_at=later(1_000), default=default, at=later(1_000))

    waiting.when(time_out(now=later(1_000))).then(expiry)
    expired = Given(DECISION, *waiting.events, expiry).state
    assert expired.approved == approved
    assert (expired.answer.status, expired.answer.default_outcome) == (Status.EXPIRED, default)


@pytest.mark.parametrize(
    "wish",
    [
        *(claim, renew, release, offer_handover, accept_handover, assign, reprioritise, cast_vote, escalate),
        *(request_information, provide_information, attach_evidence, withdraw, supersede, cancel),
    ],
)
def test_nothing_counts_after_the_deadline_also_before_anybody_has_written_that_down(wish):
    held = Given(DECISION, submitted(policy=TIMED), claimed(by=ANA, seconds=2_000))

    held.when(wish(now=later(1_000))).then_refused(
        DeadlinePassed, decision_id=SUSPECT, deadline_at=later(1_000)
    )


def test_not_even_an_override_comes_after_the_deadline():
    WAITING.when(override(now=later(1_000))).then_refused(
        DeadlinePassed, decision_id=SUSPECT, deadline_at=later(1_000)
    )


def test_right_before_the_deadline_a_vote_counts():
    WAITING.when(cast_vote(now=later(999.999))).then(voted(at=later(999.999)), resolved(at=later(999.999)))


def test_after_the_deadline_people_still_talk():
    WAITING.when(comment(now=later(1_000))).then(commented(at=later(1_000)))


def test_outside_it_is_expired_from_the_deadline_on():
    assert status_of(WAITING.state, later(999.999)) is Status.PENDING
    assert status_of(WAITING.state, later(1_000)) is Status.EXPIRED


def test_a_session_that_ended_after_the_deadline_lets_go_all_the_same():
    held = Given(DECISION, submitted(policy=TIMED), claimed(by=ANA, seconds=2_000))

    held.when(release(by=None, now=later(1_500))).then(
        released(by=None, holder=ANA, cause=ReleaseCause.SESSION_ENDED, at=later(1_500))
    )


def test_an_open_question_puts_the_deadline_off():
    assert deadline_of(case_of(ASKED.state)) == later(6_000)
    ASKED.when(time_out(now=later(5_999))).then()
    ASKED.when(time_out(now=later(6_000))).then(
        timed_out(deadline_at=later(6_000), human_seen=True, at=later(6_000))
    )


def test_a_question_that_stops_no_clock_puts_nothing_off():
    terms = replace(TIMED, information_pauses_clock=False)
    asked = Given(
        DECISION, submitted(policy=terms), claimed(by=ANA), information_requested(pauses_clock=False)
    )

    assert deadline_of(case_of(asked.state)) == later(1_000)
    assert milestone_at(case_of(asked.state), BREACH) == later(600)


def test_while_a_question_is_open_no_milestone_is_due():
    ASKED.when(pass_milestone(HALF_TIME, now=later(5_299))).then()
    ASKED.when(pass_milestone(HALF_TIME, now=later(5_300))).then(milestone_passed(HALF_TIME, at=later(5_300)))


def test_after_a_pause_half_time_is_when_half_of_the_time_has_run():
    answered = information_provided(target_at=later(1_000), deadline_at=later(1_400), at=later(500))
    case = case_of(Given(DECISION, *ASKED.events, answered).state)

    assert (milestone_at(case, HALF_TIME), milestone_at(case, BREACH), deadline_of(case)) == (
        later(700),
        later(1_000),
        later(1_400),
    )


def test_nobody_countersigned_in_time():
    duty = Given(DECISION, submitted(), overridden(countersign_by=later(86_400)))

    duty.when(lapse_override(now=later(86_400))).then(
        override_lapsed(countersign_by=later(86_400), at=later(86_400))
    )
    duty.when(lapse_override(now=later(86_399))).then()
    Given(DECISION, *duty.events, override_lapsed()).when(lapse_override(now=later(86_401))).then()


@pytest.mark.parametrize(
    "events", [[], [submitted()], [submitted(), resolved()], [submitted(), withdrawn()]], ids=len
)
def test_without_an_override_nothing_lapses(events):
    Given(DECISION, *events).when(lapse_override(now=later(10**9))).then()

"""When something of a decision falls due, and what time then does to it."""

from msgspec.structs import replace

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent, EscalationCause, Milestone, ReleaseCause
from ledger.domain.decision.state import case_of
from ledger.domain.decision.timing import Timer, clocks_of, due_moments
from ledger.domain.event import Utc
from ledger.domain.terms import Policy
from tests.builders import (
    ANA,
    claimed,
    escalated,
    later,
    policy,
    released,
    submitted,
)
from tests.builders.workflow_commands import lapse_override, pass_milestone, provide_information, time_out
from tests.builders.workflow_events import (
    information_provided,
    information_requested,
    milestone_passed,
    overridden,
    override_lapsed,
    timed_out,
)
from tests.domain.given import Given


def timed(
    *,
    target: int | None = 100,
    deadline: int | None = 200,
    pause: int = 1_000,
    half: bool = False,
    breach: bool = False,
    ladder: tuple[str, ...] = (),
) -> Policy:
    return replace(
        policy(),
        target_seconds=target,
        deadline_seconds=deadline,
        information_seconds=pause,
        escalates_at_half=half,
        escalates_at_breach=breach,
        ladder=ladder,
    )


def due_in(*events: DecisionEvent) -> dict[Timer, Utc]:
    return due_moments(clocks_of(case_of(Given(DECISION, *events).state)))


ASKED = information_requested(at=later(10))
ANSWERED = information_provided(target_at=later(140), deadline_at=later(240), at=later(50))


def test_without_a_target_and_a_deadline_nothing_falls_due():
    assert due_in(submitted()) == {}


def test_half_time_and_breach_are_of_the_target_and_the_end_is_the_deadline():
    assert due_in(submitted(policy=timed())) == {
        Timer.HALF_TIME: later(50),
        Timer.BREACH: later(100),
        Timer.DEADLINE: later(200),
    }


def test_without_a_target_half_time_is_of_the_deadline_and_nothing_is_breached():
    assert due_in(submitted(policy=timed(target=None))) == {
        Timer.HALF_TIME: later(100),
        Timer.DEADLINE: later(200),
    }


def test_a_milestone_is_due_once():
    asked = submitted(policy=timed(deadline=None))

    assert due_in(asked, milestone_passed()) == {Timer.BREACH: later(100)}
    assert due_in(asked, milestone_passed(), milestone_passed(Milestone.BREACH)) == {}


def test_no_milestone_comes_at_the_deadline():
    assert due_in(submitted(policy=timed(target=200))) == {
        Timer.HALF_TIME: later(100),
        Timer.DEADLINE: later(200),
    }


def test_a_question_stops_every_clock_for_as_long_as_it_may():
    assert due_in(submitted(policy=timed()), claimed(), ASKED) == {
        Timer.HALF_TIME: later(1_050),
        Timer.BREACH: later(1_100),
        Timer.DEADLINE: later(1_200),
    }


def test_a_question_that_stops_no_clock_moves_nothing():
    asked = information_requested(at=later(10), pauses_clock=False)

    assert due_in(submitted(policy=timed()), claimed(), asked) == due_in(submitted(policy=timed()))


def test_a_pause_moves_every_moment_by_its_length_half_time_too():
    assert due_in(submitted(policy=timed()), claimed(), ASKED, ANSWERED) == {
        Timer.HALF_TIME: later(90),
        Timer.BREACH: later(140),
        Timer.DEADLINE: later(240),
    }


def test_an_answer_sets_the_clocks_to_where_the_pause_left_them():
    waiting = Given(DECISION, submitted(policy=timed()), claimed(), ASKED)

    waiting.when(provide_information(now=later(50))).then(ANSWERED)


def test_at_half_time_it_moves_up_to_the_group_of_the_ladder():
    held = Given(DECISION, submitted(policy=timed(half=True, ladder=("tier-2",))), claimed())

    held.when(pass_milestone(now=later(50))).then(
        milestone_passed(at=later(50)),
        released(by=None, holder=ANA, cause=ReleaseCause.ESCALATED, at=later(50)),
        escalated(
            by=None,
            cause=EscalationCause.HALF_TIME,
            reason=_reason_of(held, 50),
            group="tier-2",
            at=later(50),
        ),
    )


def _reason_of(given: Given, at: int) -> str:
    """What a timer says is the domain's choice of words."""
    return str(DECISION.decide(pass_milestone(now=later(at)), given.state)[-1].reason)


def test_a_timer_that_comes_too_early_changes_nothing():
    waiting = Given(DECISION, submitted(policy=timed()))

    waiting.when(pass_milestone(now=later(49.9))).then()
    waiting.when(pass_milestone(Milestone.BREACH, now=later(99.9))).then()
    waiting.when(time_out(now=later(199.9))).then()


def test_a_milestone_that_comes_after_the_deadline_changes_nothing():
    Given(DECISION, submitted(policy=timed(half=True))).when(pass_milestone(now=later(200))).then()


def test_at_the_deadline_it_expires_and_says_whether_anybody_saw_it():
    unseen = Given(DECISION, submitted(policy=timed()))
    seen = Given(DECISION, submitted(policy=timed()), claimed(), released())

    unseen.when(time_out(now=later(200))).then(timed_out(deadline_at=later(200), at=later(200)))
    seen.when(time_out(now=later(201))).then(
        timed_out(deadline_at=later(200), human_seen=True, at=later(201))
    )


def test_an_override_lapses_when_its_time_is_over_and_not_before():
    broken = Given(DECISION, submitted(), overridden(countersign_by=later(60)))

    broken.when(lapse_override(now=later(59))).then()
    broken.when(lapse_override(now=later(60))).then(override_lapsed(countersign_by=later(60), at=later(60)))

import pytest

from ledger.domain.authority import InsufficientPermissions, Role, SessionNotLive, StepUpRequired
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Choice, Outcome
from ledger.domain.decision.rules import (
    ActionNotAllowed,
    AlreadyMade,
    AlreadyVoted,
    EscalatorMayNotDecide,
    ReasonRequired,
    SelfReview,
    SubjectChanged,
)
from ledger.domain.decision.state import DecisionNotFound, Status
from ledger.domain.ids import Digest
from ledger.domain.terms import Action, ReasonMode
from tests.builders import (
    ADA,
    ANA,
    BEN,
    DIGEST,
    FOUR_EYES,
    LEA,
    NOW,
    SAM,
    SUSPECT,
    TWO_OF_EACH,
    authority,
    cast_vote,
    claimed,
    escalated,
    later,
    policy,
    released,
    resolved,
    session_of,
    submitted,
    voted,
)
from tests.domain.given import Given

WAITING = Given(DECISION, submitted())
HALF_WAY = Given(DECISION, submitted(policy=TWO_OF_EACH), voted(by=ANA))


@pytest.mark.parametrize("role", [Role.ANALYST, Role.ADMIN])
def test_one_voice_decides_under_the_built_in_policy(role):
    asking = cast_vote(by=authority(ANA, role=role), notes="seen", now=later(5))

    WAITING.when(asking).then(
        voted(by=ANA, notes="seen", at=later(5)), resolved(by=ANA, notes="seen", at=later(5))
    )


def test_a_rejection_echoes_the_actions_it_came_with():
    WAITING.when(cast_vote(by=ANA, choice=Choice.REJECT, actions=(Action.NO_ACTION,))).then(
        voted(by=ANA, choice=Choice.REJECT, actions=(Action.NO_ACTION,)),
        resolved(by=ANA, outcome=Outcome.REJECTED, actions=(Action.NO_ACTION,), approvals=0, rejections=1),
    )


@pytest.mark.parametrize("role", [Role.SERVICE, Role.VIEWER, Role.AUDITOR])
def test_nobody_else_votes(role):
    WAITING.when(cast_vote(by=authority(ANA, role=role))).then_refused(
        InsufficientPermissions, role=role.value
    )


def test_a_finished_session_does_not_vote():
    asking = cast_vote(by=authority(ANA, session_is_live=False))

    WAITING.when(asking).then_refused(SessionNotLive, session=session_of(ANA))


def test_what_was_never_submitted_is_not_voted_on():
    Given(DECISION).when(cast_vote()).then_refused(DecisionNotFound)


def test_a_verdict_is_final():
    decided = Given(DECISION, submitted(), voted(by=BEN), resolved(by=BEN))

    decided.when(cast_vote(by=ANA)).then_refused(
        AlreadyMade, decision_id=SUSPECT, status=Status.APPROVED, decided_by=BEN, decided_at=NOW
    )


def test_nobody_approves_their_own_decision():
    own = Given(DECISION, submitted(by=SAM, policy=FOUR_EYES), claimed(by=SAM))

    own.when(cast_vote(by=SAM)).then_refused(SelfReview, decision_id=SUSPECT, person=SAM)


def test_not_even_an_administrator_approves_their_own_decision():
    own = Given(DECISION, submitted(by=ADA, policy=FOUR_EYES))

    own.when(cast_vote(by=ADA)).then_refused(SelfReview, decision_id=SUSPECT, person=ADA)


def test_under_four_eyes_anybody_else_approves():
    Given(DECISION, submitted(by=SAM, policy=FOUR_EYES)).when(cast_vote(by=ANA)).then(voted(), resolved())


def test_without_four_eyes_the_submitter_approves():
    Given(DECISION, submitted(by=SAM)).when(cast_vote(by=SAM)).then(voted(by=SAM), resolved(by=SAM))


def test_whoever_escalated_does_not_give_the_verdict():
    moved_up = Given(DECISION, submitted(), escalated(by=ANA))

    moved_up.when(cast_vote(by=ANA)).then_refused(EscalatorMayNotDecide, decision_id=SUSPECT, person=ANA)


def test_a_later_escalation_does_not_free_the_earlier_escalator():
    moved_up = Given(DECISION, submitted(), escalated(by=ANA), escalated(by=BEN, level=2))

    moved_up.when(cast_vote(by=ANA)).then_refused(EscalatorMayNotDecide, decision_id=SUSPECT, person=ANA)


@pytest.mark.parametrize(("escalator", "voter"), [(ADA, ADA), (ANA, BEN), (None, ANA)])
def test_after_an_escalation_administrators_and_others_decide(escalator, voter):
    moved_up = Given(DECISION, submitted(), escalated(by=escalator))

    moved_up.when(cast_vote(by=voter)).then(voted(by=voter, level=1), resolved(by=voter))


def test_a_person_votes_once():
    HALF_WAY.when(cast_vote(by=ANA)).then_refused(AlreadyVoted, decision_id=SUSPECT, person=ANA)


def test_a_person_votes_once_in_whatever_session():
    elsewhere = authority(ANA, session=session_of(ANA, login=1))

    HALF_WAY.when(cast_vote(by=elsewhere)).then_refused(AlreadyVoted, decision_id=SUSPECT, person=ANA)


def test_below_the_threshold_a_vote_is_only_counted():
    Given(DECISION, submitted(policy=TWO_OF_EACH)).when(cast_vote(by=ANA)).then(voted(by=ANA))


def test_below_the_threshold_a_vote_gives_the_lease_back():
    held = Given(DECISION, submitted(policy=TWO_OF_EACH), claimed(by=ANA))

    held.when(cast_vote(by=ANA, now=later(7))).then(
        voted(by=ANA, token=1, at=later(7)), released(by=ANA, at=later(7))
    )


def test_the_actions_are_those_that_all_who_approved_allow():
    both = (Action.CUSTOM, Action.BLOCK_IP)

    HALF_WAY.when(cast_vote(by=BEN, actions=both, notes="agreed")).then(
        voted(by=BEN, actions=both, notes="agreed"),
        resolved(by=BEN, actions=(Action.BLOCK_IP,), notes="agreed", approvals=2),
    )


def test_dissent_is_counted_apart():
    HALF_WAY.when(cast_vote(by=BEN, choice=Choice.REJECT)).then(voted(by=BEN, choice=Choice.REJECT))


def test_enough_rejections_reject():
    dissent = Given(DECISION, *HALF_WAY.events, voted(by=BEN, choice=Choice.REJECT))

    dissent.when(cast_vote(by=LEA, choice=Choice.REJECT)).then(
        voted(by=LEA, choice=Choice.REJECT),
        resolved(by=LEA, outcome=Outcome.REJECTED, approvals=1, rejections=2),
    )


def test_a_single_rejection_may_suffice_where_approval_takes_two():
    strict = Given(DECISION, submitted(policy=policy(approvals=2)), voted(by=ANA))

    strict.when(cast_vote(by=BEN, choice=Choice.REJECT)).then(
        voted(by=BEN, choice=Choice.REJECT),
        resolved(by=BEN, outcome=Outcome.REJECTED, approvals=1, rejections=1),
    )


def test_votes_of_a_lower_level_still_count():
    moved_up = Given(DECISION, *HALF_WAY.events, escalated(by=LEA))

    moved_up.when(cast_vote(by=BEN)).then(voted(by=BEN, level=1), resolved(by=BEN, approvals=2))


def test_a_vote_is_for_what_was_shown():
    asking = cast_vote(by=ANA, digest=Digest("0" * 64))

    WAITING.when(asking).then_refused(SubjectChanged, decision_id=SUSPECT, shown="0" * 64, current=DIGEST)


def test_a_vote_may_name_what_was_shown():
    WAITING.when(cast_vote(by=ANA, digest=DIGEST)).then(voted(), resolved())


def test_actions_outside_the_policy_are_refused_by_name():
    narrow = Given(DECISION, submitted(policy=policy(allowed=(Action.BLOCK_IP, Action.NO_ACTION))))

    narrow.when(cast_vote(actions=(Action.BLOCK_IP, Action.CUSTOM))).then_refused(
        ActionNotAllowed, decision_id=SUSPECT, actions=(Action.CUSTOM,)
    )


@pytest.mark.parametrize(
    ("mode", "choice"),
    [
        (ReasonMode.ALWAYS, Choice.APPROVE),
        (ReasonMode.ALWAYS, Choice.REJECT),
        (ReasonMode.ON_REJECT, Choice.REJECT),
    ],
)
@pytest.mark.parametrize("blank", ["", " \t"])
def test_notes_are_asked_for_as_the_policy_says(mode, choice, blank):
    strict = Given(DECISION, submitted(policy=policy(reason=mode)))

    strict.when(cast_vote(choice=choice, notes=blank)).then_refused(
        ReasonRequired, decision_id=SUSPECT, choice=choice
    )


def test_an_approval_needs_no_notes_where_only_rejections_do():
    strict = Given(DECISION, submitted(policy=policy(reason=ReasonMode.ON_REJECT)))

    strict.when(cast_vote()).then(voted(), resolved())


def test_notes_satisfy_the_policy():
    strict = Given(DECISION, submitted(policy=policy(reason=ReasonMode.ALWAYS)))

    strict.when(cast_vote(notes="seen")).then(voted(notes="seen"), resolved(notes="seen"))


@pytest.mark.parametrize("stepped_up_at", [None, later(-61)])
def test_a_second_factor_must_be_fresh(stepped_up_at):
    strict = Given(DECISION, submitted(policy=policy(step_up_seconds=60)))
    asking = cast_vote(by=authority(ANA, stepped_up_at=stepped_up_at))

    strict.when(asking).then_refused(StepUpRequired, decision_id=SUSPECT, within_seconds=60)


def test_a_second_factor_is_fresh_for_as_long_as_the_policy_says():
    strict = Given(DECISION, submitted(policy=policy(step_up_seconds=60)))

    strict.when(cast_vote(by=authority(ANA, stepped_up_at=later(-60)))).then(voted(), resolved())

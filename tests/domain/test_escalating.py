import pytest

from ledger.domain.authority import InsufficientPermissions, Role, SessionNotLive
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import ReleaseCause
from ledger.domain.decision.rules import (
    ActionNotAllowed,
    AlreadyMade,
    EscalationExhausted,
    EscalationReasonRequired,
    LeaseHeld,
    LeaseLost,
    SubjectChanged,
)
from ledger.domain.decision.state import DecisionNotFound, Status
from ledger.domain.ids import Digest
from ledger.domain.terms import Action
from tests.builders import (
    ANA,
    BEN,
    DIGEST,
    NOW,
    SAM,
    SUSPECT,
    authority,
    claimed,
    escalate,
    escalated,
    later,
    policy,
    released,
    resolved,
    session_of,
    submitted,
)
from tests.domain.given import Given

WAITING = Given(DECISION, submitted())
HELD_BY_ANA = Given(DECISION, submitted(), claimed(by=ANA))
HELD_BEFORE = Given(DECISION, submitted(), claimed(by=ANA), released(by=ANA))
OTHER = Digest("0" * 64)


@pytest.mark.parametrize("role", [Role.ANALYST, Role.ADMIN])
def test_a_reviewer_moves_it_up(role):
    asking = escalate(by=authority(ANA, role=role), actions=(Action.CUSTOM,), notes="odd", now=later(4))

    WAITING.when(asking).then(escalated(by=ANA, actions=(Action.CUSTOM,), notes="odd", at=later(4)))


@pytest.mark.parametrize("role", [Role.SERVICE, Role.VIEWER, Role.AUDITOR])
def test_nobody_else_moves_it_up(role):
    WAITING.when(escalate(by=authority(ANA, role=role))).then_refused(
        InsufficientPermissions, role=role.value
    )


def test_a_finished_session_moves_nothing_up():
    asking = escalate(by=authority(ANA, session_is_live=False))

    WAITING.when(asking).then_refused(SessionNotLive, session=session_of(ANA))


def test_what_was_never_submitted_is_not_moved_up():
    Given(DECISION).when(escalate(by=ANA)).then_refused(DecisionNotFound)


def test_after_the_verdict_nothing_moves_up():
    decided = Given(DECISION, submitted(), resolved())

    decided.when(escalate(by=BEN)).then_refused(
        AlreadyMade, decision_id=SUSPECT, status=Status.APPROVED, decided_by=ANA, decided_at=NOW
    )


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_person_says_why(blank):
    WAITING.when(escalate(by=ANA, reason=blank)).then_refused(EscalationReasonRequired, decision_id=SUSPECT)


def test_the_same_person_moves_it_up_while_levels_last():
    moved_up = Given(DECISION, submitted(), escalated(by=ANA))

    moved_up.when(escalate(by=ANA)).then(escalated(by=ANA, level=2))


def test_there_is_a_highest_level():
    top = Given(DECISION, submitted(policy=policy(levels=1)), escalated(by=BEN))

    top.when(escalate(by=ANA)).then_refused(EscalationExhausted, decision_id=SUSPECT, level=1)


def test_the_submitter_may_move_it_up():
    Given(DECISION, submitted(by=SAM)).when(escalate(by=SAM)).then(escalated(by=SAM))


def test_what_another_person_holds_is_theirs_to_move_up():
    HELD_BY_ANA.when(escalate(by=BEN)).then_refused(
        LeaseHeld, decision_id=SUSPECT, holder=ANA, expires_at=later(300)
    )


def test_the_holder_gives_it_back_by_moving_it_up():
    HELD_BY_ANA.when(escalate(by=ANA)).then(released(by=ANA, cause=ReleaseCause.ESCALATED), escalated(by=ANA))


@pytest.mark.parametrize("by", [ANA, BEN])
def test_a_lapsed_lease_needs_no_release(by):
    HELD_BY_ANA.when(escalate(by=by, now=later(300))).then(escalated(by=by, at=later(300)))


def test_only_actions_of_the_policy_are_proposed():
    narrow = Given(DECISION, submitted(policy=policy(allowed=(Action.NO_ACTION,))))

    narrow.when(escalate(actions=(Action.CUSTOM,))).then_refused(
        ActionNotAllowed, decision_id=SUSPECT, actions=(Action.CUSTOM,)
    )


def test_a_lease_that_is_named_has_to_be_the_living_one():
    again = Given(DECISION, *HELD_BEFORE.events, claimed(by=BEN, token=2))

    again.when(escalate(by=BEN, token=1)).then_refused(LeaseLost, decision_id=SUSPECT, holder=BEN)
    WAITING.when(escalate(by=ANA, token=1)).then_refused(LeaseLost, decision_id=SUSPECT, holder=None)
    HELD_BY_ANA.when(escalate(by=ANA, token=1)).then(
        released(by=ANA, cause=ReleaseCause.ESCALATED), escalated(by=ANA)
    )


def test_whoever_has_been_overtaken_may_move_it_up_without_a_lease():
    overtaken = Given(DECISION, *HELD_BEFORE.events, claimed(by=BEN, token=2), released(by=BEN, token=2))

    overtaken.when(escalate(by=ANA)).then(escalated(by=ANA))


def test_another_digest_than_the_current_one_moves_nothing_up():
    WAITING.when(escalate(digest=OTHER)).then_refused(
        SubjectChanged, decision_id=SUSPECT, shown=OTHER, current=DIGEST
    )

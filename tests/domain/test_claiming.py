import pytest

from ledger.domain.authority import InsufficientPermissions, Role, SessionNotLive
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import ReleaseCause
from ledger.domain.decision.rules import (
    AlreadyMade,
    AlreadyVoted,
    EscalatorMayNotDecide,
    LeaseHeld,
    LeaseLost,
    SelfReview,
)
from ledger.domain.decision.state import DecisionNotFound, Status
from tests.builders import (
    ADA,
    ANA,
    BEN,
    FOUR_EYES,
    LEA,
    NOW,
    SAM,
    SUSPECT,
    TWO_OF_EACH,
    authority,
    claim,
    claimed,
    escalated,
    later,
    lease,
    release,
    released,
    renew,
    renewed,
    resolved,
    session_of,
    submitted,
    voted,
)
from tests.domain.given import Given

WAITING = Given(DECISION, submitted())
HELD_BY_ANA = Given(DECISION, submitted(), claimed(by=ANA))
DECIDED = Given(DECISION, submitted(), resolved())
NOTHING = Given(DECISION)


@pytest.mark.parametrize("role", [Role.ANALYST, Role.ADMIN])
def test_a_reviewer_claims_for_the_time_that_the_policy_gives(role):
    WAITING.when(claim(by=authority(ANA, role=role))).then(claimed(by=ANA, token=1, seconds=300))


@pytest.mark.parametrize("role", [Role.SERVICE, Role.VIEWER, Role.AUDITOR])
@pytest.mark.parametrize("wish", [claim, renew, release])
def test_nobody_else_touches_a_claim(wish, role):
    asking = wish(by=authority(ANA, role=role))

    HELD_BY_ANA.when(asking).then_refused(InsufficientPermissions, role=role.value)


@pytest.mark.parametrize("wish", [claim, renew, release])
def test_a_finished_session_claims_nothing(wish):
    asking = wish(by=authority(ANA, session_is_live=False))

    HELD_BY_ANA.when(asking).then_refused(SessionNotLive, session=session_of(ANA))


@pytest.mark.parametrize("wish", [claim, renew, release])
def test_what_was_never_submitted_is_not_found(wish):
    NOTHING.when(wish(by=ANA)).then_refused(DecisionNotFound)


@pytest.mark.parametrize("wish", [claim, renew, release])
def test_after_the_verdict_there_is_nothing_to_claim(wish):
    DECIDED.when(wish(by=ANA)).then_refused(
        AlreadyMade, decision_id=SUSPECT, status=Status.APPROVED, decided_by=ANA, decided_at=NOW
    )


def test_one_person_reviews_at_a_time():
    asking = claim(by=BEN, token=2, reason="mine", now=later(299))

    HELD_BY_ANA.when(asking).then_refused(LeaseHeld, decision_id=SUSPECT, holder=ANA, expires_at=later(300))


def test_an_administrator_is_not_a_lead():
    asking = claim(by=ADA, token=2, reason="mine")

    HELD_BY_ANA.when(asking).then_refused(LeaseHeld, decision_id=SUSPECT, holder=ANA, expires_at=later(300))


def test_a_lapsed_lease_needs_no_release():
    HELD_BY_ANA.when(claim(by=BEN, token=2, now=later(300))).then(claimed(by=BEN, token=2, at=later(300)))


def test_the_holder_claims_a_lapsed_lease_anew():
    HELD_BY_ANA.when(claim(by=ANA, token=2, now=later(300))).then(claimed(by=ANA, token=2, at=later(300)))


def test_fencing_tokens_grow_over_releases():
    returned = Given(DECISION, submitted(), claimed(by=ANA), released(by=ANA))

    returned.when(claim(by=BEN, token=2)).then(claimed(by=BEN, token=2))


def test_claiming_again_in_the_same_session_changes_nothing():
    HELD_BY_ANA.when(claim(by=ANA, token=2)).then()


def test_a_lead_who_claims_again_in_the_same_session_changes_nothing_either():
    held = Given(DECISION, submitted(), claimed(by=LEA))

    held.when(claim(by=LEA, token=2, reason="mine")).then()


def test_a_lease_in_another_session_of_ones_own_is_held():
    asking = claim(by=authority(ANA, session=session_of(ANA, login=1)), token=2)

    HELD_BY_ANA.when(asking).then_refused(LeaseHeld, decision_id=SUSPECT, holder=ANA, expires_at=later(300))


def test_with_a_reason_people_take_over_from_their_own_other_session():
    other = session_of(ANA, login=1)
    asking = claim(by=authority(ANA, session=other), token=2, reason="browser crashed")

    HELD_BY_ANA.when(asking).then(
        released(holder=ANA, by=ANA, cause=ReleaseCause.TAKEN_OVER, reason="browser crashed"),
        claimed(by=ANA, session=other, token=2),
    )


def test_a_lead_takes_over_with_a_reason():
    HELD_BY_ANA.when(claim(by=LEA, token=2, reason="Ana is in a call", now=later(10))).then(
        released(holder=ANA, by=LEA, cause=ReleaseCause.TAKEN_OVER, reason="Ana is in a call", at=later(10)),
        claimed(by=LEA, token=2, at=later(10)),
    )


@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_lead_without_a_reason_waits_like_everybody(blank):
    asking = claim(by=LEA, token=2, reason=blank)

    HELD_BY_ANA.when(asking).then_refused(LeaseHeld, decision_id=SUSPECT, holder=ANA, expires_at=later(300))


def test_under_four_eyes_the_submitter_does_not_claim():
    own = Given(DECISION, submitted(by=SAM, policy=FOUR_EYES))

    own.when(claim(by=SAM)).then_refused(SelfReview, decision_id=SUSPECT, person=SAM)


def test_without_four_eyes_the_submitter_claims():
    Given(DECISION, submitted(by=SAM)).when(claim(by=SAM)).then(claimed(by=SAM))


def test_whoever_escalated_does_not_hold_it_up():
    moved_up = Given(DECISION, submitted(), escalated(by=ANA))

    moved_up.when(claim(by=ANA)).then_refused(EscalatorMayNotDecide, decision_id=SUSPECT, person=ANA)


def test_an_administrator_who_escalated_may_claim():
    Given(DECISION, submitted(), escalated(by=ADA)).when(claim(by=ADA)).then(claimed(by=ADA))


def test_whoever_voted_does_not_hold_it_up():
    half_way = Given(DECISION, submitted(policy=TWO_OF_EACH), voted(by=ANA))

    half_way.when(claim(by=ANA)).then_refused(AlreadyVoted, decision_id=SUSPECT, person=ANA)


def test_the_holder_renews_from_now_on():
    HELD_BY_ANA.when(renew(by=ANA, now=later(200))).then(renewed(by=ANA, at=later(200), seconds=300))


def test_a_renewed_lease_holds_until_its_new_end():
    kept = Given(DECISION, submitted(), claimed(by=ANA), renewed(by=ANA, at=later(200)))

    kept.when(claim(by=BEN, token=2, now=later(499))).then_refused(
        LeaseHeld, decision_id=SUSPECT, holder=ANA, expires_at=later(500)
    )


@pytest.mark.parametrize("wish", [renew, release])
def test_a_lapsed_lease_is_lost(wish):
    HELD_BY_ANA.when(wish(by=ANA, now=later(300))).then_refused(LeaseLost, decision_id=SUSPECT, holder=None)


@pytest.mark.parametrize("wish", [renew, release])
def test_what_nobody_holds_is_lost(wish):
    WAITING.when(wish(by=ANA)).then_refused(LeaseLost, decision_id=SUSPECT, holder=None)


@pytest.mark.parametrize("wish", [renew, release])
def test_another_persons_lease_is_not_mine(wish):
    HELD_BY_ANA.when(wish(by=BEN)).then_refused(LeaseLost, decision_id=SUSPECT, holder=ANA)


@pytest.mark.parametrize("wish", [renew, release])
def test_an_earlier_lease_of_ones_own_is_lost(wish):
    again = Given(DECISION, submitted(), claimed(by=ANA), claimed(by=ANA, token=2))

    again.when(wish(by=ANA, token=1)).then_refused(LeaseLost, decision_id=SUSPECT, holder=ANA)


def test_the_holder_gives_it_back():
    HELD_BY_ANA.when(release(by=ANA, now=later(9))).then(released(by=ANA, at=later(9)))


def test_a_finished_session_lets_go():
    HELD_BY_ANA.when(release(by=None)).then(released(holder=ANA, by=None, cause=ReleaseCause.SESSION_ENDED))


@pytest.mark.parametrize("given", [WAITING, DECIDED, Given(DECISION, submitted(), claimed(by=BEN, token=2))])
def test_a_finished_session_lets_go_of_nothing_twice(given):
    given.when(release(by=None, token=1)).then()


def test_a_finished_session_has_nothing_to_let_go_of_once_the_lease_lapsed():
    HELD_BY_ANA.when(release(by=None, now=later(300))).then()


def test_a_finished_session_held_nothing_that_was_never_submitted():
    NOTHING.when(release(by=None)).then_refused(DecisionNotFound)


def test_leases_are_those_of_the_command():
    (granted,) = DECISION.decide(claim(by=ANA, token=7), WAITING.state)

    assert granted.lease_id == lease(7)

from uuid import UUID

import pytest
from msgspec.structs import replace

from ledger.domain.authority import InsufficientPermissions, Role, SessionIsPaused, SessionNotLive
from ledger.domain.decision.claiming import CannotWorkOnIt, LeadRequired
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Priority, ReleaseCause
from ledger.domain.decision.rules import AlreadyMade, AlreadyVoted, AssignedToAnother, NotInGroup, SelfReview
from ledger.domain.decision.state import DecisionNotFound, Status, case_of
from ledger.domain.errors import ReasonMissing
from ledger.domain.ids import BulkId
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
    VIC,
    authority,
    cast_vote,
    claim,
    claimed,
    escalate,
    escalated,
    later,
    release,
    released,
    resolved,
    session_of,
    submitted,
    voted,
)
from tests.builders.workflow_commands import assign, colleague, reprioritise
from tests.builders.workflow_events import assigned, reprioritised
from tests.domain.given import Given

WAITING = Given(DECISION, submitted())
FOR_ANA = Given(DECISION, submitted(), assigned(to=ANA))
HELD_BY_ANA = Given(DECISION, submitted(), claimed(by=ANA))


@pytest.mark.parametrize("by", [LEA, ADA])
def test_leads_and_administrators_assign(by):
    WAITING.when(assign(by=by, to=ANA, reason="knows it")).then(assigned(to=ANA, by=by, reason="knows it"))


@pytest.mark.parametrize("by", [LEA, ADA])
def test_leads_and_administrators_reprioritise(by):
    WAITING.when(reprioritise(by=by, priority=Priority.LOW, reason="known")).then(
        reprioritised(Priority.LOW, by=by, reason="known")
    )


@pytest.mark.parametrize("wish", [assign, reprioritise])
def test_other_analysts_do_not_lead(wish):
    WAITING.when(wish(by=ANA)).then_refused(LeadRequired, role="analyst")


@pytest.mark.parametrize("role", [Role.SERVICE, Role.VIEWER, Role.AUDITOR])
@pytest.mark.parametrize("wish", [assign, reprioritise])
def test_nobody_else_leads_whatever_they_were(wish, role):
    WAITING.when(wish(by=authority(LEA, role=role))).then_refused(InsufficientPermissions, role=role.value)


@pytest.mark.parametrize("wish", [assign, reprioritise])
def test_a_finished_session_leads_nobody(wish):
    WAITING.when(wish(by=authority(LEA, session_is_live=False))).then_refused(
        SessionNotLive, session=session_of(LEA)
    )


@pytest.mark.parametrize("wish", [assign, reprioritise])
def test_nobody_leads_during_a_break(wish):
    WAITING.when(wish(by=authority(LEA, is_paused=True))).then_refused(SessionIsPaused)


@pytest.mark.parametrize("wish", [assign, reprioritise])
def test_what_was_never_submitted_is_not_moved(wish):
    Given(DECISION).when(wish()).then_refused(DecisionNotFound)


@pytest.mark.parametrize("wish", [assign, reprioritise])
def test_after_the_verdict_nothing_is_moved(wish):
    Given(DECISION, submitted(), resolved()).when(wish()).then_refused(
        AlreadyMade, decision_id=SUSPECT, status=Status.APPROVED, decided_by=ANA, decided_at=NOW
    )


@pytest.mark.parametrize("wish", [assign, reprioritise])
@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_lead_says_why(wish, blank):
    WAITING.when(wish(reason=blank)).then_refused(ReasonMissing, decision_id=SUSPECT)


def test_an_assignment_says_with_which_others_it_was_made():
    together = BulkId(UUID(int=80_000))

    WAITING.when(replace(assign(to=ANA), bulk=together)).then(replace(assigned(to=ANA), bulk=together))


def test_what_is_assigned_already_stays_so():
    FOR_ANA.when(assign(to=ANA)).then()


def test_it_is_given_to_everybody_again():
    FOR_ANA.when(assign(to=None)).then(assigned(to=None))


def test_it_is_not_given_to_everybody_twice():
    WAITING.when(assign(to=None)).then()


def test_a_claim_of_somebody_else_ends_before_it_is_assigned():
    HELD_BY_ANA.when(assign(to=BEN, reason="knows it")).then(
        released(by=LEA, holder=ANA, cause=ReleaseCause.ASSIGNED, reason="knows it"), assigned(to=BEN)
    )


@pytest.mark.parametrize("to", [ANA, None])
def test_the_holder_keeps_what_is_assigned_to_them_or_to_everybody(to):
    Given(DECISION, submitted(), assigned(to=LEA), claimed(by=ANA)).when(assign(to=to)).then(assigned(to=to))


def test_a_lapsed_lease_needs_no_release():
    HELD_BY_ANA.when(assign(to=BEN, now=later(300))).then(assigned(to=BEN, at=later(300)))


def test_it_is_not_assigned_to_who_only_looks():
    WAITING.when(assign(to=VIC)).then_refused(CannotWorkOnIt, decision_id=SUSPECT)


def test_it_is_not_assigned_to_who_has_left():
    WAITING.when(assign(to=colleague(ANA, is_active=False))).then_refused(CannotWorkOnIt, decision_id=SUSPECT)


def test_it_is_not_assigned_to_who_submitted_it_under_four_eyes():
    Given(DECISION, submitted(by=SAM, policy=FOUR_EYES)).when(assign(to=SAM)).then_refused(
        SelfReview, decision_id=SUSPECT, person=SAM
    )


def test_it_is_not_assigned_to_who_has_voted():
    Given(DECISION, submitted(policy=TWO_OF_EACH), voted(by=BEN)).when(assign(to=BEN)).then_refused(
        AlreadyVoted, decision_id=SUSPECT, person=BEN
    )


def test_it_is_assigned_within_the_group_of_its_level():
    terms = replace(FOUR_EYES, ladder=("soc",))
    moved_up = Given(DECISION, submitted(policy=terms), escalated(by=SAM, group="soc"))

    moved_up.when(assign(to=colleague(ANA, groups=("soc",)))).then(assigned(to=ANA))
    moved_up.when(assign(to=ANA)).then_refused(NotInGroup, decision_id=SUSPECT, person=ANA, groups="soc")


@pytest.mark.parametrize("wish", [claim, cast_vote, escalate])
def test_what_is_assigned_to_somebody_is_for_them(wish):
    FOR_ANA.when(wish(by=BEN)).then_refused(AssignedToAnother, decision_id=SUSPECT, assigned_to=ANA)


@pytest.mark.parametrize("by", [ANA, LEA, ADA])
def test_whom_it_is_assigned_to_claims_it_and_a_lead_or_an_administrator_may_step_in(by):
    FOR_ANA.when(claim(by=by)).then(claimed(by=by))


@pytest.mark.parametrize("by", [ANA, LEA, ADA])
def test_whom_it_is_assigned_to_decides_it_and_a_lead_or_an_administrator_may_step_in(by):
    FOR_ANA.when(cast_vote(by=by)).then(voted(by=by), resolved(by=by))


def test_what_is_for_everybody_again_is_claimed_by_anybody():
    Given(DECISION, *FOR_ANA.events, assigned(to=None)).when(claim(by=BEN)).then(claimed(by=BEN))


def test_giving_it_back_keeps_the_assignment():
    given_back = Given(DECISION, *FOR_ANA.events, claimed(by=ANA), released(by=ANA))

    given_back.when(claim(by=BEN)).then_refused(AssignedToAnother, decision_id=SUSPECT, assigned_to=ANA)


def test_a_claim_of_the_assignee_is_given_back_by_them():
    Given(DECISION, *FOR_ANA.events, claimed(by=ANA)).when(release(by=ANA)).then(released(by=ANA))


def test_with_their_vote_the_assignee_has_done_it():
    assert case_of(Given(DECISION, *FOR_ANA.events, voted(by=ANA)).state).assigned_to is None


def test_the_vote_of_who_stepped_in_leaves_it_assigned():
    assert case_of(Given(DECISION, *FOR_ANA.events, voted(by=LEA)).state).assigned_to == ANA


def test_moving_it_up_ends_the_assignment():
    assert case_of(Given(DECISION, *FOR_ANA.events, escalated(by=ANA)).state).assigned_to is None


def test_a_priority_that_it_has_stays_so():
    WAITING.when(reprioritise(priority=Priority.HIGH)).then()


def test_the_priority_that_counts_is_the_last_one():
    moved = Given(DECISION, submitted(), reprioritised(Priority.LOW))

    moved.when(reprioritise(priority=Priority.LOW)).then()
    assert case_of(moved.state).priority is Priority.LOW


def test_what_people_were_shown_and_its_digest_keep_the_priority_that_was_asked_for():
    moved = Given(DECISION, submitted(), reprioritised(Priority.LOW))

    assert case_of(moved.state).asked_priority is Priority.HIGH
    moved.when(cast_vote(digest=DIGEST)).then(voted(), resolved())

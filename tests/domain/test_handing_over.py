import pytest
from msgspec.structs import replace

from ledger.domain.authority import InsufficientPermissions, Role, SessionIsPaused, SessionNotLive
from ledger.domain.decision.claiming import CannotWorkOnIt, HandoverToYourself, NothingOffered
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import ReleaseCause
from ledger.domain.decision.rules import (
    AlreadyMade,
    AlreadyVoted,
    EscalatorMayNotDecide,
    LeaseHeld,
    LeaseLost,
    NotInGroup,
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
    VIC,
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
from tests.builders.workflow_commands import accept_handover, colleague, offer_handover
from tests.builders.workflow_events import assigned, offered
from tests.domain.given import Given

HELD_BY_ANA = Given(DECISION, submitted(), claimed(by=ANA))
OFFERED_TO_BEN = Given(DECISION, submitted(), claimed(by=ANA), offered(by=ANA, to=BEN))
FOR_THE_SOC = replace(policy(), reviewers=("soc",))


def handed_over(*, by=BEN, at=NOW):
    return released(by=by, holder=ANA, cause=ReleaseCause.HANDED_OVER, at=at)


def test_the_holder_offers_it_to_a_colleague():
    HELD_BY_ANA.when(offer_handover(by=ANA, to=BEN)).then(offered(by=ANA, to=BEN))


def test_an_administrator_may_be_asked():
    HELD_BY_ANA.when(offer_handover(by=ANA, to=ADA)).then(offered(by=ANA, to=ADA))


def test_asking_the_same_colleague_again_changes_nothing():
    OFFERED_TO_BEN.when(offer_handover(by=ANA, to=BEN)).then()


def test_asking_somebody_else_replaces_the_offer():
    asked_lea = Given(DECISION, *OFFERED_TO_BEN.events, offered(by=ANA, to=LEA))

    OFFERED_TO_BEN.when(offer_handover(by=ANA, to=LEA)).then(offered(by=ANA, to=LEA))
    asked_lea.when(accept_handover(by=BEN)).then_refused(NothingOffered, decision_id=SUSPECT)


def test_an_offer_under_an_earlier_lease_is_made_again_under_the_new_one():
    claimed_again = Given(DECISION, *OFFERED_TO_BEN.events, claimed(by=ANA, token=2, at=later(300)))

    claimed_again.when(offer_handover(by=ANA, to=BEN, token=2, now=later(301))).then(
        offered(by=ANA, to=BEN, token=2, at=later(301))
    )


def test_only_a_living_lease_is_handed_over():
    HELD_BY_ANA.when(offer_handover(by=ANA, now=later(300))).then_refused(
        LeaseLost, decision_id=SUSPECT, holder=None
    )


def test_nobody_hands_over_what_another_person_holds():
    HELD_BY_ANA.when(offer_handover(by=LEA, to=BEN)).then_refused(LeaseLost, decision_id=SUSPECT, holder=ANA)


def test_nobody_hands_over_to_themselves():
    HELD_BY_ANA.when(offer_handover(by=ANA, to=ANA)).then_refused(HandoverToYourself, decision_id=SUSPECT)


def test_who_only_looks_is_not_asked():
    HELD_BY_ANA.when(offer_handover(by=ANA, to=VIC)).then_refused(CannotWorkOnIt, decision_id=SUSPECT)


def test_who_has_left_is_not_asked():
    asking = offer_handover(by=ANA, to=colleague(BEN, is_active=False))

    HELD_BY_ANA.when(asking).then_refused(CannotWorkOnIt, decision_id=SUSPECT)


def test_who_submitted_it_is_not_asked_under_four_eyes():
    Given(DECISION, submitted(by=SAM, policy=FOUR_EYES), claimed(by=ANA)).when(
        offer_handover(by=ANA, to=SAM)
    ).then_refused(SelfReview, decision_id=SUSPECT, person=SAM)


def test_on_whose_behalf_it_was_submitted_is_not_asked_under_four_eyes():
    Given(DECISION, submitted(policy=FOUR_EYES, on_behalf_of=SAM), claimed(by=ANA)).when(
        offer_handover(by=ANA, to=SAM)
    ).then_refused(SelfReview, decision_id=SUSPECT, person=SAM)


def test_members_of_its_group_are_asked_and_others_are_not():
    held = Given(DECISION, submitted(policy=FOR_THE_SOC), claimed(by=ANA))

    held.when(offer_handover(by=ANA, to=colleague(BEN, groups=("soc",)))).then(offered(by=ANA, to=BEN))
    held.when(offer_handover(by=ANA, to=BEN)).then_refused(
        NotInGroup, decision_id=SUSPECT, person=BEN, groups="soc"
    )


@pytest.mark.parametrize("role", [Role.SERVICE, Role.VIEWER, Role.AUDITOR])
@pytest.mark.parametrize("wish", [offer_handover, accept_handover])
def test_nobody_else_hands_over(wish, role):
    OFFERED_TO_BEN.when(wish(by=authority(BEN, role=role))).then_refused(
        InsufficientPermissions, role=role.value
    )


@pytest.mark.parametrize("wish", [offer_handover, accept_handover])
def test_a_finished_session_hands_nothing_over(wish):
    OFFERED_TO_BEN.when(wish(by=authority(BEN, session_is_live=False))).then_refused(
        SessionNotLive, session=session_of(BEN)
    )


@pytest.mark.parametrize("wish", [offer_handover, accept_handover])
def test_what_was_never_submitted_is_not_handed_over(wish):
    Given(DECISION).when(wish()).then_refused(DecisionNotFound)


@pytest.mark.parametrize("wish", [offer_handover, accept_handover])
def test_after_the_verdict_there_is_nothing_to_hand_over(wish):
    Given(DECISION, *OFFERED_TO_BEN.events, resolved(by=ANA)).when(wish()).then_refused(
        AlreadyMade, decision_id=SUSPECT, status=Status.APPROVED, decided_by=ANA, decided_at=NOW
    )


def test_who_was_asked_takes_over_under_a_lease_of_their_own():
    OFFERED_TO_BEN.when(accept_handover(by=BEN, now=later(200))).then(
        handed_over(at=later(200)), claimed(by=BEN, token=2, at=later(200))
    )


def test_nobody_accepts_what_another_person_was_offered():
    OFFERED_TO_BEN.when(accept_handover(by=LEA)).then_refused(NothingOffered, decision_id=SUSPECT)


def test_nobody_accepts_what_was_not_offered():
    HELD_BY_ANA.when(accept_handover(by=BEN)).then_refused(NothingOffered, decision_id=SUSPECT)


def test_an_offer_ends_with_the_lease():
    OFFERED_TO_BEN.when(accept_handover(by=BEN, now=later(300))).then_refused(
        NothingOffered, decision_id=SUSPECT
    )


@pytest.mark.parametrize(
    "since",
    [
        [released(by=ANA), claimed(by=ANA, token=2)],
        [released(by=LEA, holder=ANA, cause=ReleaseCause.TAKEN_OVER), claimed(by=LEA, token=2)],
        [claimed(by=LEA, token=2, at=later(300))],
        [escalated(by=ANA), claimed(by=LEA, token=2)],
    ],
)
def test_an_offer_of_an_earlier_claim_is_over(since):
    Given(DECISION, *OFFERED_TO_BEN.events, *since).when(
        accept_handover(by=BEN, now=later(100))
    ).then_refused(NothingOffered, decision_id=SUSPECT)


def test_nobody_accepts_during_a_break():
    OFFERED_TO_BEN.when(accept_handover(by=authority(BEN, is_paused=True))).then_refused(SessionIsPaused)


def test_a_machine_accepts_nothing():
    machine = replace(authority(BEN), session=None)

    OFFERED_TO_BEN.when(accept_handover(by=machine)).then_refused(InsufficientPermissions, role="analyst")


@pytest.mark.parametrize(
    ("since", "refusal"),
    [(voted(by=BEN), AlreadyVoted), (escalated(by=BEN, level=1), EscalatorMayNotDecide)],
)
def test_who_could_not_decide_it_any_more_does_not_take_it_over(since, refusal):
    Given(DECISION, submitted(policy=TWO_OF_EACH), since, claimed(by=ANA), offered(by=ANA, to=BEN)).when(
        accept_handover(by=BEN)
    ).then_refused(refusal, decision_id=SUSPECT, person=BEN)


def test_an_assignment_moves_with_the_claim():
    Given(DECISION, submitted(), assigned(to=ANA), claimed(by=ANA), offered(by=ANA, to=BEN)).when(
        accept_handover(by=BEN)
    ).then(
        handed_over(),
        assigned(to=BEN, by=ANA, reason="taken over from them"),
        claimed(by=BEN, token=2),
    )


def test_who_took_it_over_decides_it():
    Given(
        DECISION,
        submitted(),
        assigned(to=ANA),
        claimed(by=ANA),
        offered(by=ANA, to=BEN),
        handed_over(),
        assigned(to=BEN, by=ANA),
        claimed(by=BEN, token=2),
    ).when(cast_vote(by=BEN, token=2)).then(voted(by=BEN, token=2), resolved(by=BEN))


def test_an_assignment_to_the_one_who_takes_over_stands():
    Given(DECISION, submitted(), assigned(to=BEN), claimed(by=LEA), offered(by=LEA, to=BEN)).when(
        accept_handover(by=BEN)
    ).then(released(by=BEN, holder=LEA, cause=ReleaseCause.HANDED_OVER), claimed(by=BEN, token=2))


def test_who_handed_it_over_does_not_hold_it_any_more():
    Given(DECISION, *OFFERED_TO_BEN.events, handed_over(), claimed(by=BEN, token=2)).when(
        cast_vote(by=ANA, token=1)
    ).then_refused(LeaseHeld, decision_id=SUSPECT, holder=BEN, expires_at=later(300))

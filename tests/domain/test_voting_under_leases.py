import pytest
from msgspec.structs import replace

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.rules import (
    LeaseHeld,
    LeaseLost,
)
from tests.builders import (
    ANA,
    BEN,
    LEA,
    SUSPECT,
    authority,
    cast_vote,
    claimed,
    later,
    lease,
    released,
    resolved,
    session_of,
    submitted,
    voted,
)
from tests.domain.given import Given

HELD_BY_ANA = Given(DECISION, submitted(), claimed(by=ANA))
HELD_BEFORE = Given(
    DECISION,
    submitted(),
    claimed(by=ANA),
    released(by=ANA),
    claimed(by=BEN, token=2),
    released(by=BEN, token=2),
)
HELD_AGAIN = Given(DECISION, *HELD_BEFORE.events, claimed(by=ANA, token=3))


def test_what_another_person_holds_is_not_voted_on():
    HELD_BY_ANA.when(cast_vote(by=BEN, now=later(299))).then_refused(
        LeaseHeld, decision_id=SUSPECT, holder=ANA, expires_at=later(300)
    )


def test_a_lapsed_lease_holds_nobody_up():
    HELD_BY_ANA.when(cast_vote(by=BEN, now=later(300))).then(
        voted(by=BEN, at=later(300)), resolved(by=BEN, at=later(300))
    )


@pytest.mark.parametrize("presented", [1, None])
def test_a_vote_under_a_living_lease_names_it(presented):
    HELD_BY_ANA.when(cast_vote(by=ANA, token=presented)).then(voted(by=ANA, token=1), resolved(by=ANA))


def test_the_holder_votes_from_another_session_too():
    other = session_of(ANA, login=1)

    HELD_BY_ANA.when(cast_vote(by=authority(ANA, session=other))).then(
        voted(by=ANA, session=other, token=1), resolved(by=ANA)
    )


def test_a_lapsed_lease_is_not_presented():
    asking = cast_vote(by=ANA, token=1, now=later(300))

    HELD_BY_ANA.when(asking).then_refused(LeaseLost, decision_id=SUSPECT, holder=None)


def test_without_presenting_it_a_lapsed_lease_does_no_harm():
    HELD_BY_ANA.when(cast_vote(by=ANA, now=later(300))).then(voted(at=later(300)), resolved(at=later(300)))


def test_an_old_fencing_token_is_refused():
    HELD_AGAIN.when(cast_vote(by=ANA, token=1)).then_refused(LeaseLost, decision_id=SUSPECT, holder=ANA)


@pytest.mark.parametrize(
    ("lease_id", "fencing_token"), [(lease(1), None), (None, 1), (lease(1), 2), (lease(2), 1)]
)
def test_half_a_lease_is_none(lease_id, fencing_token):
    asking = replace(cast_vote(by=ANA), lease_id=lease_id, fencing_token=fencing_token)

    HELD_BY_ANA.when(asking).then_refused(LeaseLost, decision_id=SUSPECT, holder=ANA)


def test_who_lost_it_to_somebody_else_claims_again_first():
    HELD_BEFORE.when(cast_vote(by=ANA)).then_refused(LeaseLost, decision_id=SUSPECT, holder=None)


def test_who_lost_it_and_claimed_again_says_under_which_lease():
    HELD_AGAIN.when(cast_vote(by=ANA)).then_refused(LeaseLost, decision_id=SUSPECT, holder=ANA)


def test_who_lost_it_and_claimed_again_votes_under_the_new_lease():
    HELD_AGAIN.when(cast_vote(by=ANA, token=3)).then(voted(by=ANA, token=3), resolved(by=ANA))


@pytest.mark.parametrize("voter", [BEN, LEA])
def test_who_held_it_last_or_never_needs_no_lease(voter):
    HELD_BEFORE.when(cast_vote(by=voter)).then(voted(by=voter), resolved(by=voter))

"""Using an approval, once, and telling how it went."""

import pytest
from msgspec.structs import replace

from ledger.domain.authority import InsufficientPermissions, Role, SessionNotLive
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Outcome
from ledger.domain.decision.informing import NotTheSubmitter
from ledger.domain.decision.state import DecisionNotFound, case_of
from ledger.domain.decision.using import (
    AlreadyRedeemed,
    ApprovalExpired,
    DigestDiffers,
    NotApproved,
    OutcomeAlreadyReported,
    OverrideNotCountersigned,
)
from ledger.domain.ids import Digest
from ledger.domain.terms import DefaultOutcome
from tests.builders import (
    ADA,
    ANA,
    DIGEST,
    ENGINE,
    LEA,
    SAM,
    SUSPECT,
    authority,
    escalated,
    later,
    policy,
    resolved,
    session_of,
    submitted,
)
from tests.builders.workflow_commands import redeem, report_outcome
from tests.builders.workflow_events import (
    cancelled,
    countersigned,
    outcome_reported,
    overridden,
    override_lapsed,
    redeemed,
    superseded,
    timed_out,
    withdrawn,
)
from tests.domain.given import Given

APPROVED = Given(DECISION, submitted(), resolved())
OVERRIDDEN = Given(DECISION, submitted(), overridden(countersign_by=later(3_600)))
LET_PASS = Given(DECISION, submitted(), timed_out(default=DefaultOutcome.APPROVE))
SHORT_LIVED = replace(policy(), redeem_seconds=60)
OTHER_DIGEST = Digest("0" * 64)
USING = [redeem, report_outcome]


def test_the_submitter_uses_an_approval():
    APPROVED.when(redeem(digest=DIGEST)).then(redeemed(digest=DIGEST))


def test_an_approval_is_used_once():
    Given(DECISION, *APPROVED.events, redeemed(at=later(5))).when(redeem(now=later(6))).then_refused(
        AlreadyRedeemed, decision_id=SUSPECT, redeemed_at=later(5)
    )


def test_using_it_is_part_of_the_history():
    assert case_of(Given(DECISION, *APPROVED.events, redeemed(at=later(5))).state).redeemed_at == later(5)


def test_what_is_used_is_what_was_approved():
    APPROVED.when(redeem(digest=OTHER_DIGEST)).then_refused(
        DigestDiffers, decision_id=SUSPECT, approved=DIGEST
    )


def test_what_was_approved_with_changes_is_used_with_them():
    milder = Given(DECISION, submitted(), resolved(approved_digest=OTHER_DIGEST))

    milder.when(redeem(digest=OTHER_DIGEST)).then(redeemed(digest=OTHER_DIGEST))
    milder.when(redeem(digest=DIGEST)).then_refused(DigestDiffers, decision_id=SUSPECT, approved=OTHER_DIGEST)


@pytest.mark.parametrize("wish", USING)
@pytest.mark.parametrize("by", [SAM, ANA, LEA, ADA])
def test_nobody_else_uses_it(wish, by):
    APPROVED.when(wish(by=by)).then_refused(NotTheSubmitter, decision_id=SUSPECT)


@pytest.mark.parametrize("wish", USING)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
def test_who_has_become_an_onlooker_uses_nothing(wish, role):
    APPROVED.when(wish(by=authority(ENGINE, role=role))).then_refused(
        InsufficientPermissions, role=role.value
    )


@pytest.mark.parametrize("wish", USING)
def test_a_finished_session_uses_nothing(wish):
    APPROVED.when(wish(by=authority(ENGINE, session_is_live=False))).then_refused(
        SessionNotLive, session=session_of(ENGINE)
    )


@pytest.mark.parametrize("wish", USING)
def test_what_was_never_submitted_is_not_used(wish):
    Given(DECISION).when(wish()).then_refused(DecisionNotFound)


@pytest.mark.parametrize("wish", USING)
@pytest.mark.parametrize(
    "since",
    [
        [],
        [escalated()],
        [resolved(outcome=Outcome.REJECTED)],
        [overridden(outcome=Outcome.REJECTED)],
        [withdrawn()],
        [superseded()],
        [cancelled()],
        [timed_out(default=DefaultOutcome.DENY)],
    ],
    ids=lambda since: "-".join(type(event).__name__ for event in since) or "waiting",
)
def test_what_is_not_approved_is_not_used(wish, since):
    Given(DECISION, submitted(), *since).when(wish()).then_refused(NotApproved, decision_id=SUSPECT)


def test_what_a_policy_lets_pass_is_used_like_an_approval():
    LET_PASS.when(redeem()).then(redeemed())
    Given(DECISION, *LET_PASS.events, redeemed()).when(redeem()).then_refused(
        AlreadyRedeemed, decision_id=SUSPECT, redeemed_at=later(0)
    )


@pytest.mark.parametrize(
    "end", [resolved(at=later(10)), timed_out(default=DefaultOutcome.APPROVE, at=later(10))]
)
def test_an_approval_is_good_for_as_long_as_the_policy_says(end):
    approved = Given(DECISION, submitted(policy=SHORT_LIVED), end)

    approved.when(redeem(now=later(69.999))).then(redeemed(at=later(69.999)))
    approved.when(redeem(now=later(70))).then_refused(
        ApprovalExpired, decision_id=SUSPECT, valid_until=later(70)
    )


def test_without_a_limit_an_approval_is_good_for_good():
    APPROVED.when(redeem(now=later(10**9))).then(redeemed(at=later(10**9)))


def test_an_override_is_used_before_anybody_has_countersigned():
    OVERRIDDEN.when(redeem(now=later(3_599))).then(redeemed(at=later(3_599)))


@pytest.mark.parametrize("since", [[], [override_lapsed(countersign_by=later(3_600))]], ids=len)
def test_an_override_that_nobody_countersigned_in_time_is_not_used(since):
    Given(DECISION, *OVERRIDDEN.events, *since).when(redeem(now=later(3_600))).then_refused(
        OverrideNotCountersigned, decision_id=SUSPECT
    )


def test_a_lapse_that_a_fast_clock_wrote_down_holds_for_a_slow_one():
    Given(DECISION, *OVERRIDDEN.events, override_lapsed(countersign_by=later(3_600))).when(
        redeem(now=later(1))
    ).then_refused(OverrideNotCountersigned, decision_id=SUSPECT)


def test_a_countersigned_override_is_used_later_too():
    Given(DECISION, *OVERRIDDEN.events, countersigned(by=LEA)).when(redeem(now=later(10_000))).then(
        redeemed(at=later(10_000))
    )


def test_an_override_is_good_for_as_long_as_the_policy_says():
    Given(DECISION, submitted(policy=SHORT_LIVED), overridden(), countersigned(by=LEA)).when(
        redeem(now=later(60))
    ).then_refused(ApprovalExpired, decision_id=SUSPECT, valid_until=later(60))


@pytest.mark.parametrize("succeeded", [True, False])
def test_the_submitter_tells_how_it_went(succeeded):
    APPROVED.when(report_outcome(succeeded=succeeded, details="blocked")).then(
        outcome_reported(succeeded=succeeded, details="blocked")
    )


@pytest.mark.parametrize("given", [APPROVED, OVERRIDDEN, LET_PASS])
def test_how_it_went_is_told_once(given):
    given.when(report_outcome()).then(outcome_reported())
    Given(DECISION, *given.events, outcome_reported(at=later(5))).when(
        report_outcome(now=later(6))
    ).then_refused(OutcomeAlreadyReported, decision_id=SUSPECT, reported_at=later(5))


def test_how_it_went_is_told_also_when_the_time_to_use_it_is_over():
    Given(DECISION, submitted(policy=SHORT_LIVED), resolved(), redeemed()).when(
        report_outcome(now=later(100))
    ).then(outcome_reported(at=later(100)))


def test_telling_how_it_went_uses_nothing_up():
    Given(DECISION, *APPROVED.events, outcome_reported()).when(redeem()).then(redeemed())

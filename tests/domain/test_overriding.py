"""Breaking the glass, and who stands by it."""

import pytest
from msgspec.structs import replace

from ledger.domain.authority import (
    AdminRequired,
    InsufficientPermissions,
    Role,
    SessionIsPaused,
    SessionNotLive,
    StepUpRequired,
)
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.ending import (
    CountersignTooLate,
    NothingToCountersign,
    OwnOverride,
    TicketRequired,
)
from ledger.domain.decision.events import Choice, Outcome
from ledger.domain.decision.rules import ActionNotAllowed, AlreadyMade, SubjectChanged
from ledger.domain.decision.state import (
    Answer,
    DecisionNotFound,
    Duty,
    DutyStanding,
    Resolved,
    Status,
    answer_of,
)
from ledger.domain.errors import ReasonMissing
from ledger.domain.ids import Digest
from ledger.domain.terms import Action, GroupQuorum
from tests.builders import (
    ADA,
    ANA,
    BEN,
    DIGEST,
    ENGINE,
    LEA,
    NOW,
    SUSPECT,
    authority,
    claimed,
    later,
    policy,
    resolved,
    session_of,
    submitted,
    voted,
)
from tests.builders.workflow_commands import countersign, override
from tests.builders.workflow_events import (
    cancelled,
    countersigned,
    overridden,
    override_lapsed,
    withdrawn,
)
from tests.domain.given import Given

STRICT = replace(
    policy(approvals=3, four_eyes=True),
    groups=(GroupQuorum(group="legal", approvals=1),),
    reviewers=("soc",),
    countersign_seconds=3_600,
)
WAITING = Given(DECISION, submitted())
DUTY = Given(DECISION, submitted(), overridden(by=ADA, countersign_by=later(3_600)))
OTHER_DIGEST = Digest("0" * 64)


def admin(person=ADA, *, stepped_up_at=NOW, is_paused=False, session_is_live=True):
    return authority(
        person,
        role=Role.ADMIN,
        stepped_up_at=stepped_up_at,
        is_paused=is_paused,
        session_is_live=session_is_live,
    )


@pytest.mark.parametrize("outcome", Outcome)
def test_an_administrator_ends_it_by_their_word_alone(outcome):
    WAITING.when(override(outcome=outcome)).then(overridden(outcome=outcome))


def test_quorum_groups_and_four_eyes_do_not_hold_an_override_up():
    Given(DECISION, submitted(by=ADA, policy=STRICT), voted(by=ADA)).when(override()).then(
        overridden(countersign_by=later(3_600))
    )


def test_a_claim_of_somebody_else_does_not_hold_an_override_up():
    Given(DECISION, submitted(), claimed(by=ANA)).when(override()).then(overridden())


def test_votes_of_others_do_not_hold_an_override_up():
    Given(DECISION, submitted(policy=STRICT), voted(by=BEN, choice=Choice.APPROVE)).when(
        override(outcome=Outcome.REJECTED)
    ).then(overridden(outcome=Outcome.REJECTED, countersign_by=later(3_600)))


@pytest.mark.parametrize("by", [ENGINE, ANA, LEA])
@pytest.mark.parametrize("wish", [override, countersign])
def test_nobody_else_breaks_the_glass_or_stands_by_it(wish, by):
    DUTY.when(wish(by=by)).then_refused(AdminRequired, role=authority(by).role.value)


@pytest.mark.parametrize("wish", [override, countersign])
def test_a_finished_session_breaks_no_glass(wish):
    DUTY.when(wish(by=admin(session_is_live=False))).then_refused(SessionNotLive, session=session_of(ADA))


@pytest.mark.parametrize("wish", [override, countersign])
def test_nobody_breaks_the_glass_during_a_break(wish):
    DUTY.when(wish(by=admin(is_paused=True))).then_refused(SessionIsPaused)


@pytest.mark.parametrize("wish", [override, countersign])
def test_a_machine_breaks_no_glass(wish):
    DUTY.when(wish(by=replace(admin(), session=None))).then_refused(InsufficientPermissions, role="admin")


@pytest.mark.parametrize("wish", [override, countersign])
def test_there_is_no_glass_around_nothing(wish):
    Given(DECISION).when(wish(by=admin())).then_refused(DecisionNotFound)


def test_a_verdict_is_not_overridden():
    Given(DECISION, submitted(), resolved()).when(override()).then_refused(
        AlreadyMade, decision_id=SUSPECT, status=Status.APPROVED, decided_by=ANA, decided_at=NOW
    )


def test_an_override_is_not_overridden():
    DUTY.when(override()).then_refused(
        AlreadyMade, decision_id=SUSPECT, status=Status.APPROVED, decided_by=ADA, decided_at=NOW
    )


@pytest.mark.parametrize("blank", ["", " \n"])
def test_who_overrides_says_why_and_under_which_ticket(blank):
    WAITING.when(override(reason=blank)).then_refused(ReasonMissing, decision_id=SUSPECT)
    WAITING.when(override(ticket=blank)).then_refused(TicketRequired, decision_id=SUSPECT)


def test_an_override_is_of_what_was_shown():
    WAITING.when(override(digest=OTHER_DIGEST)).then_refused(
        SubjectChanged, decision_id=SUSPECT, shown=OTHER_DIGEST, current=DIGEST
    )
    WAITING.when(override(digest=DIGEST)).then(overridden())


def test_an_override_allows_only_actions_of_the_policy():
    Given(DECISION, submitted(policy=policy(allowed=(Action.NO_ACTION,)))).when(override()).then_refused(
        ActionNotAllowed, decision_id=SUSPECT, actions=(Action.BLOCK_IP,)
    )


@pytest.mark.parametrize("stepped_up_at", [None, later(-301)])
def test_an_override_needs_a_fresh_second_factor(stepped_up_at):
    WAITING.when(override(by=admin(stepped_up_at=stepped_up_at))).then_refused(
        StepUpRequired, decision_id=SUSPECT, within_seconds=300
    )


def test_a_second_factor_is_fresh_for_five_minutes():
    WAITING.when(override(by=admin(stepped_up_at=later(-300)))).then(overridden())


@pytest.mark.parametrize(("outcome", "approved"), [(Outcome.APPROVED, DIGEST), (Outcome.REJECTED, None)])
def test_an_override_is_a_verdict_with_a_duty(outcome, approved):
    state = Given(DECISION, submitted(), overridden(outcome=outcome, countersign_by=later(3_600))).state

    assert isinstance(state, Resolved)
    assert state.approved == approved
    assert state.duty == Duty(by=ADA, countersign_by=later(3_600), standing=DutyStanding.OPEN)


def test_the_submitter_is_told_who_overrode_it_and_why():
    assert answer_of(DUTY.state) == Answer(
        status=Status.APPROVED,
        approved_actions=(Action.BLOCK_IP,),
        notes="nobody else is awake",
        decided_by=ADA,
        decided_at=NOW,
        escalation_reason=None,
        subject_digest=DIGEST,
        approved_digest=DIGEST,
    )


def test_another_administrator_stands_by_it():
    DUTY.when(countersign(by=admin(LEA), notes="as I would have")).then(
        countersigned(by=LEA, notes="as I would have")
    )
    assert Given(DECISION, *DUTY.events, countersigned(by=LEA)).state.duty.standing is (
        DutyStanding.COUNTERSIGNED
    )


def test_nobody_countersigns_what_they_overrode_themselves():
    DUTY.when(countersign(by=admin())).then_refused(OwnOverride, decision_id=SUSPECT)


@pytest.mark.parametrize("stepped_up_at", [None, later(-301)])
def test_countersigning_needs_a_fresh_second_factor(stepped_up_at):
    DUTY.when(countersign(by=admin(LEA, stepped_up_at=stepped_up_at))).then_refused(
        StepUpRequired, decision_id=SUSPECT, within_seconds=300
    )


def test_an_override_is_countersigned_once():
    Given(DECISION, *DUTY.events, countersigned(by=LEA)).when(countersign(by=admin(BEN))).then_refused(
        NothingToCountersign, decision_id=SUSPECT
    )


@pytest.mark.parametrize(
    "events",
    [[submitted()], [submitted(), resolved()], [submitted(), withdrawn()], [submitted(), cancelled()]],
    ids=len,
)
def test_what_nobody_overrode_is_not_countersigned(events):
    Given(DECISION, *events).when(countersign(by=admin(LEA))).then_refused(
        NothingToCountersign, decision_id=SUSPECT
    )


def test_right_before_the_time_is_over_it_is_countersigned():
    by = admin(LEA, stepped_up_at=later(3_599))

    DUTY.when(countersign(by=by, now=later(3_599))).then(countersigned(by=LEA, at=later(3_599)))


@pytest.mark.parametrize("since", [[], [override_lapsed(countersign_by=later(3_600))]], ids=len)
def test_when_the_time_is_over_it_is_too_late(since):
    by = admin(LEA, stepped_up_at=later(3_600))

    Given(DECISION, *DUTY.events, *since).when(countersign(by=by, now=later(3_600))).then_refused(
        CountersignTooLate, decision_id=SUSPECT, countersign_by=later(3_600)
    )


def test_a_lapse_that_a_fast_clock_wrote_down_holds_for_a_slow_one():
    Given(DECISION, *DUTY.events, override_lapsed(countersign_by=later(3_600))).when(
        countersign(by=admin(LEA), now=later(1))
    ).then_refused(CountersignTooLate, decision_id=SUSPECT, countersign_by=later(3_600))

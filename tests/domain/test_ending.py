"""Ends without a verdict: withdrawn, superseded, cancelled."""

import pytest
from msgspec.structs import replace

from ledger.domain.authority import (
    AdminRequired,
    InsufficientPermissions,
    Role,
    SessionIsPaused,
    SessionNotLive,
)
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.ending import NoSuccessor
from ledger.domain.decision.informing import NotTheSubmitter
from ledger.domain.decision.rules import AlreadyMade, DecisionClosed
from ledger.domain.decision.state import Answer, Closed, DecisionNotFound, Status, answer_of, status_of
from ledger.domain.errors import ReasonMissing
from tests.builders import (
    ADA,
    ANA,
    BEN,
    ENGINE,
    LEA,
    NOW,
    SAM,
    SUSPECT,
    TWO_OF_EACH,
    authority,
    cast_vote,
    claim,
    claimed,
    escalate,
    escalated,
    later,
    release,
    renew,
    resolved,
    session_of,
    submitted,
    voted,
)
from tests.builders.workflow_commands import (
    NEWER,
    accept_handover,
    assign,
    attach_evidence,
    cancel,
    offer_handover,
    override,
    provide_information,
    reprioritise,
    request_information,
    supersede,
    withdraw,
)
from tests.builders.workflow_events import cancelled, superseded, timed_out, withdrawn
from tests.domain.given import Given

WAITING = Given(DECISION, submitted())
BY_SUBMITTER = [withdraw, supersede]
ENDING = [*BY_SUBMITTER, cancel]
ENDS = [
    (withdrawn(), Status.WITHDRAWN),
    (superseded(), Status.SUPERSEDED),
    (cancelled(), Status.CANCELLED),
    (timed_out(), Status.EXPIRED),
]


def test_the_submitter_withdraws_it():
    WAITING.when(withdraw(reason="a false alarm")).then(withdrawn(reason="a false alarm"))


def test_a_person_withdraws_what_they_submitted():
    Given(DECISION, submitted(by=SAM)).when(withdraw(by=SAM)).then(withdrawn(by=SAM))


@pytest.mark.parametrize("wish", BY_SUBMITTER)
@pytest.mark.parametrize("by", [SAM, LEA, ADA])
def test_nobody_else_stops_asking(wish, by):
    WAITING.when(wish(by=by)).then_refused(NotTheSubmitter, decision_id=SUSPECT)


@pytest.mark.parametrize("wish", BY_SUBMITTER)
def test_on_whose_behalf_it_was_submitted_does_not_stop_asking_for_the_submitter(wish):
    Given(DECISION, submitted(on_behalf_of=SAM)).when(wish(by=SAM)).then_refused(
        NotTheSubmitter, decision_id=SUSPECT
    )


@pytest.mark.parametrize("wish", BY_SUBMITTER)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
def test_who_has_become_an_onlooker_does_not_stop_asking(wish, role):
    WAITING.when(wish(by=authority(ENGINE, role=role))).then_refused(InsufficientPermissions, role=role.value)


@pytest.mark.parametrize("wish", ENDING)
def test_a_finished_session_ends_nothing(wish):
    by = authority(ADA, session_is_live=False)

    WAITING.when(wish(by=by)).then_refused(SessionNotLive, session=session_of(ADA))


@pytest.mark.parametrize("wish", ENDING)
def test_what_was_never_submitted_does_not_end(wish):
    Given(DECISION).when(wish()).then_refused(DecisionNotFound)


@pytest.mark.parametrize("wish", ENDING)
def test_a_verdict_is_the_end(wish):
    Given(DECISION, submitted(), resolved()).when(wish()).then_refused(
        AlreadyMade, decision_id=SUSPECT, status=Status.APPROVED, decided_by=ANA, decided_at=NOW
    )


@pytest.mark.parametrize("wish", ENDING)
@pytest.mark.parametrize(
    "work",
    [[claimed(by=ANA)], [voted(by=ANA)], [escalated(by=ANA)], [escalated(by=ANA), claimed(by=BEN)]],
    ids=len,
)
def test_it_ends_whatever_work_there_is(wish, work):
    given = Given(DECISION, submitted(policy=TWO_OF_EACH), *work)

    ends = DECISION.decide(wish(), given.state)

    assert isinstance(Given(DECISION, *given.events, *ends).state, Closed)


def test_the_submitter_asks_for_another_decision_instead():
    WAITING.when(supersede(successor=NEWER, reason="more is known")).then(
        superseded(successor=NEWER, reason="more is known")
    )


@pytest.mark.parametrize("submitted_by", [None, SAM])
def test_the_other_decision_is_there_and_of_the_same_submitter(submitted_by):
    WAITING.when(supersede(submitted_by=submitted_by)).then_refused(
        NoSuccessor, decision_id=SUSPECT, successor=NEWER
    )


def test_nothing_supersedes_itself():
    WAITING.when(supersede(successor=SUSPECT)).then_refused(
        NoSuccessor, decision_id=SUSPECT, successor=SUSPECT
    )


def test_an_administrator_cancels_it():
    WAITING.when(cancel(by=ADA, reason="a test")).then(cancelled(by=ADA, reason="a test"))


@pytest.mark.parametrize("by", [ENGINE, ANA, LEA])
def test_nobody_else_cancels(by):
    WAITING.when(cancel(by=by)).then_refused(AdminRequired, role=authority(by).role.value)


def test_nobody_cancels_during_a_break():
    WAITING.when(cancel(by=authority(ADA, is_paused=True))).then_refused(SessionIsPaused)


def test_a_machine_does_not_cancel():
    WAITING.when(cancel(by=replace(authority(ADA), session=None))).then_refused(
        InsufficientPermissions, role="admin"
    )


@pytest.mark.parametrize("blank", ["", " \n"])
def test_who_cancels_says_why(blank):
    WAITING.when(cancel(reason=blank)).then_refused(ReasonMissing, decision_id=SUSPECT)


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_after_such_an_end_nothing_else_happens(end, status):
    over = Given(DECISION, submitted(), claimed(by=ANA), end)

    for wish in (
        *(claim, renew, release, offer_handover, accept_handover, assign, reprioritise, cast_vote, escalate),
        *(request_information, provide_information, attach_evidence, override, *ENDING),
    ):
        over.when(wish()).then_refused(DecisionClosed, decision_id=SUSPECT, status=status, closed_at=NOW)


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_outside_it_is_called_what_ended_it(end, status):
    over = Given(DECISION, submitted(), claimed(by=ANA), end)

    assert status_of(over.state, later(10)) is status
    assert over.state.approved is None


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_a_late_timer_of_the_session_finds_nothing_to_release(end, status):
    Given(DECISION, submitted(), claimed(by=ANA), end).when(release(by=None)).then()


def test_the_submitter_is_told_who_ended_it_and_why():
    assert answer_of(Given(DECISION, submitted(), cancelled(by=ADA, reason="a test")).state) == Answer(
        status=Status.CANCELLED,
        approved_actions=(),
        notes="a test",
        decided_by=ADA,
        decided_at=NOW,
        escalation_reason=None,
    )


def test_the_submitter_is_told_what_took_its_place():
    answer = answer_of(
        Given(DECISION, submitted(), superseded(successor=NEWER, reason="more is known")).state
    )

    assert (answer.status, answer.successor, answer.notes) == (Status.SUPERSEDED, NEWER, "more is known")


def test_the_submitter_is_told_that_they_withdrew_it():
    answer = answer_of(Given(DECISION, submitted(), withdrawn(reason="a false alarm")).state)

    assert (answer.status, answer.decided_by, answer.notes) == (Status.WITHDRAWN, ENGINE, "a false alarm")

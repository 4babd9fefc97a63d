import pytest

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Choice, Outcome, Priority, ReleaseCause
from ledger.domain.decision.state import (
    Answer,
    Case,
    DecisionNotFound,
    InReview,
    Lease,
    NotSubmitted,
    Pending,
    Resolved,
    Status,
    Vote,
    answer_of,
    case_of,
    live_lease,
    status_of,
)
from ledger.domain.terms import Action
from tests.builders import (
    ANA,
    BEN,
    DIGEST,
    ENGINE,
    ITEM,
    NOW,
    SUSPECT,
    TWO_OF_EACH,
    claimed,
    escalated,
    later,
    lease,
    released,
    renewed,
    resolved,
    session_of,
    submitted,
    voted,
)
from tests.domain.given import Given

WAITING = Given(DECISION, submitted()).state
HELD = Given(DECISION, submitted(), claimed(by=ANA)).state
MOVED_UP = Given(DECISION, submitted(), escalated(by=ANA, actions=(Action.CUSTOM,), notes="odd")).state
DECIDED = Given(DECISION, submitted(), voted(), resolved(notes="seen", at=later(60))).state
EVERY_EVENT = [submitted(by=BEN), claimed(), renewed(), released(), voted(), escalated(), resolved()]
ESCALATION = Answer(
    status=Status.ESCALATED,
    approved_actions=(Action.CUSTOM,),
    notes="odd",
    decided_by=ANA,
    decided_at=NOW,
    escalation_reason="beyond me",
)


def test_a_submission_is_remembered_as_it_was():
    state = Given(DECISION, submitted(policy=TWO_OF_EACH, at=later(1))).state

    assert state == Pending(
        Case(
            decision_id=SUSPECT,
            item=ITEM,
            kind_version=1,
            asked_priority=Priority.HIGH,
            priority=Priority.HIGH,
            created_at=NOW,
            submitted_at=later(1),
            submitted_by=ENGINE,
            on_behalf_of=None,
            policy=TWO_OF_EACH,
            subject_digest=DIGEST,
            target_at=None,
            deadline_at=None,
        )
    )


@pytest.mark.parametrize(
    ("events", "holders"),
    [
        ([], ()),
        ([claimed(by=ANA)], (ANA,)),
        ([claimed(by=ANA), claimed(by=ANA, token=2)], (ANA,)),
        ([claimed(by=ANA), claimed(by=BEN, token=2), claimed(by=BEN, token=3)], (ANA, BEN)),
        ([claimed(by=ANA), claimed(by=BEN, token=2), claimed(by=ANA, token=3)], (ANA, BEN, ANA)),
    ],
)
def test_holders_are_a_succession(events, holders):
    assert case_of(Given(DECISION, submitted(), *events).state).holders == holders


def test_a_claim_brings_it_into_review():
    case = Given(DECISION, submitted(), claimed(by=ANA), released()).state.case

    assert (
        InReview(
            case,
            Lease(
                lease_id=lease(1), holder=ANA, session=session_of(ANA), fencing_token=1, expires_at=later(300)
            ),
        )
        == HELD
    )


@pytest.mark.parametrize(("now", "lives"), [(NOW, True), (later(299), True), (later(300), False)])
def test_a_lease_ends_by_itself(now, lives):
    assert (live_lease(HELD, now) is not None) is lives


@pytest.mark.parametrize("state", [NotSubmitted(), WAITING, DECIDED])
def test_what_is_not_in_review_is_under_no_lease(state):
    assert live_lease(state, NOW) is None


@pytest.mark.parametrize(
    ("state", "now", "status"),
    [
        (WAITING, NOW, "pending"),
        (HELD, NOW, "in_review"),
        (HELD, later(300), "pending"),
        (MOVED_UP, NOW, "escalated"),
        (DECISION.evolve(MOVED_UP, claimed(by=BEN)), NOW, "escalated"),
        (DECIDED, NOW, "approved"),
        (DECISION.evolve(WAITING, resolved(outcome=Outcome.REJECTED)), NOW, "rejected"),
        (DECISION.evolve(MOVED_UP, resolved(by=BEN)), NOW, "approved"),
    ],
)
def test_the_outside_sees_one_status(state, now, status):
    assert status_of(state, now).value == status


@pytest.mark.parametrize("ask", [case_of, lambda state: status_of(state, NOW)])
def test_what_was_never_submitted_has_no_status(ask):
    with pytest.raises(DecisionNotFound):
        ask(NotSubmitted())


@pytest.mark.parametrize("state", [NotSubmitted(), WAITING, HELD, DECISION.evolve(WAITING, voted())])
def test_while_undecided_there_is_no_answer(state):
    assert answer_of(state) is None


def test_an_escalation_is_an_answer():
    assert answer_of(MOVED_UP) == ESCALATION


def test_an_escalation_by_a_timer_is_nobodys_answer():
    moved_up = DECISION.evolve(WAITING, escalated(by=None))

    assert answer_of(moved_up).decided_by is None
    assert moved_up.case.escalators == ()


def test_an_escalation_stands_while_votes_come_in():
    assert answer_of(DECISION.evolve(MOVED_UP, voted(by=BEN))) == ESCALATION


def test_a_verdict_replaces_the_escalation():
    assert answer_of(DECISION.evolve(MOVED_UP, resolved(by=BEN, notes="seen", at=later(60)))) == Answer(
        status=Status.APPROVED,
        approved_actions=(Action.BLOCK_IP,),
        notes="seen",
        decided_by=BEN,
        decided_at=later(60),
        escalation_reason=None,
        subject_digest=DIGEST,
        approved_digest=DIGEST,
    )


def test_votes_and_escalations_add_up():
    case = Given(
        DECISION,
        submitted(policy=TWO_OF_EACH),
        voted(by=ANA),
        escalated(by=ANA),
        voted(by=BEN, choice=Choice.REJECT),
        escalated(by=BEN, level=2),
    ).state.case

    actions = (Action.BLOCK_IP,)
    assert case.votes == (
        Vote(voter=ANA, choice=Choice.APPROVE, actions=actions, approves=DIGEST),
        Vote(voter=BEN, choice=Choice.REJECT, actions=actions),
    )
    assert (case.level, case.escalators) == (2, (ANA, BEN))


def test_a_vote_leaves_the_lease_to_its_release():
    voting = DECISION.evolve(HELD, voted(token=1))

    assert voting.lease == HELD.lease
    assert isinstance(DECISION.evolve(voting, released()), Pending)


@pytest.mark.parametrize("event", EVERY_EVENT)
def test_after_the_verdict_nothing_changes(event):
    assert DECISION.evolve(DECIDED, event) == DECIDED


@pytest.mark.parametrize("event", EVERY_EVENT[1:])
def test_before_the_submission_nothing_changes(event):
    assert DECISION.evolve(NotSubmitted(), event) == NotSubmitted()


@pytest.mark.parametrize("state", [WAITING, HELD])
def test_a_second_submission_changes_nothing(state):
    assert DECISION.evolve(state, submitted(by=BEN)) == state


@pytest.mark.parametrize(
    "event", [renewed(token=2, at=later(1)), released(token=2, cause=ReleaseCause.SESSION_ENDED)]
)
@pytest.mark.parametrize("state", [WAITING, HELD])
def test_another_lease_changes_nothing(event, state):
    assert DECISION.evolve(state, event) == state


def test_a_verdict_ends_the_review():
    assert isinstance(DECISION.evolve(HELD, resolved()), Resolved)

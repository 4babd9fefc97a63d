"""What events make of a state; of one that they do not belong to nothing, for history is never refused."""

from typing import get_args

import pytest
from msgspec.structs import replace

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import CommentAdded, DecisionEvent, InvalidationCause
from ledger.domain.decision.item import Change
from ledger.domain.decision.state import Answer, NotSubmitted, Offer, Status, answer_of, case_of
from ledger.domain.ids import Digest
from ledger.domain.terms import Action
from tests.builders import (
    ANA,
    BEN,
    DIGEST,
    ENGINE,
    ITEM,
    LEA,
    NOW,
    SAM,
    claimed,
    escalated,
    later,
    lease,
    released,
    renewed,
    resolved,
    submit,
    submitted,
    voted,
)
from tests.builders.workflow_events import (
    assigned,
    cancelled,
    commented,
    countersigned,
    evidence_attached,
    information_provided,
    information_requested,
    milestone_passed,
    offered,
    outcome_reported,
    overridden,
    override_lapsed,
    redeemed,
    reprioritised,
    superseded,
    timed_out,
    votes_invalidated,
    withdrawn,
)
from tests.domain.given import Given

DUTY = [countersigned(by=LEA), override_lapsed()]
AFTERWARDS = [*DUTY, redeemed(), outcome_reported()]
WORK = [
    *(claimed(), renewed(), released(), offered(), assigned(), reprioritised(), voted(), escalated()),
    *(votes_invalidated(InvalidationCause.CONFLICT), milestone_passed(), information_requested()),
    *(information_provided(), commented(), evidence_attached()),
]
ENDS = [resolved(), overridden(), withdrawn(), superseded(), cancelled(), timed_out()]
SUBMITTED = submitted()
OTHER_ITEM = replace(ITEM, source_ip="203.0.113.1")

WAITING = Given(DECISION, SUBMITTED).state
HELD = Given(DECISION, SUBMITTED, claimed()).state
ENDED = [Given(DECISION, SUBMITTED, end).state for end in ENDS]


def test_these_are_all_events():
    assert {type(event) for event in [SUBMITTED, *WORK, *ENDS, *AFTERWARDS]} == set(get_args(DecisionEvent))


@pytest.mark.parametrize("event", [*WORK, *ENDS, *AFTERWARDS])
def test_before_the_submission_nothing_changes(event):
    assert DECISION.evolve(NotSubmitted(), event) == NotSubmitted()


@pytest.mark.parametrize("event", [SUBMITTED, *AFTERWARDS])
@pytest.mark.parametrize("state", [WAITING, HELD])
def test_before_an_end_what_belongs_after_one_changes_nothing(state, event):
    assert DECISION.evolve(state, event) == state


@pytest.mark.parametrize(
    "event", [event for event in (SUBMITTED, *WORK, *ENDS) if not isinstance(event, CommentAdded)]
)
@pytest.mark.parametrize("state", ENDED)
def test_after_an_end_what_belongs_before_one_changes_nothing(state, event):
    assert DECISION.evolve(state, event) == state


@pytest.mark.parametrize("event", DUTY)
@pytest.mark.parametrize("end", [end for end in ENDS if end != overridden()])
def test_where_nobody_overrode_there_is_no_duty_to_change(end, event):
    state = Given(DECISION, SUBMITTED, end).state

    assert DECISION.evolve(state, event) == state


@pytest.mark.parametrize("event", AFTERWARDS)
def test_what_belongs_after_an_override_changes_it(event):
    state = Given(DECISION, SUBMITTED, overridden()).state

    assert DECISION.evolve(state, event) != state


def test_an_escalation_answers_the_submitter_until_a_verdict_does():
    moved_up = escalated(by=ANA, reason="beyond me", actions=(Action.BLOCK_IP,), notes="look", at=later(7))

    assert answer_of(Given(DECISION, SUBMITTED, moved_up).state) == Answer(
        status=Status.ESCALATED,
        approved_actions=(Action.BLOCK_IP,),
        notes="look",
        decided_by=ANA,
        decided_at=later(7),
        escalation_reason="beyond me",
    )
    assert answer_of(Given(DECISION, SUBMITTED, moved_up, resolved()).state).status is Status.APPROVED


def test_an_answer_has_what_was_changed_and_what_may_be_used():
    change = Change(pointer="/source_ip", before='"203.0.113.9"', after='"203.0.113.0"')
    other = Digest("0" * 64)
    state = Given(DECISION, SUBMITTED, resolved(changes=(change,), approved_digest=other, notes="ok")).state

    assert answer_of(state) == Answer(
        status=Status.APPROVED,
        approved_actions=(Action.BLOCK_IP,),
        notes="ok",
        decided_by=ANA,
        decided_at=NOW,
        escalation_reason=None,
        changes=(change,),
        subject_digest=DIGEST,
        approved_digest=other,
    )


def test_whoever_superseded_it_is_told_of():
    assert answer_of(Given(DECISION, SUBMITTED, superseded(by=ENGINE)).state).decided_by == ENGINE


@pytest.mark.parametrize("since", [released(), claimed(by=BEN, token=2, at=later(300)), escalated(by=LEA)])
def test_an_offer_ends_with_the_claim_it_was_made_under(since):
    offer = Given(DECISION, SUBMITTED, claimed(by=ANA), offered(by=ANA, to=BEN))

    assert case_of(offer.state).offer == Offer(BEN, lease(1))
    assert case_of(DECISION.evolve(offer.state, since)).offer is None


@pytest.mark.parametrize(("item", "then"), [(None, ITEM), (OTHER_ITEM, OTHER_ITEM)])
def test_an_answer_may_bring_another_item(item, then):
    case = case_of(Given(DECISION, SUBMITTED, information_requested(), information_provided(item=item)).state)

    assert (case.item, case.question) == (then, None)


def test_whose_wish_it_is_is_kept():
    asked = Given(DECISION)

    asked.when(submit(on_behalf_of=SAM)).then(submitted(on_behalf_of=SAM))
    assert case_of(Given(DECISION, submitted(on_behalf_of=SAM)).state).on_behalf_of == SAM

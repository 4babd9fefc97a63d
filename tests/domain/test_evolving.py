"""What events make of a state that they do not belong to: nothing, for history is never refused."""

from typing import get_args

import pytest

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent, InvalidationCause
from ledger.domain.decision.state import NotSubmitted
from tests.builders import (
    LEA,
    claimed,
    escalated,
    released,
    renewed,
    resolved,
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


@pytest.mark.parametrize("event", [SUBMITTED, *WORK, *ENDS])
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

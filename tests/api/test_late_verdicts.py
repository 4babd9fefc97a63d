"""Who comes too late is told what happened since, by user name, with the status that the call has for it."""

from uuid import uuid4

import pytest

from ledger.api.problems import STATUSES, problem_of, status_of
from ledger.api.refusals import OUR_RULES, THE_PROTOTYPES_RULES
from ledger.domain.decision.rules import AlreadyMade, DeadlinePassed, DecisionClosed, LeaseLost
from ledger.domain.errors import LedgerError, RuleViolation
from tests.api.answers import assert_refused, decide, submit
from tests.identity.house import MovingClock
from tests.support.http import Api

DECIDE = "/api/decisions/{analysis_id}/decide"


async def test_a_late_verdict_is_answered_with_what_happened_since(timed: Api, clock: MovingClock) -> None:
    sam, kim = await timed.newcomer("sam"), await timed.newcomer("kim")
    await submit(timed, sam, "beacon-17")
    await decide(timed, sam, "beacon-17", "rejected")
    decided_at = clock().isoformat().replace("+00:00", "Z")
    clock.forward(minutes=1)

    answer = await decide(timed, kim, "beacon-17")

    assert_refused(answer, 400, "already made")
    assert answer.json()["code"] == "already-made"
    assert answer.json()["context"] == {
        "decision_id": "beacon-17",
        "status": "rejected",
        "decided_by": "sam",
        "decided_at": decided_at,
    }


@pytest.mark.parametrize("refusal", [AlreadyMade(), DecisionClosed(), DeadlinePassed()])
def test_what_is_over_is_told_as_the_prototype_does_on_its_calls_alone(refusal: LedgerError) -> None:
    told = problem_of(refusal, path="/", request_id="", template=DECIDE)
    ours = problem_of(refusal, path="/", request_id="", template="/api/decisions/{analysis_id}/claim")

    assert (told.status, ours.status) == (400, 409)
    assert "already made" in told.detail


def _rules(family: type[RuleViolation]) -> set[type[RuleViolation]]:
    return {family, *(rule for each in family.__subclasses__() for rule in _rules(each))}


def test_every_rule_of_decisions_has_its_status() -> None:
    ours = {rule for rule in _rules(RuleViolation) if rule.__module__.startswith("ledger.domain.decision.")}

    assert ours <= {*OUR_RULES, *THE_PROTOTYPES_RULES}
    assert {status_of(rule()) for rule in OUR_RULES} == {409}
    assert (RuleViolation, 400) in STATUSES


def test_nobody_is_told_who_they_are_by_an_id_and_nothing_is_told_of_nobody() -> None:
    told = problem_of(LeaseLost(decision_id="one", holder=None, person=uuid4()), path="/", request_id="")

    assert told.context == {"decision_id": "one"}

"""Ends without votes: withdrawn, superseded, cancelled, overridden."""

from datetime import timedelta

from ledger.domain.authority import ADMINS, at_work, require, require_fresh_factor
from ledger.domain.decision import rules
from ledger.domain.decision.commands import Cancel, Countersign, Override, Supersede, Withdraw
from ledger.domain.decision.events import (
    DecisionCancelled,
    DecisionEvent,
    DecisionOverridden,
    DecisionSuperseded,
    DecisionWithdrawn,
    OverrideCountersigned,
)
from ledger.domain.decision.informing import must_be_the_submitter
from ledger.domain.decision.state import Case, DecisionState, Duty, DutyStanding, Resolved, case_of
from ledger.domain.errors import Invalid, ReasonMissing, Refused, RuleViolation
from ledger.domain.event import Utc


class NoSuccessor(RuleViolation):
    """There is no such other decision of yours to take its place.

    Context: ``successor``.
    """

    code = "no-successor"
    advice = "Submit the new one first, then supersede the old one by it."


class TicketRequired(Invalid):
    """An override names the ticket it is done under."""

    code = "ticket-required"
    advice = "Name the incident or change that it belongs to."


class NothingToCountersign(RuleViolation):
    """Nobody overrode it, or the override has been countersigned."""

    code = "nothing-to-countersign"
    advice = "There is nothing to do; look at its history."


class CountersignTooLate(RuleViolation):
    """The time to countersign is over.

    Context: ``countersign_by``.
    """

    code = "countersign-too-late"
    advice = "Whoever still wants it submits it again."


class OwnOverride(Refused):
    """Nobody countersigns what they overrode themselves."""

    code = "own-override"
    advice = "Ask another administrator."


def withdraw(command: Withdraw, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """End it for the one who asked."""
    require(command.by, rules.SUBMITTERS)
    case = rules.must_be_open(state, command.now).case
    must_be_the_submitter(command.by, case)
    _must_be_no_white_space(command.reason, case)
    return (DecisionWithdrawn(at=command.now, by=command.by.person, reason=command.reason),)


def supersede(command: Supersede, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """End it in favour of another decision of the same submitter."""
    require(command.by, rules.SUBMITTERS)
    case = rules.must_be_open(state, command.now).case
    must_be_the_submitter(command.by, case)
    _must_be_no_white_space(command.reason, case)
    successor = command.successor
    if successor.submitted_by != case.submitted_by or successor.decision_id == case.decision_id:
        raise NoSuccessor(decision_id=case.decision_id, successor=successor.decision_id)
    superseded = DecisionSuperseded(
        at=command.now,
        by=command.by.person,
        successor=successor.decision_id,
        reason=command.reason,
    )
    return (superseded,)


def _must_be_no_white_space(reason: str, case: Case) -> None:
    """Take a reason that is left out, but none that says nothing."""
    if reason.isspace():
        raise ReasonMissing(decision_id=case.decision_id)


def cancel(command: Cancel, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """End it for everybody."""
    require(command.by, ADMINS)
    at_work(command.by)
    case = rules.must_be_open(state, command.now).case
    if not command.reason.strip():
        raise ReasonMissing(decision_id=case.decision_id)
    return (DecisionCancelled(at=command.now, by=command.by.person, reason=command.reason),)


def override(command: Override, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """End it by one administrator's word, whatever leases and votes there are; another one is to countersign."""
    require(command.by, ADMINS)
    session = at_work(command.by)
    case = rules.must_be_open(state, command.now).case
    if not command.reason.strip():
        raise ReasonMissing(decision_id=case.decision_id)
    if not command.ticket.strip():
        raise TicketRequired(decision_id=case.decision_id)
    rules.must_be_what_was_shown(command.subject_digest, case)
    rules.must_be_allowed(command.approved_actions, case)
    require_fresh_factor(command.by, command.now, decision_id=case.decision_id)
    overridden = DecisionOverridden(
        at=command.now,
        by=command.by.person,
        session=session,
        outcome=command.outcome,
        approved_actions=command.approved_actions,
        reason=command.reason,
        ticket=command.ticket,
        subject_digest=case.subject_digest,
        countersign_by=command.now + timedelta(seconds=case.policy.countersign_seconds),
    )
    return (overridden,)


def countersign(command: Countersign, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Stand by it, in time, as somebody else and with a fresh second factor."""
    require(command.by, ADMINS)
    at_work(command.by)
    duty = _duty(state, command.now)
    decision_id = case_of(state).decision_id
    if duty.by == command.by.person:
        raise OwnOverride(decision_id=decision_id)
    require_fresh_factor(command.by, command.now, decision_id=decision_id)
    return (OverrideCountersigned(at=command.now, by=command.by.person, notes=command.notes),)


def _duty(state: DecisionState, now: Utc) -> Duty:
    case = case_of(state)
    duty = state.duty if isinstance(state, Resolved) else None
    if duty is None or duty.standing is DutyStanding.COUNTERSIGNED:
        raise NothingToCountersign(decision_id=case.decision_id)
    if duty.standing is DutyStanding.LAPSED or now >= duty.countersign_by:
        raise CountersignTooLate(decision_id=case.decision_id, countersign_by=duty.countersign_by)
    return duty

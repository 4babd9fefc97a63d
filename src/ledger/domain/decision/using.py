"""What the submitter does with an approval: use it, once, and tell how it went."""

from datetime import timedelta

from ledger.domain.authority import require
from ledger.domain.decision import rules
from ledger.domain.decision.commands import Redeem, ReportOutcome
from ledger.domain.decision.events import DecisionEvent, OutcomeReported, ResponseRedeemed
from ledger.domain.decision.informing import must_be_the_submitter
from ledger.domain.decision.state import (
    Closed,
    DecisionState,
    Duty,
    DutyStanding,
    Ended,
    Resolved,
    case_of,
)
from ledger.domain.errors import RuleViolation
from ledger.domain.event import Utc
from ledger.domain.ids import Digest


class NotApproved(RuleViolation):
    """It has not been approved."""

    code = "not-approved"
    advice = "Look at the response: it says how it stands."


class DigestDiffers(RuleViolation):
    """What was approved is something else.

    Context: the ``approved`` digest.
    """

    code = "digest-differs"
    advice = "Carry out what the response approves, and redeem that."


class AlreadyRedeemed(RuleViolation):
    """This approval has been used.

    Context: ``redeemed_at``.
    """

    code = "already-redeemed"
    advice = "Submit it again to have it approved again."


class ApprovalExpired(RuleViolation):
    """This approval is too old to be used.

    Context: ``valid_until``.
    """

    code = "approval-expired"
    advice = "Submit it again to have it approved again."


class OverrideNotCountersigned(RuleViolation):
    """Nobody countersigned this override in time."""

    code = "override-not-countersigned"
    advice = "Submit it again to have it approved again."


class OutcomeAlreadyReported(RuleViolation):
    """Its outcome has been reported.

    Context: ``reported_at``.
    """

    code = "outcome-already-reported"
    advice = "Say more in a comment."


def redeem(command: Redeem, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Use the approval up: of exactly this, while it is good, the first time."""
    require(command.by, rules.SUBMITTERS)
    must_be_the_submitter(command.by, case_of(state))
    ended, approved = _approved(state)
    case = ended.case
    if case.redeemed_at is not None:
        raise AlreadyRedeemed(decision_id=case.decision_id, redeemed_at=case.redeemed_at)
    if command.digest != approved:
        raise DigestDiffers(decision_id=case.decision_id, approved=approved)
    _must_be_good(ended, command.now)
    return (ResponseRedeemed(at=command.now, by=command.by.person, digest=command.digest),)


def report_outcome(command: ReportOutcome, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Tell how it went, once."""
    require(command.by, rules.SUBMITTERS)
    case = case_of(state)
    must_be_the_submitter(command.by, case)
    _approved(state)
    if case.outcome_reported_at is not None:
        raise OutcomeAlreadyReported(decision_id=case.decision_id, reported_at=case.outcome_reported_at)
    reported = OutcomeReported(
        at=command.now, by=command.by.person, succeeded=command.succeeded, details=command.details
    )
    return (reported,)


def _approved(state: DecisionState) -> tuple[Ended, Digest]:
    if isinstance(state, Resolved | Closed) and state.approved is not None:
        return state, state.approved
    raise NotApproved(decision_id=case_of(state).decision_id)


def _must_be_good(ended: Ended, now: Utc) -> None:
    case, seconds = ended.case, ended.case.policy.redeem_seconds
    if isinstance(ended, Resolved) and _has_lapsed(ended.duty, now):
        raise OverrideNotCountersigned(decision_id=case.decision_id)
    if seconds is None:
        return
    valid_until = ended.answer.decided_at + timedelta(seconds=seconds)
    if now >= valid_until:
        raise ApprovalExpired(decision_id=case.decision_id, valid_until=valid_until)


def _has_lapsed(duty: Duty | None, now: Utc) -> bool:
    if duty is None or duty.standing is DutyStanding.COUNTERSIGNED:
        return False
    return duty.standing is DutyStanding.LAPSED or now >= duty.countersign_by

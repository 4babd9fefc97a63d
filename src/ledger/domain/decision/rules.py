"""What may not be done to a decision, and why: every refusal, beside the guard that raises it."""

from typing import Final, assert_never

from ledger.domain.authority import (
    Authority,
    InsufficientPermissions,
    Role,
    at_work,
    require,
    require_fresh_factor,
)
from ledger.domain.decision.commands import CastVote, Escalate
from ledger.domain.decision.events import Choice, EscalationCause
from ledger.domain.decision.state import (
    Case,
    DecisionNotFound,
    DecisionState,
    InReview,
    Lease,
    NotSubmitted,
    Open,
    Pending,
    Resolved,
    live_lease,
)
from ledger.domain.errors import Refused, RuleViolation
from ledger.domain.event import Utc
from ledger.domain.ids import LeaseId, PersonId
from ledger.domain.terms import Action, ReasonMode

SUBMITTERS: Final = frozenset({Role.SERVICE, Role.ANALYST, Role.ADMIN})
REVIEWERS: Final = frozenset({Role.ANALYST, Role.ADMIN})


class AlreadyExists(RuleViolation):
    """A decision with this id already exists."""

    code = "already-exists"


class AlreadyMade(RuleViolation):
    """Decision already made."""

    code = "already-made"


class LeaseHeld(RuleViolation):
    """Somebody else is reviewing it.

    Context: ``holder`` and when their lease ends, ``expires_at``.
    """

    code = "lease-held"
    advice = "Take another one, or wait until the lease ends."


class LeaseLost(RuleViolation):
    """You do not hold it any more.

    Context: ``holder``: who holds it now (``None``: nobody).
    """

    code = "lease-lost"
    advice = "Claim it again, look at it again, and send the new lease with your verdict."


class SelfReview(Refused):
    """Nobody decides what they submitted themselves."""

    code = "self-review"


class EscalatorMayNotDecide(Refused):
    """Whoever escalated it does not give the verdict."""

    code = "escalator-may-not-decide"


class AlreadyVoted(RuleViolation):
    """You have voted on it already."""

    code = "already-voted"


class SubjectChanged(RuleViolation):
    """It is not what you were shown.

    Context: the digests ``shown`` to you and ``current``.
    """

    code = "subject-changed"
    advice = "Read it again, then decide."


class ActionNotAllowed(RuleViolation):
    """The policy of this decision does not allow these actions."""

    code = "action-not-allowed"


class ReasonRequired(RuleViolation):
    """The policy of this decision asks for notes with this verdict."""

    code = "reason-required"


class EscalationReasonRequired(RuleViolation):
    """Escalation reason required."""

    code = "escalation-reason-required"


class EscalationExhausted(RuleViolation):
    """It is at the highest level already."""

    code = "escalation-exhausted"


def must_be_open(state: DecisionState) -> Open:
    """Refuse what comes after the verdict.

    Raises:
        DecisionNotFound: nothing was submitted.
        AlreadyMade: the verdict has been given.
    """
    match state:
        case NotSubmitted():
            raise DecisionNotFound
        case Pending() | InReview():
            return state
        case Resolved():
            raise AlreadyMade(decision_id=state.case.decision_id)
        case _:
            assert_never(state)


def must_be_eligible(case: Case, by: Authority) -> None:
    """Refuse whoever could not give a verdict, so that they do not hold it up either.

    Raises:
        SelfReview: four eyes are asked for and it is their own.
        EscalatorMayNotDecide: they moved it up and are no administrator.
        AlreadyVoted: their voice has been counted.
    """
    facts = {"decision_id": case.decision_id, "person": by.person}
    if case.policy.four_eyes and by.person == case.submitted_by:
        raise SelfReview(**facts)
    if by.person in case.escalators and by.role is not Role.ADMIN:
        raise EscalatorMayNotDecide(**facts)
    if any(vote.voter == by.person for vote in case.votes):
        raise AlreadyVoted(**facts)


def must_have_stepped_up(case: Case, by: Authority, now: Utc) -> None:
    """Refuse a second factor that is older than the policy allows, or none.

    Raises:
        StepUpRequired: prove it again.
    """
    # 21 CFR 11.200(a)(1): a signing is more than a session left open.
    seconds = case.policy.step_up_seconds
    if seconds is not None:
        require_fresh_factor(by, now, within_seconds=seconds, decision_id=case.decision_id)


def must_be_free_for(person: PersonId, state: Open, now: Utc) -> Lease | None:
    """Refuse while another person holds it; return the person's own living lease (``None``: nobody's).

    Raises:
        LeaseHeld: by whom, and until when.
    """
    lease = live_lease(state, now)
    if lease is not None and lease.holder != person:
        raise lease_held(state.case, lease)
    return lease


def lease_held(case: Case, lease: Lease) -> LeaseHeld:
    """Name the holder and the end of the lease."""
    return LeaseHeld(decision_id=case.decision_id, holder=lease.holder, expires_at=lease.expires_at)


def must_hold(person: PersonId, lease_id: LeaseId, state: Open, now: Utc) -> Lease:
    """Refuse unless ``lease_id`` is alive and the person's.

    Raises:
        LeaseLost: it is not.
    """
    lease = live_lease(state, now)
    if lease is None or (lease.holder, lease.lease_id) != (person, lease_id):
        raise _lease_lost(state.case, lease)
    return lease


def must_present(command: CastVote, case: Case, lease: Lease | None) -> None:
    """Refuse a lease that is not the voter's living one, and its absence once others have held it.

    Raises:
        LeaseLost: the voter may be looking at something that others have worked on since.
    """
    presented = (command.lease_id, command.fencing_token)
    living = (None, None) if lease is None else (lease.lease_id, lease.fencing_token)
    if presented != (None, None):
        if presented != living:
            raise _lease_lost(case, lease)
    elif _was_overtaken(command.by.person, case):
        raise _lease_lost(case, lease)


def _was_overtaken(person: PersonId, case: Case) -> bool:
    return person in case.holders and case.holders.index(person) < len(case.holders) - 1


def _lease_lost(case: Case, lease: Lease | None) -> LeaseLost:
    return LeaseLost(decision_id=case.decision_id, holder=None if lease is None else lease.holder)


def must_be_what_was_shown(command: CastVote, case: Case) -> None:
    """Refuse a verdict on something else.

    Raises:
        SubjectChanged: the digests differ.
    """
    shown = command.subject_digest
    if shown is not None and shown != case.subject_digest:
        raise SubjectChanged(decision_id=case.decision_id, shown=shown, current=case.subject_digest)


def must_be_allowed(actions: tuple[Action, ...], case: Case) -> None:
    """Refuse actions outside the policy.

    Raises:
        ActionNotAllowed: naming them.
    """
    excess = tuple(action for action in actions if action not in case.policy.allowed_actions)
    if excess:
        raise ActionNotAllowed(decision_id=case.decision_id, actions=excess)


def must_give_notes(command: CastVote, case: Case) -> None:
    """Refuse a verdict without the notes that the policy asks for.

    Raises:
        ReasonRequired: they are blank.
    """
    mode = case.policy.reason
    asked = mode is ReasonMode.ALWAYS or (mode is ReasonMode.ON_REJECT and command.choice is Choice.REJECT)
    if asked and not command.notes.strip():
        raise ReasonRequired(decision_id=case.decision_id, choice=command.choice)


def must_be_asked_by(command: Escalate) -> None:
    """Let reviewers escalate as persons, and timers as nobody.

    Raises:
        SessionNotLive: the person's session has ended.
        InsufficientPermissions: neither a reviewer nor a timer.
        SessionIsPaused: the person is having a break.
    """
    if command.by is not None:
        require(command.by, REVIEWERS)
        at_work(command.by)
    if (command.by is None) is not (command.cause is EscalationCause.TIMER):
        raise InsufficientPermissions(cause=command.cause)


def must_be_escalable(command: Escalate, case: Case) -> None:
    """Refuse a person without a reason, and a step beyond the highest level.

    Raises:
        EscalationReasonRequired: it is blank.
        EscalationExhausted: there is no higher level.
    """
    if command.by is not None and not command.reason.strip():
        raise EscalationReasonRequired(decision_id=case.decision_id)
    if case.level >= case.policy.escalation_levels:
        raise EscalationExhausted(decision_id=case.decision_id, level=case.level)

"""What may not be done to a decision, and why: every refusal, beside the guard that raises it."""

from typing import Final, assert_never

from ledger.domain.authority import Authority, Role, require_fresh_factor
from ledger.domain.decision.commands import CastVote, Colleague, Escalate
from ledger.domain.decision.events import Choice
from ledger.domain.decision.state import (
    Case,
    Closed,
    DecisionNotFound,
    DecisionState,
    InReview,
    Lease,
    NotSubmitted,
    Open,
    Pending,
    Resolved,
    deadline_of,
    is_overdue,
    live_lease,
)
from ledger.domain.errors import Refused, RuleViolation
from ledger.domain.event import Utc
from ledger.domain.ids import Digest, LeaseId, PersonId
from ledger.domain.terms import Action, ReasonMode

SUBMITTERS: Final = frozenset({Role.SERVICE, Role.ANALYST, Role.ADMIN})
REVIEWERS: Final = frozenset({Role.ANALYST, Role.ADMIN})


class AlreadyExists(RuleViolation):
    """A decision with this id already exists."""

    code = "already-exists"


class AlreadyMade(RuleViolation):
    """Decision already made.

    Context: its ``status``, who decided, ``decided_by``, and when, ``decided_at``.
    """

    code = "already-made"


class DecisionClosed(RuleViolation):
    """Decision already made: it ended without a verdict.

    Context: the ``status`` it ended in, and when, ``closed_at``.
    """

    code = "decision-closed"
    advice = "Whoever still wants a decision submits a new one."


class DeadlinePassed(RuleViolation):
    """Decision already made: its time is over, and nothing counts after the deadline.

    Context: ``deadline_at``.
    """

    code = "deadline-passed"
    advice = "Whoever still wants a decision submits a new one."


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
    advice = "Somebody else decides it."


class EscalatorMayNotDecide(Refused):
    """Whoever escalated it does not give the verdict."""

    code = "escalator-may-not-decide"
    advice = "Somebody else, or an administrator, decides it."


class NotInGroup(Refused):
    """This decision is for members of other groups.

    Context: ``groups``, one of which it takes.
    """

    code = "not-in-group"
    advice = "Take another one, or ask a member of one of its groups."


class AssignedToAnother(RuleViolation):
    """It is assigned to somebody else.

    Context: ``assigned_to``.
    """

    code = "assigned-to-another"
    advice = "Take another one, or ask a lead to assign it anew."


class AlreadyVoted(RuleViolation):
    """Nobody votes on it twice."""

    code = "already-voted"
    advice = "Somebody who has not voted yet decides it."


class SubjectChanged(RuleViolation):
    """It is not what you were shown.

    Context: the digests ``shown`` to you and ``current``.
    """

    code = "subject-changed"
    advice = "Read it again, then decide."


class SubjectNotNamed(RuleViolation):
    """It has changed since it was submitted: a verdict has to name what was shown.

    Context: the ``current`` digest.
    """

    code = "subject-not-named"
    advice = "Read it again, and send its subject_digest with your verdict."


class ActionNotAllowed(RuleViolation):
    """The policy of this decision does not allow these actions."""

    code = "action-not-allowed"
    advice = "Leave these actions away."


class ReasonRequired(RuleViolation):
    """The policy of this decision asks for notes with this verdict."""

    code = "reason-required"
    advice = "Say why in the notes."


class EscalationReasonRequired(RuleViolation):
    """Escalation reason required."""

    code = "escalation-reason-required"
    advice = "Say why it goes up."


class EscalationExhausted(RuleViolation):
    """It is at the highest level already."""

    code = "escalation-exhausted"
    advice = "Decide it here, or ask an administrator."


def must_be_open(state: DecisionState, now: Utc) -> Open:
    """Refuse what comes after the end.

    Raises:
        DecisionNotFound: nothing was submitted.
        AlreadyMade: the verdict has been given.
        DecisionClosed: it expired, or was withdrawn, cancelled or superseded.
        DeadlinePassed: its time is over, though nobody has written that down yet.
    """
    match state:
        case NotSubmitted():
            raise DecisionNotFound
        case Pending() | InReview():
            if is_overdue(state.case, now):
                raise DeadlinePassed(decision_id=state.case.decision_id, deadline_at=deadline_of(state.case))
            return state
        case Resolved():
            raise already_made(state)
        case Closed():
            answer = state.answer
            raise DecisionClosed(
                decision_id=state.case.decision_id, status=answer.status, closed_at=answer.decided_at
            )
        case _:
            assert_never(state)


def already_made(state: Resolved) -> AlreadyMade:
    """Say who decided what, and when."""
    answer = state.answer
    return AlreadyMade(
        decision_id=state.case.decision_id,
        status=answer.status,
        decided_by=answer.decided_by,
        decided_at=answer.decided_at,
    )


def must_be_eligible(case: Case, by: Authority | Colleague) -> None:
    """Refuse whoever could not give a verdict, so that they do not hold it up either.

    Raises:
        SelfReview: four eyes are asked for and it is their own, or was asked on their behalf.
        EscalatorMayNotDecide: they moved it up and are no administrator.
        NotInGroup: it is for others at this level, and they are no administrator.
        AlreadyVoted: their voice has been counted.
    """
    facts = {"decision_id": case.decision_id, "person": by.person}
    if case.policy.four_eyes and by.person in {case.submitted_by, case.on_behalf_of}:
        raise SelfReview(**facts)
    if by.person in case.escalators and by.role is not Role.ADMIN:
        raise EscalatorMayNotDecide(**facts)
    groups = groups_at_level(case)
    if groups and not set(groups) & set(by.groups) and by.role is not Role.ADMIN:
        raise NotInGroup(**facts, groups=", ".join(groups))
    if any(vote.voter == by.person for vote in case.votes):
        raise AlreadyVoted(**facts)


def groups_at_level(case: Case) -> tuple[str, ...]:
    """Name the groups whose members work on it at its level; none: every reviewer does."""
    if case.level == 0:
        return case.policy.reviewers
    group = next(iter(case.policy.ladder[case.level - 1 : case.level]), None)
    return (group,) if group else ()


def must_be_for(case: Case, by: Authority) -> None:
    """Refuse what is assigned to somebody else; a lead or an administrator may step in.

    Raises:
        AssignedToAnother: to whom.
    """
    is_theirs = case.assigned_to in {None, by.person}
    if not (is_theirs or by.is_lead or by.role is Role.ADMIN):
        raise AssignedToAnother(decision_id=case.decision_id, assigned_to=case.assigned_to)


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
    must_hold_what_is_named(command, case, lease)
    if command.lease_id is None and _was_overtaken(command.by.person, case):
        raise _lease_lost(case, lease)


def must_hold_what_is_named(command: CastVote | Escalate, case: Case, lease: Lease | None) -> None:
    """Refuse a lease that is not the caller's living one; none need be named.

    Raises:
        LeaseLost: it has ended, or was never given out.
    """
    named = (command.lease_id, command.fencing_token)
    living = (None, None) if lease is None else (lease.lease_id, lease.fencing_token)
    if named not in {(None, None), living}:
        raise _lease_lost(case, lease)


def _was_overtaken(person: PersonId, case: Case) -> bool:
    return person in case.holders and case.holders.index(person) < len(case.holders) - 1


def _lease_lost(case: Case, lease: Lease | None) -> LeaseLost:
    return LeaseLost(decision_id=case.decision_id, holder=None if lease is None else lease.holder)


def must_be_what_was_shown(shown: Digest | None, case: Case) -> None:
    """Refuse a verdict on something else (``None``: on whatever is current, while it is as it was submitted).

    Raises:
        SubjectNotNamed: it has changed, and the verdict does not say which form of it was shown.
        SubjectChanged: the digests differ.
    """
    if shown is None and case.has_changed:
        raise SubjectNotNamed(decision_id=case.decision_id, current=case.subject_digest)
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


def must_be_escalable(reason: str, case: Case) -> None:
    """Refuse a person without a reason, and a step beyond the highest level.

    Raises:
        EscalationReasonRequired: it is blank.
        EscalationExhausted: there is no higher level.
    """
    if not reason.strip():
        raise EscalationReasonRequired(decision_id=case.decision_id)
    if not can_move_up(case):
        raise EscalationExhausted(decision_id=case.decision_id, level=case.level)


def can_move_up(case: Case) -> bool:
    """Say whether there is a higher level."""
    return case.level < case.policy.escalation_levels

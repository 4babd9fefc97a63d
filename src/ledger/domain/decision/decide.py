"""What a command does to a decision: the events it causes, or the reason why not."""

from datetime import timedelta
from typing import Final, assert_never, get_args

from ledger.domain.authority import Authority, at_work, require
from ledger.domain.decider import Decider
from ledger.domain.decision import rules
from ledger.domain.decision.commands import (
    CastVote,
    ClaimDecision,
    DecisionCommand,
    Escalate,
    ReleaseClaim,
    RenewClaim,
    SubmitDecision,
)
from ledger.domain.decision.events import (
    Choice,
    ClaimReleased,
    ClaimRenewed,
    DecisionClaimed,
    DecisionEscalated,
    DecisionEvent,
    DecisionResolved,
    DecisionSubmitted,
    Outcome,
    ReleaseCause,
    VoteCast,
)
from ledger.domain.decision.item import subject_digest
from ledger.domain.decision.state import (
    Case,
    DecisionState,
    Lease,
    NotSubmitted,
    case_of,
    evolve,
    live_lease,
)
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId, SessionId
from ledger.domain.terms import Action, Policy, ReasonMode

THREAT_ANALYSIS_POLICY: Final = Policy(
    name="threat_analysis",
    version=1,
    allowed_actions=tuple(Action),
    approvals_needed=1,
    rejections_needed=1,
    four_eyes=False,
    reason=ReasonMode.NEVER,
    step_up_seconds=None,
    escalation_levels=3,
    lease_seconds=300,
)
"""The rules of the built-in kind: those of the prototype, one approver and no deadline."""

KIND_VERSION: Final = 1
"""The version of the built-in kind's item."""


def decide(command: DecisionCommand, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Say what ``command`` causes; no events: there is nothing to do.

    Raises:
        RuleViolation: the state forbids it.
        Refused: this person may not.
        NotFound: there is no such decision.
        Unauthenticated: the session has ended, or a fresh second factor is needed.
    """
    match command:
        case SubmitDecision():
            return _submit(command, state)
        case ClaimDecision():
            return _claim(command, state)
        case RenewClaim():
            return _renew(command, state)
        case ReleaseClaim():
            return _release(command, state)
        case CastVote():
            return _vote(command, state)
        case Escalate():
            return _escalate(command, state)
        case _:
            assert_never(command)


def _submit(command: SubmitDecision, state: DecisionState) -> tuple[DecisionEvent, ...]:
    require(command.by, rules.SUBMITTERS)
    if not isinstance(state, NotSubmitted):
        raise rules.AlreadyExists(decision_id=command.decision_id)
    submitted = DecisionSubmitted(
        at=command.now,
        decision_id=command.decision_id,
        item=command.item,
        kind_version=command.kind_version,
        priority=command.priority,
        created_at=command.created_at,
        submitted_by=command.by.person,
        session=command.by.session,
        policy=command.policy,
        subject_digest=subject_digest(
            command.decision_id, command.item, command.kind_version, command.priority
        ),
    )
    return (submitted,)


def _claim(command: ClaimDecision, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Give out a lease.

    Claiming again what the same session holds changes nothing: the old lease stands, and whoever looks
    for work sees by its ``lease_id`` that this one was taken. Any other living lease, the person's own
    from another session too, is taken over with a reason or not at all.
    """
    require(command.by, rules.REVIEWERS)
    session = at_work(command.by)
    case = rules.must_be_open(state).case
    rules.must_be_eligible(case, command.by)
    lease = live_lease(state, command.now)
    if lease is None:
        return (_claimed(command, case, session),)
    if lease.session == session:
        return ()
    may_take_over = command.by.is_lead or lease.holder == command.by.person
    if not (may_take_over and command.reason.strip()):
        raise rules.lease_held(case, lease)
    released = _released(
        lease, ReleaseCause.TAKEN_OVER, by=command.by.person, now=command.now, reason=command.reason
    )
    return (released, _claimed(command, case, session))


def _claimed(command: ClaimDecision, case: Case, session: SessionId) -> DecisionClaimed:
    return DecisionClaimed(
        at=command.now,
        holder=command.by.person,
        session=session,
        lease_id=command.lease_id,
        fencing_token=case.fencing_token + 1,
        expires_at=_lease_end(case, command.now),
    )


def _lease_end(case: Case, now: Utc) -> Utc:
    return now + timedelta(seconds=case.policy.lease_seconds)


def _renew(command: RenewClaim, state: DecisionState) -> tuple[DecisionEvent, ...]:
    require(command.by, rules.REVIEWERS)
    opened = rules.must_be_open(state)
    lease = rules.must_hold(command.by.person, command.lease_id, opened, command.now)
    renewed = ClaimRenewed(
        at=command.now,
        holder=lease.holder,
        lease_id=lease.lease_id,
        expires_at=_lease_end(opened.case, command.now),
    )
    return (renewed,)


def _release(command: ReleaseClaim, state: DecisionState) -> tuple[DecisionEvent, ...]:
    if command.by is None:
        return _let_go(command, state)
    require(command.by, rules.REVIEWERS)
    opened = rules.must_be_open(state)
    lease = rules.must_hold(command.by.person, command.lease_id, opened, command.now)
    return (_released(lease, ReleaseCause.RELEASED, by=command.by.person, now=command.now),)


def _let_go(command: ReleaseClaim, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Release what a finished session held; nobody is there to be refused, so it may be repeated."""
    case_of(state)
    lease = live_lease(state, command.now)
    if lease is None or lease.lease_id != command.lease_id:
        return ()
    return (_released(lease, ReleaseCause.SESSION_ENDED, by=None, now=command.now),)


def _released(
    lease: Lease, cause: ReleaseCause, *, by: PersonId | None, now: Utc, reason: str = ""
) -> ClaimReleased:
    return ClaimReleased(
        at=now, holder=lease.holder, lease_id=lease.lease_id, cause=cause, by=by, reason=reason
    )


def _vote(command: CastVote, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Count a voice: it ends the decision where enough agree, else the voter's lease, for the next one."""
    require(command.by, rules.REVIEWERS)
    at_work(command.by)
    opened = rules.must_be_open(state)
    case = opened.case
    rules.must_be_eligible(case, command.by)
    rules.must_have_stepped_up(case, command.by, command.now)
    lease = rules.must_be_free_for(command.by.person, opened, command.now)
    rules.must_present(command, case, lease)
    rules.must_be_what_was_shown(command, case)
    rules.must_be_allowed(command.approved_actions, case)
    rules.must_give_notes(command, case)
    vote = _vote_cast(command, case, lease)
    resolved = _resolved(vote, case)
    if resolved is not None:
        return (vote, resolved)
    if lease is not None:
        return (vote, _released(lease, ReleaseCause.RELEASED, by=vote.voter, now=command.now))
    return (vote,)


def _vote_cast(command: CastVote, case: Case, lease: Lease | None) -> VoteCast:
    return VoteCast(
        at=command.now,
        voter=command.by.person,
        session=command.by.session,
        choice=command.choice,
        approved_actions=command.approved_actions,
        notes=command.notes,
        subject_digest=case.subject_digest,
        level=case.level,
        lease_id=None if lease is None else lease.lease_id,
        fencing_token=None if lease is None else lease.fencing_token,
    )


def _resolved(vote: VoteCast, case: Case) -> DecisionResolved | None:
    choices = [earlier.choice for earlier in case.votes] + [vote.choice]
    approvals, rejections = choices.count(Choice.APPROVE), choices.count(Choice.REJECT)
    approved = approvals >= case.policy.approvals_needed
    if not approved and rejections < case.policy.rejections_needed:
        return None
    return DecisionResolved(
        at=vote.at,
        outcome=Outcome.APPROVED if approved else Outcome.REJECTED,
        decided_by=vote.voter,
        approved_actions=vote.approved_actions,
        notes=vote.notes,
        subject_digest=vote.subject_digest,
        approvals=approvals,
        rejections=rejections,
    )


def _escalate(command: Escalate, state: DecisionState) -> tuple[DecisionEvent, ...]:
    rules.must_be_asked_by(command)
    opened = rules.must_be_open(state)
    rules.must_be_escalable(command, opened.case)
    rules.must_be_allowed(command.approved_actions, opened.case)
    by = command.by
    if by is not None:
        rules.must_be_free_for(by.person, opened, command.now)
    escalated = _escalated(command, opened.case, by)
    lease = live_lease(state, command.now)
    if lease is None:
        return (escalated,)
    return (_released(lease, ReleaseCause.ESCALATED, by=escalated.by, now=command.now), escalated)


def _escalated(command: Escalate, case: Case, by: Authority | None) -> DecisionEscalated:
    return DecisionEscalated(
        at=command.now,
        by=None if by is None else by.person,
        session=None if by is None else by.session,
        cause=command.cause,
        reason=command.reason,
        level=case.level + 1,
        approved_actions=command.approved_actions,
        notes=command.notes,
    )


DECISION: Final = Decider[DecisionCommand, DecisionState, DecisionEvent](
    category="decision",
    event_types=get_args(DecisionEvent),
    state_type=DecisionState,
    initial=NotSubmitted(),
    decide=decide,
    evolve=evolve,
)
"""The Decision aggregate, as a value."""

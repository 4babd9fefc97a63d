"""What each event makes of a decision, and of the answer that its submitter is told."""

from typing import TypeAlias, assert_never

from msgspec.structs import replace

from ledger.domain.decision.events import (
    Choice,
    ClaimReleased,
    ClaimRenewed,
    CommentAdded,
    DecisionAssigned,
    DecisionCancelled,
    DecisionClaimed,
    DecisionEscalated,
    DecisionEvent,
    DecisionExpired,
    DecisionOverridden,
    DecisionReprioritised,
    DecisionResolved,
    DecisionSubmitted,
    DecisionSuperseded,
    DecisionWithdrawn,
    EvidenceAttached,
    HandoverOffered,
    InformationProvided,
    InformationRequested,
    MilestonePassed,
    Outcome,
    OutcomeReported,
    OverrideCountersigned,
    OverrideLapsed,
    ResponseRedeemed,
    VoteCast,
    VotesInvalidated,
)
from ledger.domain.decision.state import (
    Answer,
    Case,
    Closed,
    DecisionState,
    Duty,
    DutyStanding,
    Ended,
    InReview,
    Lease,
    NotSubmitted,
    Offer,
    Open,
    Pending,
    Question,
    Resolved,
    Status,
    Vote,
)
from ledger.domain.ids import Digest, LeaseId, PersonId
from ledger.domain.terms import DefaultOutcome


def evolve(state: DecisionState, event: DecisionEvent) -> DecisionState:
    """Apply what happened; an event that does not fit the stage leaves it as it is."""
    match state:
        case NotSubmitted():
            return Pending(_opened(event)) if isinstance(event, DecisionSubmitted) else state
        case Pending() | InReview():
            return _evolve_open(state, event)
        case Resolved() | Closed():
            return _evolve_ended(state, event)
        case _:
            assert_never(state)


def _evolve_open(state: Open, event: DecisionEvent) -> DecisionState:  # noqa: PLR0911 - one for each event
    case = state.case
    match event:
        case DecisionClaimed():
            return InReview(_held(case, event), _lease(event))
        case ClaimRenewed():
            return _renewed(state, event)
        case ClaimReleased():
            return Pending(replace(case, offer=None)) if _is_held_under(state, event.lease_id) else state
        case DecisionEscalated():
            return Pending(_moved_up(case, event))
        case DecisionResolved():
            answer = answer_in(event)
            return Resolved(case=case, answer=answer, approved=answer.approved_digest)
        case DecisionOverridden():
            return _overridden(case, event)
        case DecisionExpired():
            answer = expired(event, case.subject_digest)
            return Closed(case=case, answer=answer, approved=answer.approved_digest)
        case DecisionWithdrawn() | DecisionCancelled() | DecisionSuperseded():
            return Closed(case=case, answer=answer_in(event))
        case _:
            return replace(state, case=_evolve_case(case, event))


_OfTheCase: TypeAlias = (
    DecisionSubmitted
    | HandoverOffered
    | DecisionAssigned
    | DecisionReprioritised
    | VoteCast
    | VotesInvalidated
    | MilestonePassed
    | InformationRequested
    | InformationProvided
    | CommentAdded
    | EvidenceAttached
    | OverrideCountersigned
    | OverrideLapsed
    | ResponseRedeemed
    | OutcomeReported
)


def _evolve_case(case: Case, event: _OfTheCase) -> Case:  # noqa: C901, PLR0911, PLR0912 - one for each event
    match event:
        case HandoverOffered():
            return replace(case, offer=Offer(event.to, event.lease_id))
        case DecisionAssigned():
            return replace(case, assigned_to=event.to)
        case DecisionReprioritised():
            return replace(case, priority=event.priority)
        case VoteCast():
            return _voted(case, event)
        case VotesInvalidated():
            return replace(case, votes=())
        case MilestonePassed():
            return replace(case, milestones=(*case.milestones, event.milestone))
        case InformationRequested():
            asked = Question(asked_at=event.at, pauses_clock=event.pauses_clock)
            return replace(case, question=asked, questions=case.questions + 1)
        case InformationProvided():
            return _informed(case, event)
        case EvidenceAttached():
            return replace(case, evidence=case.evidence + 1)
        case CommentAdded():
            return replace(case, comments=case.comments + 1)
        case DecisionSubmitted():
            return case
        case OverrideCountersigned() | OverrideLapsed() | ResponseRedeemed() | OutcomeReported():
            return case  # they come after an end
        case _:
            assert_never(event)


def _evolve_ended(state: Ended, event: DecisionEvent) -> Ended:
    if isinstance(event, CommentAdded):
        return replace(state, case=_evolve_case(state.case, event))
    if isinstance(event, ResponseRedeemed):
        return replace(state, case=replace(state.case, redeemed_at=event.at))
    if isinstance(event, OutcomeReported):
        return replace(state, case=replace(state.case, outcome_reported_at=event.at))
    if isinstance(state, Resolved) and state.duty is not None:
        if isinstance(event, OverrideCountersigned):
            return replace(state, duty=replace(state.duty, standing=DutyStanding.COUNTERSIGNED))
        if isinstance(event, OverrideLapsed):
            return replace(state, duty=replace(state.duty, standing=DutyStanding.LAPSED))
    return state


def _opened(event: DecisionSubmitted) -> Case:
    return Case(
        decision_id=event.decision_id,
        item=event.item,
        kind_version=event.kind_version,
        asked_priority=event.priority,
        priority=event.priority,
        created_at=event.created_at,
        submitted_at=event.at,
        submitted_by=event.submitted_by,
        on_behalf_of=event.on_behalf_of,
        policy=event.policy,
        subject_digest=event.subject_digest,
        target_at=event.target_at,
        deadline_at=event.deadline_at,
        sealed_under=event.sealed_under,
    )


def _held(case: Case, event: DecisionClaimed) -> Case:
    again = case.holders[-1:] == (event.holder,)
    holders = case.holders if again else (*case.holders, event.holder)
    return replace(case, holders=holders, fencing_token=event.fencing_token, offer=None, human_seen=True)


def _lease(event: DecisionClaimed) -> Lease:
    return Lease(
        lease_id=event.lease_id,
        holder=event.holder,
        session=event.session,
        fencing_token=event.fencing_token,
        expires_at=event.expires_at,
    )


def _is_held_under(state: Open, lease_id: LeaseId) -> bool:
    return isinstance(state, InReview) and state.lease.lease_id == lease_id


def _renewed(state: Open, event: ClaimRenewed) -> Open:
    if isinstance(state, InReview) and _is_held_under(state, event.lease_id):
        return InReview(state.case, replace(state.lease, expires_at=event.expires_at))
    return state


def vote_of(event: VoteCast) -> Vote:
    """Say how a vote counts."""
    approves = event.approves or event.subject_digest
    return Vote(
        voter=event.voter,
        choice=event.choice,
        actions=event.approved_actions,
        approves=approves if event.choice is Choice.APPROVE else None,
        groups=event.groups,
    )


def _voted(case: Case, event: VoteCast) -> Case:
    has_done_it = case.assigned_to == event.voter
    return replace(
        case,
        votes=(*case.votes, vote_of(event)),
        human_seen=True,
        assigned_to=None if has_done_it else case.assigned_to,
    )


def _moved_up(case: Case, event: DecisionEscalated) -> Case:
    by = event.by
    return replace(
        case,
        level=event.level,
        escalators=case.escalators if by is None else (*case.escalators, by),
        escalation=answer_in(event),
        assigned_to=None,
        offer=None,
        human_seen=case.human_seen or by is not None,
    )


def _informed(case: Case, event: InformationProvided) -> Case:
    return replace(
        case,
        question=None,
        item=case.item if event.item is None else event.item,
        subject_digest=event.subject_digest,
        has_changed=case.has_changed or event.subject_digest != case.subject_digest,
        deadline_at=event.deadline_at,
        target_at=event.target_at,
    )


def _overridden(case: Case, event: DecisionOverridden) -> Resolved:
    answer = answer_in(event)
    return Resolved(
        case=case,
        answer=answer,
        approved=answer.approved_digest,
        duty=Duty(by=event.by, countersign_by=event.countersign_by),
    )


Ending: TypeAlias = (
    DecisionResolved
    | DecisionOverridden
    | DecisionExpired
    | DecisionWithdrawn
    | DecisionCancelled
    | DecisionSuperseded
)
"""The events that end a decision: it is off the queue."""
Answering: TypeAlias = DecisionEscalated | Ending
"""The events that give the submitter an answer; all but an escalation end the decision."""


def answer_in(event: Answering) -> Answer:  # noqa: PLR0911 - one for each event
    """Say what an event tells the submitter."""
    match event:
        case DecisionEscalated():
            return Answer(
                status=Status.ESCALATED,
                approved_actions=event.approved_actions,
                notes=event.notes,
                decided_by=event.by,
                decided_at=event.at,
                escalation_reason=event.reason,
            )
        case DecisionResolved():
            answer = _answer(Status(event.outcome.value), event, event.notes, event.decided_by)
            return replace(_judged(answer, event, event.approved_digest), changes=event.changes)
        case DecisionOverridden():
            return _judged(_answer(Status(event.outcome.value), event, event.reason, event.by), event)
        case DecisionExpired():
            return replace(_answer(Status.EXPIRED, event), default_outcome=event.default_outcome)
        case DecisionWithdrawn():
            return _answer(Status.WITHDRAWN, event, event.reason, event.by)
        case DecisionCancelled():
            return _answer(Status.CANCELLED, event, event.reason, event.by)
        case DecisionSuperseded():
            answer = _answer(Status.SUPERSEDED, event, event.reason, event.by)
            return replace(answer, successor=event.successor)
        case _:
            assert_never(event)


def expired(event: DecisionExpired, subject: Digest) -> Answer:
    """Say what an expiry tells the submitter of an item that ``subject`` names."""
    may_go_on = event.default_outcome is DefaultOutcome.APPROVE
    return replace(answer_in(event), approved_digest=subject if may_go_on else None)


def _judged(
    answer: Answer, event: DecisionResolved | DecisionOverridden, approved: Digest | None = None
) -> Answer:
    is_approved = event.outcome is Outcome.APPROVED
    return replace(
        answer,
        approved_actions=event.approved_actions,
        subject_digest=event.subject_digest,
        approved_digest=(approved or event.subject_digest) if is_approved else None,
    )


def _answer(status: Status, event: Answering, notes: str = "", by: PersonId | None = None) -> Answer:
    return Answer(
        status=status,
        approved_actions=(),
        notes=notes,
        decided_by=by,
        decided_at=event.at,
        escalation_reason=None,
    )

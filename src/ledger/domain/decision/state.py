"""What a decision is at a moment: one struct per life stage, and what each event makes of it.

The legal moves, by state and command. ``-`` is nothing to do; ``or`` separates what the same
command may cause, depending on leases, votes and policy; ``refused`` says that no one may, ever. Where
events are listed, the guards in ``rules`` may still refuse. ``tests/domain/test_legal_moves.py`` walks it.

    NotSubmitted  SubmitDecision  DecisionSubmitted
    NotSubmitted  ClaimDecision   refused DecisionNotFound
    NotSubmitted  RenewClaim      refused DecisionNotFound
    NotSubmitted  ReleaseClaim    refused DecisionNotFound
    NotSubmitted  CastVote        refused DecisionNotFound
    NotSubmitted  Escalate        refused DecisionNotFound
    Pending       SubmitDecision  refused AlreadyExists
    Pending       ClaimDecision   DecisionClaimed
    Pending       RenewClaim      refused LeaseLost
    Pending       ReleaseClaim    refused LeaseLost or -
    Pending       CastVote        VoteCast or VoteCast DecisionResolved
    Pending       Escalate        DecisionEscalated
    InReview      SubmitDecision  refused AlreadyExists
    InReview      ClaimDecision   - or DecisionClaimed or ClaimReleased DecisionClaimed
    InReview      RenewClaim      ClaimRenewed
    InReview      ReleaseClaim    - or ClaimReleased
    InReview      CastVote        VoteCast or VoteCast ClaimReleased or VoteCast DecisionResolved
    InReview      Escalate        DecisionEscalated or ClaimReleased DecisionEscalated
    Resolved      SubmitDecision  refused AlreadyExists
    Resolved      ClaimDecision   refused AlreadyMade
    Resolved      RenewClaim      refused AlreadyMade
    Resolved      ReleaseClaim    refused AlreadyMade or -
    Resolved      CastVote        refused AlreadyMade
    Resolved      Escalate        refused AlreadyMade

A lease ends by itself at ``expires_at``, without an event: ``InReview`` under a lapsed lease is waiting
like ``Pending``. So whoever asks about leases or status says what time it is.
"""

from enum import StrEnum
from typing import TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.decision.events import (
    Choice,
    ClaimReleased,
    ClaimRenewed,
    DecisionClaimed,
    DecisionEscalated,
    DecisionEvent,
    DecisionResolved,
    DecisionSubmitted,
    Priority,
    VoteCast,
)
from ledger.domain.decision.item import ThreatAnalysis
from ledger.domain.errors import NotFound
from ledger.domain.event import Utc
from ledger.domain.ids import DecisionId, Digest, LeaseId, PersonId, SessionId
from ledger.domain.terms import Action, Policy


class DecisionNotFound(NotFound):
    """Decision not found."""

    code = "decision-not-found"


class Status(StrEnum):
    """How a decision stands, as the outside sees it; wire values."""

    PENDING = "pending"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    ESCALATED = "escalated"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the submitter is told; ``decided_by`` is ``None`` when a timer escalated it."""

    status: Status
    approved_actions: tuple[Action, ...]
    notes: str
    decided_by: PersonId | None
    decided_at: Utc
    escalation_reason: str | None


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A claim, good until ``expires_at``; each has a higher ``fencing_token`` than all before it."""

    lease_id: LeaseId
    holder: PersonId
    session: SessionId
    fencing_token: int
    expires_at: Utc


class Vote(msgspec.Struct, frozen=True):
    """Who wants what."""

    voter: PersonId
    choice: Choice


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that every stage after submission shares.

    ``holders`` is the succession of those who claimed it, neighbours differing; ``fencing_token`` the
    last one given out (0: none yet); ``escalation`` the answer that stands until a verdict replaces it.
    """

    decision_id: DecisionId
    item: ThreatAnalysis
    kind_version: int
    priority: Priority
    created_at: Utc
    submitted_at: Utc
    submitted_by: PersonId
    policy: Policy
    subject_digest: Digest
    level: int = 0
    escalators: tuple[PersonId, ...] = ()
    votes: tuple[Vote, ...] = ()
    holders: tuple[PersonId, ...] = ()
    fencing_token: int = 0
    escalation: Answer | None = None


class NotSubmitted(msgspec.Struct, frozen=True, tag="not-submitted"):
    """Nobody has asked for it."""


class Pending(msgspec.Struct, frozen=True, tag="pending"):
    """It waits for somebody to claim or decide it."""

    case: Case


class InReview(msgspec.Struct, frozen=True, tag="in-review"):
    """Somebody claimed it, and holds it while the lease lasts."""

    case: Case
    lease: Lease


class Resolved(msgspec.Struct, frozen=True, tag="resolved"):
    """People gave the final verdict; nothing happens to it any more."""

    case: Case
    answer: Answer


Open: TypeAlias = Pending | InReview
DecisionState: TypeAlias = NotSubmitted | Pending | InReview | Resolved


def case_of(state: DecisionState) -> Case:
    """Say what was submitted.

    Raises:
        DecisionNotFound: nothing was.
    """
    if isinstance(state, NotSubmitted):
        raise DecisionNotFound
    return state.case


def live_lease(state: DecisionState, now: Utc) -> Lease | None:
    """Find the lease that holds at ``now``; at its ``expires_at`` it no longer does."""
    return state.lease if isinstance(state, InReview) and now < state.lease.expires_at else None


def answer_of(state: DecisionState) -> Answer | None:
    """Say what the submitter is told: the verdict, else the last escalation, else ``None``."""
    match state:
        case NotSubmitted():
            return None
        case Pending() | InReview():
            return state.case.escalation
        case Resolved():
            return state.answer
        case _:
            assert_never(state)


def status_of(state: DecisionState, now: Utc) -> Status:
    """Say how it stands at ``now``; an open decision that was moved up is ``escalated``, held or not.

    Raises:
        DecisionNotFound: there is no such decision.
    """
    answer = answer_of(state)
    if answer is not None:
        return answer.status
    case_of(state)
    return Status.IN_REVIEW if live_lease(state, now) else Status.PENDING


def evolve(state: DecisionState, event: DecisionEvent) -> DecisionState:
    """Apply what happened; an event that does not fit the stage leaves it as it is."""
    match state:
        case NotSubmitted():
            return Pending(_opened(event)) if isinstance(event, DecisionSubmitted) else state
        case Pending() | InReview():
            return _evolve_open(state, event)
        case Resolved():
            return state
        case _:
            assert_never(state)


def _evolve_open(state: Open, event: DecisionEvent) -> DecisionState:  # noqa: PLR0911 - one for each event
    match event:
        case DecisionSubmitted():
            return state
        case DecisionClaimed():
            return InReview(_held(state.case, event), _lease(event))
        case ClaimRenewed():
            return _renewed(state, event)
        case ClaimReleased():
            return Pending(state.case) if _is_held_under(state, event.lease_id) else state
        case VoteCast():
            vote = Vote(event.voter, event.choice)
            return replace(state, case=replace(state.case, votes=(*state.case.votes, vote)))
        case DecisionEscalated():
            return Pending(_moved_up(state.case, event))
        case DecisionResolved():
            return Resolved(state.case, answer_in(event))
        case _:
            assert_never(event)


def _opened(event: DecisionSubmitted) -> Case:
    return Case(
        decision_id=event.decision_id,
        item=event.item,
        kind_version=event.kind_version,
        priority=event.priority,
        created_at=event.created_at,
        submitted_at=event.at,
        submitted_by=event.submitted_by,
        policy=event.policy,
        subject_digest=event.subject_digest,
    )


def _held(case: Case, event: DecisionClaimed) -> Case:
    again = case.holders[-1:] == (event.holder,)
    holders = case.holders if again else (*case.holders, event.holder)
    return replace(case, holders=holders, fencing_token=event.fencing_token)


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


def _moved_up(case: Case, event: DecisionEscalated) -> Case:
    escalators = case.escalators if event.by is None else (*case.escalators, event.by)
    return replace(case, level=event.level, escalators=escalators, escalation=answer_in(event))


def answer_in(event: DecisionResolved | DecisionEscalated) -> Answer:
    """Say what an event tells the submitter."""
    if isinstance(event, DecisionEscalated):
        return Answer(
            status=Status.ESCALATED,
            approved_actions=event.approved_actions,
            notes=event.notes,
            decided_by=event.by,
            decided_at=event.at,
            escalation_reason=event.reason,
        )
    return Answer(
        status=Status(event.outcome.value),
        approved_actions=event.approved_actions,
        notes=event.notes,
        decided_by=event.decided_by,
        decided_at=event.at,
        escalation_reason=None,
    )

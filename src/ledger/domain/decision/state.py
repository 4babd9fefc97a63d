"""What a decision is at a moment: one struct per life stage.

The legal moves, by state and command, are in ``moves.py``; what each event makes of a state is in ``evolving.py``. A lease ends by itself at ``expires_at``, without an
event: ``InReview`` under a lapsed lease is waiting like ``Pending``. So whoever asks about leases or status says
what time it is.
"""

from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias, assert_never

import msgspec

from ledger.domain.decision.events import (
    Choice,
    Milestone,
    Priority,
)
from ledger.domain.decision.item import Change, Item
from ledger.domain.errors import NotFound
from ledger.domain.event import Utc
from ledger.domain.ids import DecisionId, Digest, LeaseId, PersonId, SessionId, SubjectKeyId
from ledger.domain.terms import Action, DefaultOutcome, Policy


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
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the submitter is told; ``decided_by`` is ``None`` when no person did it.

    ``changes`` are parameters that were approved otherwise than asked; ``default_outcome`` stands in for a verdict
    that nobody gave in time; ``successor`` is the decision that was asked for instead. ``subject_digest`` names what
    a verdict judged, ``approved_digest`` what may be redeemed (``None``: nothing).
    """

    status: Status
    approved_actions: tuple[Action, ...]
    notes: str
    decided_by: PersonId | None
    decided_at: Utc
    escalation_reason: str | None
    changes: tuple[Change, ...] = ()
    default_outcome: DefaultOutcome | None = None
    successor: DecisionId | None = None
    subject_digest: Digest | None = None
    approved_digest: Digest | None = None


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A claim, good until ``expires_at``; each has a higher ``fencing_token`` than all before it."""

    lease_id: LeaseId
    holder: PersonId
    session: SessionId
    fencing_token: int
    expires_at: Utc


class Offer(msgspec.Struct, frozen=True):
    """The holder of ``lease_id`` wants ``to`` to take it over."""

    to: PersonId
    lease_id: LeaseId


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants what; ``approves`` names the item as an approver wants it (``None``: no approval)."""

    voter: PersonId
    choice: Choice
    actions: tuple[Action, ...] = ()
    approves: Digest | None = None
    groups: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the submitter has been asked and has not answered."""

    asked_at: Utc
    pauses_clock: bool


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that every stage after submission shares.

    ``holders`` is the succession of those who claimed it, neighbours differing; ``fencing_token`` the
    last one given out (0: none yet); ``escalation`` the answer that stands until a verdict replaces it.
    ``asked_priority`` is what the submitter said, ``priority`` what holds now. ``sealed_under`` names the key of whom it
    is about (``None``: nothing in it is sealed).
    """

    decision_id: DecisionId
    item: Item
    kind_version: int
    asked_priority: Priority
    priority: Priority
    created_at: Utc
    submitted_at: Utc
    submitted_by: PersonId
    on_behalf_of: PersonId | None
    policy: Policy
    subject_digest: Digest
    target_at: Utc | None
    deadline_at: Utc | None
    level: int = 0
    escalators: tuple[PersonId, ...] = ()
    votes: tuple[Vote, ...] = ()
    holders: tuple[PersonId, ...] = ()
    fencing_token: int = 0
    escalation: Answer | None = None
    assigned_to: PersonId | None = None
    offer: Offer | None = None
    question: Question | None = None
    questions: int = 0
    has_changed: bool = False
    milestones: tuple[Milestone, ...] = ()
    evidence: int = 0
    comments: int = 0
    human_seen: bool = False
    redeemed_at: Utc | None = None
    outcome_reported_at: Utc | None = None
    sealed_under: SubjectKeyId | None = None


class DutyStanding(StrEnum):
    """Whether somebody stands by an override."""

    OPEN = "open"
    COUNTERSIGNED = "countersigned"
    LAPSED = "lapsed"


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """What ``by`` overrode is to be countersigned by somebody else before ``countersign_by``."""

    by: PersonId
    countersign_by: Utc
    standing: DutyStanding = DutyStanding.OPEN


class NotSubmitted(msgspec.Struct, frozen=True, tag="not-submitted"):
    """Nobody has asked for it."""


class Pending(msgspec.Struct, frozen=True, tag="pending"):
    """It waits for somebody to claim or decide it."""

    case: Case


class InReview(msgspec.Struct, frozen=True, tag="in-review"):
    """Somebody claimed it, and holds it while the lease lasts."""

    case: Case
    lease: Lease


class Resolved(msgspec.Struct, frozen=True, kw_only=True, tag="resolved"):
    """People gave the final verdict; ``approved`` names what may be redeemed (``None``: nothing may).

    ``duty`` is there when one person overrode all rules.
    """

    case: Case
    answer: Answer
    approved: Digest | None
    duty: Duty | None = None


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag="closed"):
    """It ended without a verdict: expired, withdrawn, cancelled or superseded, as the answer's status says.

    ``approved`` names what may be redeemed all the same (``None``: nothing), by a policy's default.
    """

    case: Case
    answer: Answer
    approved: Digest | None = None


Open: TypeAlias = Pending | InReview
Ended: TypeAlias = Resolved | Closed
DecisionState: TypeAlias = NotSubmitted | Pending | InReview | Resolved | Closed


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
    """Say what the submitter is told: the end, else the last escalation, else ``None``."""
    match state:
        case NotSubmitted():
            return None
        case Pending() | InReview():
            return state.case.escalation
        case Resolved() | Closed():
            return state.answer
        case _:
            assert_never(state)


def status_of(state: DecisionState, now: Utc) -> Status:
    """Say how it stands at ``now``; an open decision that was moved up is ``escalated``, held or not.

    Past its deadline it is ``expired``, also before a timer has come by to write that down.

    Raises:
        DecisionNotFound: there is no such decision.
    """
    case = case_of(state)
    if isinstance(state, Pending | InReview) and is_overdue(case, now):
        return Status.EXPIRED
    answer = answer_of(state)
    if answer is not None:
        return answer.status
    return Status.IN_REVIEW if live_lease(state, now) else Status.PENDING


def longest_pause(case: Case) -> timedelta:
    """Say for how long the clocks may stand still from now on: a question that stops them is open, or is not."""
    stops = case.question is not None and case.question.pauses_clock
    return timedelta(seconds=case.policy.information_seconds if stops else 0)


def deadline_of(case: Case) -> Utc | None:
    """Say when it expires, if the submitter goes on owing an answer; ``None``: never."""
    return None if case.deadline_at is None else case.deadline_at + longest_pause(case)


def is_overdue(case: Case, now: Utc) -> bool:
    """Say whether the deadline has passed; at its very moment it has."""
    deadline = deadline_of(case)
    return deadline is not None and now >= deadline

"""What happens to a decision.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).
Version 1 of the types that have ``imported`` is the form of the prototype's own records; ``imported`` is absent
where this ledger is where it happened.
"""

from enum import StrEnum
from typing import ClassVar, TypeAlias

from ledger.domain.decision.item import ThreatAnalysis
from ledger.domain.event import Event, Imported, Utc
from ledger.domain.ids import DecisionId, Digest, LeaseId, PersonId, SessionId
from ledger.domain.terms import Action, Policy


class Priority(StrEnum):
    """How urgent the submitter says it is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Choice(StrEnum):
    """What a voter wants."""

    APPROVE = "approve"
    REJECT = "reject"


class Outcome(StrEnum):
    """How a decision ended by human verdict."""

    APPROVED = "approved"
    REJECTED = "rejected"


class ReleaseCause(StrEnum):
    """Why a claim ended without a verdict."""

    RELEASED = "released"
    TAKEN_OVER = "taken_over"
    ESCALATED = "escalated"
    SESSION_ENDED = "session_ended"


class EscalationCause(StrEnum):
    """What moved a decision up."""

    PERSON = "person"
    TIMER = "timer"


class DecisionSubmitted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="decision-submitted"):
    """A machine or a person asks for a decision; ``created_at`` is the submitter's own time."""

    schema_version: ClassVar[int] = 2

    decision_id: DecisionId
    item: ThreatAnalysis
    kind_version: int
    priority: Priority
    created_at: Utc
    submitted_by: PersonId
    session: SessionId | None
    policy: Policy
    subject_digest: Digest
    imported: Imported | None = None


class DecisionClaimed(Event, frozen=True, kw_only=True, tag="decision-claimed"):
    """A person took it off the queue until ``expires_at``."""

    holder: PersonId
    session: SessionId
    lease_id: LeaseId
    fencing_token: int
    expires_at: Utc


class ClaimRenewed(Event, frozen=True, kw_only=True, tag="claim-renewed"):
    """The holder keeps it longer."""

    holder: PersonId
    lease_id: LeaseId
    expires_at: Utc


class ClaimReleased(Event, frozen=True, kw_only=True, tag="claim-released"):
    """It went back to the queue without a verdict; ``by`` is ``None`` when no person did it."""

    holder: PersonId
    lease_id: LeaseId
    cause: ReleaseCause
    by: PersonId | None
    reason: str


class VoteCast(Event, frozen=True, kw_only=True, omit_defaults=True, tag="vote-cast"):
    """A person judged exactly what ``subject_digest`` names."""

    schema_version: ClassVar[int] = 2

    voter: PersonId
    session: SessionId | None
    choice: Choice
    approved_actions: tuple[Action, ...]
    notes: str
    subject_digest: Digest
    level: int
    lease_id: LeaseId | None
    fencing_token: int | None
    imported: Imported | None = None


class DecisionResolved(Event, frozen=True, kw_only=True, omit_defaults=True, tag="decision-resolved"):
    """Enough votes agree; ``decided_by`` cast the last of them."""

    schema_version: ClassVar[int] = 2

    outcome: Outcome
    decided_by: PersonId
    approved_actions: tuple[Action, ...]
    notes: str
    subject_digest: Digest
    approvals: int
    rejections: int
    imported: Imported | None = None


class DecisionEscalated(Event, frozen=True, kw_only=True, omit_defaults=True, tag="decision-escalated"):
    """It moved up to ``level``; ``by`` is ``None`` for a timer."""

    schema_version: ClassVar[int] = 2

    by: PersonId | None
    session: SessionId | None
    cause: EscalationCause
    reason: str
    level: int
    approved_actions: tuple[Action, ...]
    notes: str
    imported: Imported | None = None


DecisionEvent: TypeAlias = (
    DecisionSubmitted
    | DecisionClaimed
    | ClaimRenewed
    | ClaimReleased
    | VoteCast
    | DecisionResolved
    | DecisionEscalated
)

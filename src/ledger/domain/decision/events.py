"""What happens to a decision.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).
Version 1 of the types that have ``imported`` is the form of the prototype's own records; ``imported`` is absent
where this ledger is where it happened.
"""

from enum import StrEnum
from typing import ClassVar, TypeAlias

from ledger.domain.decision.item import Change, Item
from ledger.domain.event import Event, Imported, Utc
from ledger.domain.ids import (
    BulkId,
    DecisionId,
    Digest,
    EvidenceId,
    LeaseId,
    PersonId,
    SessionId,
    SubjectKeyId,
)
from ledger.domain.terms import Action, DefaultOutcome, Policy


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
    ABSTAIN = "abstain"


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
    HANDED_OVER = "handed_over"
    ASSIGNED = "assigned"


class EscalationCause(StrEnum):
    """What moved a decision up."""

    PERSON = "person"
    TIMER = "timer"
    HALF_TIME = "half_time"
    BREACH = "breach"
    NO_QUORUM = "no_quorum"
    CONFLICT = "conflict"


class Milestone(StrEnum):
    """A moment on the way to when a verdict is wanted."""

    HALF_TIME = "half_time"
    BREACH = "breach"


class InvalidationCause(StrEnum):
    """Why votes no longer count."""

    SUBJECT_CHANGED = "subject_changed"
    NO_QUORUM = "no_quorum"
    CONFLICT = "conflict"


class DecisionSubmitted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="decision-submitted"):
    """A machine or a person asks for a decision; ``created_at`` is the submitter's own time.

    ``on_behalf_of`` is whose wish it is, where that is somebody else. A verdict is wanted by ``target_at`` and
    comes by ``deadline_at`` or not at all (``None``: whenever). ``sealed_under`` names the key of whom it is about,
    for what the policy marks as personal (``None``: it marks nothing).
    """

    schema_version: ClassVar[int] = 3

    decision_id: DecisionId
    item: Item
    kind_version: int
    priority: Priority
    created_at: Utc
    submitted_by: PersonId
    session: SessionId | None
    policy: Policy
    subject_digest: Digest
    on_behalf_of: PersonId | None = None
    deadline_at: Utc | None = None
    target_at: Utc | None = None
    imported: Imported | None = None
    sealed_under: SubjectKeyId | None = None


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

    schema_version: ClassVar[int] = 2

    holder: PersonId
    lease_id: LeaseId
    cause: ReleaseCause
    by: PersonId | None
    reason: str


class VoteCast(Event, frozen=True, kw_only=True, omit_defaults=True, tag="vote-cast"):
    """A person judged exactly what ``subject_digest`` names.

    ``changes`` are the parameters that an approver wants otherwise, and ``approves`` names the item as it would then
    be (``None``: no approval of anything but the item as it is). ``groups`` are the voter's at that moment. ``bulk``
    names the act on many decisions that it was part of (``None``: it was cast on this one alone).
    """

    schema_version: ClassVar[int] = 3

    voter: PersonId
    session: SessionId | None
    choice: Choice
    approved_actions: tuple[Action, ...]
    notes: str
    subject_digest: Digest
    level: int
    lease_id: LeaseId | None
    fencing_token: int | None
    changes: tuple[Change, ...] = ()
    approves: Digest | None = None
    groups: tuple[str, ...] = ()
    imported: Imported | None = None
    bulk: BulkId | None = None


class DecisionResolved(Event, frozen=True, kw_only=True, omit_defaults=True, tag="decision-resolved"):
    """Enough votes agree; ``decided_by`` cast the last of them.

    ``changes`` are what all who approved wanted otherwise, and ``approved_digest`` names the item as approved
    (``None``: as it is, or not approved). ``approved_actions`` are those that all of them allow.
    """

    schema_version: ClassVar[int] = 2

    outcome: Outcome
    decided_by: PersonId
    approved_actions: tuple[Action, ...]
    notes: str
    subject_digest: Digest
    approvals: int
    rejections: int
    changes: tuple[Change, ...] = ()
    approved_digest: Digest | None = None
    imported: Imported | None = None


class DecisionEscalated(Event, frozen=True, kw_only=True, omit_defaults=True, tag="decision-escalated"):
    """It moved up to ``level``, to ``group`` (``None``: to every reviewer).

    ``by`` is ``None`` when no person did it.
    """

    schema_version: ClassVar[int] = 3

    by: PersonId | None
    session: SessionId | None
    cause: EscalationCause
    reason: str
    level: int
    approved_actions: tuple[Action, ...]
    notes: str
    group: str | None = None
    imported: Imported | None = None


class HandoverOffered(Event, frozen=True, kw_only=True, tag="handover-offered"):
    """The holder asks ``to`` to take the claim over; nothing changes until they accept."""

    by: PersonId
    to: PersonId
    lease_id: LeaseId


class DecisionAssigned(Event, frozen=True, kw_only=True, omit_defaults=True, tag="decision-assigned"):
    """It is for ``to`` alone to work on (``None``: for everybody again); ``bulk`` as with votes."""

    to: PersonId | None
    by: PersonId
    reason: str
    bulk: BulkId | None = None


class DecisionReprioritised(Event, frozen=True, kw_only=True, tag="decision-reprioritised"):
    """It is more, or less, urgent than was said; what people are shown stays the same."""

    priority: Priority
    by: PersonId
    reason: str


class MilestonePassed(Event, frozen=True, kw_only=True, tag="milestone-passed"):
    """Half of the time is over, or all of it, and there is no verdict."""

    milestone: Milestone


class VotesInvalidated(Event, frozen=True, kw_only=True, tag="votes-invalidated"):
    """No vote so far counts any more; whoever cast one may vote again."""

    cause: InvalidationCause


class InformationRequested(Event, frozen=True, kw_only=True, tag="information-requested"):
    """The holder asks the submitter something; ``pauses_clock``: no time passes until they answer."""

    by: PersonId
    question: str
    pauses_clock: bool


class InformationProvided(Event, frozen=True, kw_only=True, tag="information-provided"):
    """The submitter answered, perhaps with another ``item`` (``None``: it stays as it is).

    ``subject_digest`` names what people are shown from now on; ``deadline_at`` and ``target_at`` are where the clocks
    stand after a pause.
    """

    by: PersonId
    answer: str
    item: Item | None
    subject_digest: Digest
    deadline_at: Utc | None
    target_at: Utc | None


class CommentAdded(Event, frozen=True, kw_only=True, tag="comment-added"):
    """Somebody who takes part said something."""

    by: PersonId
    text: str


class EvidenceAttached(Event, frozen=True, kw_only=True, tag="evidence-attached"):
    """Somebody who takes part added a file of ``size`` bytes; its content lies beside the log."""

    evidence: EvidenceId
    by: PersonId
    name: str
    media_type: str
    size: int
    sha256: Digest


class DecisionWithdrawn(Event, frozen=True, kw_only=True, tag="decision-withdrawn"):
    """The submitter does not ask any more."""

    by: PersonId
    reason: str


class DecisionSuperseded(Event, frozen=True, kw_only=True, tag="decision-superseded"):
    """The submitter asks for the decision ``successor`` instead."""

    by: PersonId
    successor: DecisionId
    reason: str


class DecisionCancelled(Event, frozen=True, kw_only=True, tag="decision-cancelled"):
    """An administrator took it off the queue for good."""

    by: PersonId
    reason: str


class DecisionExpired(Event, frozen=True, kw_only=True, tag="decision-expired"):
    """Nobody decided by ``deadline_at``: no human verdict, whatever ``default_outcome`` lets the submitter do.

    ``human_seen``: somebody had claimed it or voted on it.
    """

    deadline_at: Utc
    default_outcome: DefaultOutcome
    human_seen: bool


class DecisionOverridden(Event, frozen=True, kw_only=True, tag="decision-overridden"):
    """An administrator broke the glass: a verdict past all rules, to be countersigned by another one in time."""

    by: PersonId
    session: SessionId
    outcome: Outcome
    approved_actions: tuple[Action, ...]
    reason: str
    ticket: str
    subject_digest: Digest
    countersign_by: Utc


class OverrideCountersigned(Event, frozen=True, kw_only=True, tag="override-countersigned"):
    """Another administrator stands by the override."""

    by: PersonId
    notes: str


class OverrideLapsed(Event, frozen=True, kw_only=True, tag="override-lapsed"):
    """Nobody countersigned in time: what it approved cannot be redeemed."""

    countersign_by: Utc


class ResponseRedeemed(Event, frozen=True, kw_only=True, tag="response-redeemed"):
    """The submitter used the approval of what ``digest`` names; it is used up."""

    by: PersonId
    digest: Digest


class OutcomeReported(Event, frozen=True, kw_only=True, tag="outcome-reported"):
    """The submitter tells how it went."""

    by: PersonId
    succeeded: bool
    details: str


DecisionEvent: TypeAlias = (
    DecisionSubmitted
    | DecisionClaimed
    | ClaimRenewed
    | ClaimReleased
    | HandoverOffered
    | DecisionAssigned
    | DecisionReprioritised
    | VoteCast
    | VotesInvalidated
    | DecisionResolved
    | DecisionEscalated
    | MilestonePassed
    | InformationRequested
    | InformationProvided
    | CommentAdded
    | EvidenceAttached
    | DecisionWithdrawn
    | DecisionSuperseded
    | DecisionCancelled
    | DecisionExpired
    | DecisionOverridden
    | OverrideCountersigned
    | OverrideLapsed
    | ResponseRedeemed
    | OutcomeReported
)

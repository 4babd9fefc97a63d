"""The decision calls' bodies, in and out; names and limits are the wire contract."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from ledger.api.problems import FieldError, InvalidRequest
from ledger.domain.decision.events import Priority
from ledger.domain.decision.item import Change, ThreatAnalysis
from ledger.domain.decision.state import Answer, Status
from ledger.domain.event import Utc
from ledger.domain.ids import DecisionId, Digest
from ledger.domain.terms import Action, DefaultOutcome
from ledger.identity.people import holds_unseen, is_storable
from ledger.projections import submission

RESERVED: Final = frozenset({"pending", "submit", "next", "stats", "bulk", ".", ".."})
MAX_ID: Final = 200

Short = Annotated[str, msgspec.Meta(max_length=2_000)]
Long = Annotated[str, msgspec.Meta(max_length=65_536)]
Lines = Annotated[tuple[Short, ...], msgspec.Meta(max_length=1_000)]
JsonObject = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
"""An object that is kept as it was sent."""
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]
Pointer = Annotated[str, msgspec.Meta(max_length=500)]
Changed = Annotated[dict[Pointer, msgspec.Raw], msgspec.Meta(max_length=100)]
Chosen = Annotated[tuple[Action, ...], msgspec.Meta(max_length=100)]


class Threat(msgspec.Struct, frozen=True, kw_only=True):
    """What a security engine saw."""

    threat_level: Short
    source_ip: Short
    confidence: Annotated[float, msgspec.Meta(ge=0, le=100)]
    iocs: Lines
    ttps: Lines
    recommended_actions: Lines
    forensic_summary: Long
    incident_id: Short | None = None
    attributed_actor: Short | None = None

    def item(self) -> ThreatAnalysis:
        """Give it as the domain has it."""
        return ThreatAnalysis(
            threat_level=self.threat_level,
            source_ip=self.source_ip,
            confidence=self.confidence,
            iocs=self.iocs,
            ttps=self.ttps,
            recommended_actions=self.recommended_actions,
            forensic_summary=self.forensic_summary,
            incident_id=self.incident_id,
            attributed_actor=self.attributed_actor,
        )


class ThreatPayload(Threat, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a security engine saw, as the payload of an item of the built-in kind."""


class Submission(Threat, frozen=True, kw_only=True):
    """An item of the built-in kind that needs a human decision."""

    analysis_id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
    priority: Priority
    created_at: datetime


class KindSubmission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item of any kind that needs a human decision.

    ``payload`` is an object as the JSON Schema of its kind says; ``on_behalf_of`` the user name of whose wish it is.
    """

    analysis_id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
    kind: Annotated[str, msgspec.Meta(max_length=200)]
    payload: JsonObject
    priority: Priority
    created_at: datetime
    on_behalf_of: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an analyst says about a decision.

    ``lease_id`` and ``fencing_token`` come together; ``subject_digest`` is what the voter was shown;
    ``changed_parameters`` are other values for what an approver may change, by JSON pointer into the payload.
    """

    decision_id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
    status: Literal["approved", "rejected", "escalated", "abstained"]
    approved_actions: Chosen
    notes: Long
    escalation_reason: Long | None = None
    lease_id: UUID | None = None
    fencing_token: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    subject_digest: Sha256 | None = None
    changed_parameters: Changed = {}


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """The item is in the ledger."""

    message: str
    analysis_id: DecisionId


class Item(submission.Submission, frozen=True, kw_only=True):
    """A submission as it was sent, and how it stands."""

    status: Status


class KindItem(submission.KindSubmission, frozen=True, kw_only=True):
    """A submission of a registered kind as it was sent, and how it stands."""

    status: Status


class ChangedParameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter that was approved otherwise than asked: a JSON pointer into the payload, and both values."""

    pointer: str
    before: msgspec.Raw
    after: msgspec.Raw


class Response(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a submission; people are user names here.

    ``subject_digest`` names what a verdict judged, ``approved_digest`` what may be redeemed: what was submitted with
    the ``changes``. ``default_outcome`` stands in for a verdict that nobody gave in time; ``successor`` is the decision
    that was asked for instead.
    """

    decision_id: DecisionId
    status: Status
    approved_actions: tuple[Action, ...]
    notes: str
    decided_by: str | None
    decided_at: Utc
    escalation_reason: str | None
    changes: tuple[ChangedParameter, ...] = ()
    subject_digest: Digest | None = None
    approved_digest: Digest | None = None
    default_outcome: DefaultOutcome | None = None
    successor: DecisionId | None = None


def told(decision: DecisionId, answer: Answer, decided_by: str | None) -> Response:
    """Write an answer; ``decided_by`` is a user name."""
    return Response(
        decision_id=decision,
        status=answer.status,
        approved_actions=answer.approved_actions,
        notes=answer.notes,
        decided_by=decided_by,
        decided_at=answer.decided_at,
        escalation_reason=answer.escalation_reason,
        changes=tuple(map(changed_parameter, answer.changes)),
        subject_digest=answer.subject_digest,
        approved_digest=answer.approved_digest,
        default_outcome=answer.default_outcome,
        successor=answer.successor,
    )


def changed_parameter(change: Change) -> ChangedParameter:
    """Write a change; its values are JSON already."""
    return ChangedParameter(
        pointer=change.pointer,
        before=msgspec.Raw(change.before.encode()),
        after=msgspec.Raw(change.after.encode()),
    )


def decision_id(text: str, field: str = "analysis_id") -> DecisionId:
    """Check an id chosen by a client.

    Raises:
        InvalidRequest: it is empty, too long, reserved, or holds a slash, a control or a format character.
    """
    if not 1 <= len(text) <= MAX_ID:
        raise InvalidRequest(FieldError(field, f"has 1 to {MAX_ID} characters"))
    if text in RESERVED:
        raise InvalidRequest(FieldError(field, f"{text!r} is reserved"))
    if "/" in text or holds_unseen(text) or not is_storable(text):
        raise InvalidRequest(FieldError(field, "holds a slash, or a character that nobody sees"))
    return DecisionId(text)

"""What somebody wants of a decision: wishes, each with the facts it needs and the moment it is made."""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority
from ledger.domain.decision.events import Choice, EscalationCause, Priority
from ledger.domain.decision.item import ThreatAnalysis
from ledger.domain.event import Utc
from ledger.domain.ids import DecisionId, Digest, LeaseId
from ledger.domain.terms import Action, Policy


class SubmitDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a decision on ``item`` under ``policy``, which is snapshotted."""

    now: Utc
    by: Authority
    decision_id: DecisionId
    item: ThreatAnalysis
    kind_version: int
    priority: Priority
    created_at: Utc
    policy: Policy


class ClaimDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Take it off the queue; a lead may take it over from a living lease, with a ``reason``."""

    now: Utc
    by: Authority
    lease_id: LeaseId
    reason: str = ""


class RenewClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Keep it for another lease."""

    now: Utc
    by: Authority
    lease_id: LeaseId


class ReleaseClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Give it back to the queue; ``by`` is ``None`` when the session that held it has ended."""

    now: Utc
    by: Authority | None
    lease_id: LeaseId


class CastVote(msgspec.Struct, frozen=True, kw_only=True):
    """Approve or reject it.

    ``lease_id`` and ``fencing_token`` come together or not at all; ``subject_digest`` is what the
    voter was shown (``None``: what is current, for clients that do not name it).
    """

    now: Utc
    by: Authority
    choice: Choice
    approved_actions: tuple[Action, ...]
    notes: str
    subject_digest: Digest | None = None
    lease_id: LeaseId | None = None
    fencing_token: int | None = None


class Escalate(msgspec.Struct, frozen=True, kw_only=True):
    """Move it up one level; ``by`` is ``None`` for a timer."""

    now: Utc
    by: Authority | None
    cause: EscalationCause
    reason: str
    approved_actions: tuple[Action, ...] = ()
    notes: str = ""


DecisionCommand: TypeAlias = SubmitDecision | ClaimDecision | RenewClaim | ReleaseClaim | CastVote | Escalate

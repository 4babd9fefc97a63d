"""What happened to a decision: ``claimed(by=ANA)``."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from ledger.domain.decision.events import (
    Choice,
    ClaimReleased,
    ClaimRenewed,
    DecisionClaimed,
    DecisionEscalated,
    DecisionResolved,
    DecisionSubmitted,
    EscalationCause,
    Outcome,
    Priority,
    ReleaseCause,
    VoteCast,
)
from ledger.domain.decision.item import Change, Item, ThreatAnalysis, subject_digest
from ledger.domain.ids import DecisionId, Digest, LeaseId, PersonId, SessionId
from ledger.domain.terms import THREAT_ANALYSIS_POLICY, Action, Policy, ReasonMode
from tests.builders.people import ANA, ENGINE, NOW, session_of

SUSPECT: Final = DecisionId("analysis-7")
ITEM: Final = ThreatAnalysis(
    threat_level="high",
    source_ip="203.0.113.9",
    confidence=89.5,
    iocs=("evil.example",),
    ttps=("T1071",),
    recommended_actions=("block_ip",),
    forensic_summary="Beacons every 60 s.",
)
DIGEST: Final = subject_digest(SUSPECT, ITEM, 1, Priority.HIGH)


def lease(token: int = 1) -> LeaseId:
    """The id of the lease with this fencing token."""
    return LeaseId(UUID(int=90_000 + token))


def policy(
    *,
    approvals: int = 1,
    rejections: int = 1,
    four_eyes: bool = False,
    reason: ReasonMode = ReasonMode.NEVER,
    step_up_seconds: int | None = None,
    allowed: tuple[Action, ...] = tuple(Action),
    levels: int = 3,
) -> Policy:
    return replace(
        THREAT_ANALYSIS_POLICY,
        approvals_needed=approvals,
        rejections_needed=rejections,
        four_eyes=four_eyes,
        reason=reason,
        step_up_seconds=step_up_seconds,
        allowed_actions=allowed,
        escalation_levels=levels,
    )


FOUR_EYES: Final = policy(four_eyes=True)
TWO_OF_EACH: Final = policy(approvals=2, rejections=2)


def submitted(
    by: PersonId = ENGINE,
    *,
    decision_id: DecisionId = SUSPECT,
    priority: Priority = Priority.HIGH,
    policy: Policy = THREAT_ANALYSIS_POLICY,
    on_behalf_of: PersonId | None = None,
    item: Item = ITEM,
    at: datetime = NOW,
) -> DecisionSubmitted:
    """Its clocks run from ``at`` by the policy."""
    deadline, target = policy.deadline_seconds, policy.target_seconds
    return DecisionSubmitted(
        at=at,
        decision_id=decision_id,
        item=item,
        kind_version=1,
        priority=priority,
        created_at=NOW,
        submitted_by=by,
        session=session_of(by),
        policy=policy,
        subject_digest=subject_digest(decision_id, item, 1, priority),
        on_behalf_of=on_behalf_of,
        deadline_at=None if deadline is None else at + timedelta(seconds=deadline),
        target_at=None if target is None else at + timedelta(seconds=target),
    )


def claimed(
    by: PersonId = ANA,
    *,
    token: int = 1,
    session: SessionId | None = None,
    at: datetime = NOW,
    seconds: int = 300,
) -> DecisionClaimed:
    return DecisionClaimed(
        at=at,
        holder=by,
        session=session or session_of(by),
        lease_id=lease(token),
        fencing_token=token,
        expires_at=at + timedelta(seconds=seconds),
    )


def renewed(by: PersonId = ANA, *, token: int = 1, at: datetime = NOW, seconds: int = 300) -> ClaimRenewed:
    return ClaimRenewed(at=at, holder=by, lease_id=lease(token), expires_at=at + timedelta(seconds=seconds))


def released(
    by: PersonId | None = ANA,
    *,
    holder: PersonId | None = None,
    token: int = 1,
    cause: ReleaseCause = ReleaseCause.RELEASED,
    reason: str = "",
    at: datetime = NOW,
) -> ClaimReleased:
    """By the holder, unless another ``holder`` is named; by nobody where ``by`` is ``None``."""
    return ClaimReleased(
        at=at, holder=holder or by or ANA, lease_id=lease(token), cause=cause, by=by, reason=reason
    )


def voted(
    by: PersonId = ANA,
    *,
    choice: Choice = Choice.APPROVE,
    actions: tuple[Action, ...] = (Action.BLOCK_IP,),
    notes: str = "",
    level: int = 0,
    token: int | None = None,
    session: SessionId | None = None,
    changes: tuple[Change, ...] = (),
    approves: Digest | None = None,
    groups: tuple[str, ...] = (),
    at: datetime = NOW,
) -> VoteCast:
    """``token`` is that of the lease it was cast under (``None``: without one)."""
    return VoteCast(
        at=at,
        voter=by,
        session=session or session_of(by),
        choice=choice,
        approved_actions=actions,
        notes=notes,
        subject_digest=DIGEST,
        level=level,
        lease_id=None if token is None else lease(token),
        fencing_token=token,
        changes=changes,
        approves=approves,
        groups=groups,
    )


def resolved(
    by: PersonId = ANA,
    *,
    outcome: Outcome = Outcome.APPROVED,
    actions: tuple[Action, ...] = (Action.BLOCK_IP,),
    notes: str = "",
    approvals: int = 1,
    rejections: int = 0,
    changes: tuple[Change, ...] = (),
    approved_digest: Digest | None = None,
    at: datetime = NOW,
) -> DecisionResolved:
    return DecisionResolved(
        at=at,
        outcome=outcome,
        decided_by=by,
        approved_actions=actions,
        notes=notes,
        subject_digest=DIGEST,
        approvals=approvals,
        rejections=rejections,
        changes=changes,
        approved_digest=approved_digest,
    )


def escalated(
    by: PersonId | None = ANA,
    *,
    level: int = 1,
    reason: str = "beyond me",
    actions: tuple[Action, ...] = (),
    notes: str = "",
    cause: EscalationCause = EscalationCause.PERSON,
    group: str | None = None,
    at: datetime = NOW,
) -> DecisionEscalated:
    """By nobody where ``by`` is ``None``: name the ``cause``."""
    return DecisionEscalated(
        at=at,
        by=by,
        session=None if by is None else session_of(by),
        cause=cause,
        reason=reason,
        level=level,
        approved_actions=actions,
        notes=notes,
        group=group,
    )

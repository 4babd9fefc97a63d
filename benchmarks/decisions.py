"""Decisions to measure with: submitted as an engine does, and a whole life of one as it lies in the log."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from ledger.domain.authority import Authority, Role
from ledger.domain.decision.commands import SubmitDecision
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    Choice,
    DecisionClaimed,
    DecisionEvent,
    DecisionResolved,
    Outcome,
    Priority,
    VoteCast,
)
from ledger.domain.decision.item import ThreatAnalysis
from ledger.domain.ids import DecisionId, Digest, LeaseId, PersonId, SessionId
from ledger.domain.terms import BUILT_IN_VERSION, THREAT_ANALYSIS_POLICY, Action

ANALYST: Final = PersonId(UUID(int=3))
SESSION: Final = SessionId(UUID(int=4))
LEASE: Final = LeaseId(UUID(int=5))
DIGEST: Final = Digest("0" * 64)
LEASE_TIME: Final = timedelta(minutes=5)
ENGINE: Final = Authority(
    person=PersonId(UUID(int=1)),
    session=SessionId(UUID(int=2)),
    role=Role.SERVICE,
    is_lead=False,
    is_active=True,
    session_is_live=True,
    stepped_up_at=None,
)
ITEM: Final = ThreatAnalysis(
    threat_level="TARGETED",
    source_ip="203.0.113.9",
    confidence=89.5,
    iocs=("cdn-update.example.net",),
    ttps=("T1071.001",),
    recommended_actions=("Block the address",),
    forensic_summary="Beacon every 61 seconds from a build host to a domain registered yesterday.",
)


def submission(decision_id: DecisionId, priority: Priority) -> SubmitDecision:
    """Ask for a decision, now."""
    now = datetime.now(UTC)
    return SubmitDecision(
        now=now,
        by=ENGINE,
        decision_id=decision_id,
        item=ITEM,
        kind_version=BUILT_IN_VERSION,
        priority=priority,
        created_at=now,
        policy=THREAT_ANALYSIS_POLICY,
    )


def life(decision_id: DecisionId) -> tuple[DecisionEvent, ...]:
    """Tell a decision from its submission to the verdict: four events."""
    at = datetime.now(UTC)
    votes = VoteCast(
        at=at,
        voter=ANALYST,
        session=SESSION,
        choice=Choice.APPROVE,
        approved_actions=(Action.BLOCK_IP,),
        notes="",
        subject_digest=DIGEST,
        level=0,
        lease_id=LEASE,
        fencing_token=1,
    )
    return (
        *DECISION.decide(submission(decision_id, Priority.HIGH), DECISION.initial),
        DecisionClaimed(
            at=at,
            holder=ANALYST,
            session=SESSION,
            lease_id=LEASE,
            fencing_token=1,
            expires_at=at + LEASE_TIME,
        ),
        votes,
        DecisionResolved(
            at=at,
            outcome=Outcome.APPROVED,
            decided_by=ANALYST,
            approved_actions=votes.approved_actions,
            notes="",
            subject_digest=DIGEST,
            approvals=1,
            rejections=0,
        ),
    )

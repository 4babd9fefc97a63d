"""A submission in the words of the wire, as read models keep it: text, never taken apart by the database."""

from typing import Final

import msgspec

from ledger.domain.decision.events import DecisionSubmitted, Priority
from ledger.domain.decision.item import Item, ThreatAnalysis
from ledger.domain.event import Utc
from ledger.domain.ids import DecisionId

RANKS: Final = {Priority.CRITICAL: 0, Priority.HIGH: 1, Priority.MEDIUM: 2, Priority.LOW: 3}
"""The order in which decisions are asked for; the lower the more urgent."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What was submitted; field names and their order are the wire contract's."""

    analysis_id: DecisionId
    incident_id: str | None
    threat_level: str
    source_ip: str
    attributed_actor: str | None
    confidence: float
    iocs: tuple[str, ...]
    ttps: tuple[str, ...]
    recommended_actions: tuple[str, ...]
    forensic_summary: str
    priority: Priority
    created_at: Utc


class KindSubmission(msgspec.Struct, frozen=True, kw_only=True):
    """What was submitted of a registered kind; ``payload`` is what the submitter sent, verbatim."""

    analysis_id: DecisionId
    kind: str
    kind_version: int
    payload: msgspec.Raw
    priority: Priority
    created_at: Utc


def written(event: DecisionSubmitted) -> str:
    """Write a submission as JSON."""
    return rewritten(
        event.item,
        decision_id=event.decision_id,
        kind_version=event.kind_version,
        priority=event.priority,
        created_at=event.created_at,
    )


def rewritten(
    item: Item, *, decision_id: DecisionId, kind_version: int, priority: Priority, created_at: Utc
) -> str:
    """Write a submission with another item, as its submitter has since made it."""
    if isinstance(item, ThreatAnalysis):
        return _encoded(_threat(item, decision_id, priority, created_at))
    submission = KindSubmission(
        analysis_id=decision_id,
        kind=item.name,
        kind_version=kind_version,
        payload=msgspec.Raw(item.payload.encode()),
        priority=priority,
        created_at=created_at,
    )
    return _encoded(submission)


def _encoded(submission: Submission | KindSubmission) -> str:
    return msgspec.json.encode(submission).decode()


def _threat(item: ThreatAnalysis, decision_id: DecisionId, priority: Priority, created_at: Utc) -> Submission:
    return Submission(
        analysis_id=decision_id,
        incident_id=item.incident_id,
        threat_level=item.threat_level,
        source_ip=item.source_ip,
        attributed_actor=item.attributed_actor,
        confidence=item.confidence,
        iocs=item.iocs,
        ttps=item.ttps,
        recommended_actions=item.recommended_actions,
        forensic_summary=item.forensic_summary,
        priority=priority,
        created_at=created_at,
    )

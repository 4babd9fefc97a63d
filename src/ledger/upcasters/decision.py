"""Past shapes of what happened to a decision, lifted one version at a time."""

import hashlib
from typing import Final

import msgspec

from ledger.upcasters.prototype import (
    AnswerRecord,
    EscalationAnswer,
    Submission,
    VerdictAnswer,
    VoteAnswer,
    moment,
    read,
    told,
)
from ledger.upcasters.step import Json, Step

PROTOTYPE_POLICY: Final[Json] = {
    "name": "threat_analysis",
    "version": 1,
    "allowed_actions": [
        "block_ip",
        "quarantine_system",
        "activate_killswitch",
        "deploy_countermeasure",
        "escalate_to_soc",
        "no_action",
        "custom",
    ],
    "approvals_needed": 1,
    "rejections_needed": 1,
    "four_eyes": False,
    "reason": "never",
    "step_up_seconds": None,
    "escalation_levels": 3,
    "lease_seconds": 300,
}
"""The rules that the prototype decided by, as a snapshot: written out, because today's may change."""

CANONICAL: Final = msgspec.json.Encoder(order="sorted")
CHOICES: Final = {"approved": "approve", "rejected": "reject"}


def decision_submitted_v1_to_v2(payload: Json) -> Json:
    """From the prototype's submission: its rules were the built-in kind's, and it named neither session nor submitter.

    The digest of what people were shown is made of the item, as for one submitted today.
    """
    record = read(payload, Submission)
    created_at = moment(record.created_at, "created_at", record.imported)
    shown: Json = {
        "decision_id": record.analysis_id,
        "item": _item(record),
        "kind_version": 1,
        "priority": record.priority,
    }
    return {
        "type": "decision-submitted",
        **shown,
        "at": created_at,
        "created_at": created_at,
        "submitted_by": record.imported.submitted_by,
        "session": None,
        "policy": PROTOTYPE_POLICY,
        "subject_digest": hashlib.sha256(CANONICAL.encode(shown)).hexdigest(),
        "imported": told(record.imported),
    }


def _item(record: Submission) -> Json:
    return {
        "kind": "threat_analysis",
        "threat_level": record.threat_level,
        "source_ip": record.source_ip,
        "confidence": record.confidence,
        "iocs": record.iocs,
        "ttps": record.ttps,
        "recommended_actions": record.recommended_actions,
        "forensic_summary": record.forensic_summary,
        "incident_id": record.incident_id,
        "attributed_actor": record.attributed_actor,
    }


def vote_cast_v1_to_v2(payload: Json) -> Json:
    """From the prototype's answer: one person's word, without session or claim, on the item as it was submitted."""
    record = read(payload, VoteAnswer)
    return {
        **_answered(record),
        "type": "vote-cast",
        "voter": record.decided_by,
        "session": None,
        "choice": CHOICES[record.status],
        "subject_digest": record.imported.subject_digest,
        "level": record.imported.level,
        "lease_id": None,
        "fencing_token": None,
    }


def decision_resolved_v1_to_v2(payload: Json) -> Json:
    """From the same answer: in the prototype one person's word was the verdict."""
    record = read(payload, VerdictAnswer)
    choice = CHOICES[record.status]
    return {
        **_answered(record),
        "type": "decision-resolved",
        "outcome": record.status,
        "decided_by": record.decided_by,
        "subject_digest": record.imported.subject_digest,
        "approvals": int(choice == "approve"),
        "rejections": int(choice == "reject"),
    }


def decision_escalated_v1_to_v2(payload: Json) -> Json:
    """From the prototype's escalation, always a person's: one level above what it was."""
    record = read(payload, EscalationAnswer)
    return {
        **_answered(record),
        "type": "decision-escalated",
        "by": record.decided_by,
        "session": None,
        "cause": "person",
        "reason": record.escalation_reason or "",
        "level": record.imported.level + 1,
    }


def _answered(record: AnswerRecord) -> Json:
    return {
        "at": moment(record.decided_at, "decided_at", record.imported),
        "approved_actions": record.approved_actions,
        "notes": record.notes or "",
        "imported": told(record.imported),
    }


def decision_submitted_v2_to_v3(payload: Json) -> Json:
    """From a time when every item was of the built-in kind: it says so itself, and nothing else has changed."""
    return payload


def claim_released_v1_to_v2(payload: Json) -> Json:
    """From a time without hand-over and assignment: claims ended for the causes that there were."""
    return payload


def vote_cast_v2_to_v3(payload: Json) -> Json:
    """From a time when nobody abstained or changed parameters: an approval was of the item as it was."""
    return payload


def decision_escalated_v2_to_v3(payload: Json) -> Json:
    """From a time when only persons and timers moved decisions up, and to every reviewer."""
    return payload


STEPS: Final = (
    Step(type="decision-submitted", version=1, lift=decision_submitted_v1_to_v2),
    Step(type="decision-submitted", version=2, lift=decision_submitted_v2_to_v3),
    Step(type="claim-released", version=1, lift=claim_released_v1_to_v2),
    Step(type="vote-cast", version=1, lift=vote_cast_v1_to_v2),
    Step(type="vote-cast", version=2, lift=vote_cast_v2_to_v3),
    Step(type="decision-resolved", version=1, lift=decision_resolved_v1_to_v2),
    Step(type="decision-escalated", version=1, lift=decision_escalated_v1_to_v2),
    Step(type="decision-escalated", version=2, lift=decision_escalated_v2_to_v3),
)

"""Dumps of the prototype, as its own export wrote them."""

import json
from pathlib import Path


def a_user(username="ana", **other):
    return {
        "username": username,
        "email": f"{username}@example.org",
        "full_name": f"{username.title()} Example",
        "role": "analyst",
        "is_active": True,
        "created_at": "2025-01-15T08:00:00.000001",
        **other,
    }


def a_decision(analysis_id="CANDI-1", **other):
    return {
        "analysis_id": analysis_id,
        "incident_id": None,
        "threat_level": "TARGETED",
        "source_ip": "203.0.113.9",
        "attributed_actor": None,
        "confidence": 89.5,
        "iocs": ["evil.example"],
        "ttps": ["T1071"],
        "recommended_actions": ["Block the address"],
        "forensic_summary": "Beacons every 61 s.",
        "priority": "high",
        "created_at": "2025-06-01T10:00:00.123456",
        **other,
    }


def an_answer(decision_id="CANDI-1", **other):
    return {
        "decision_id": decision_id,
        "status": "approved",
        "approved_actions": ["block_ip"],
        "notes": "Confirmed.",
        "decided_by": "ana",
        "decided_at": "2025-06-01T10:30:00",
        "escalation_reason": None,
        **other,
    }


def an_escalation(decision_id="CANDI-1", **other):
    said = {
        "status": "escalated",
        "approved_actions": [],
        "notes": None,
        "escalation_reason": "Ask the lead.",
    }
    return an_answer(decision_id, **{**said, **other})


def an_entry(event="user_login", **other):
    return {
        "timestamp": "2025-06-01T09:59:00",
        "event": event,
        "user": "ana",
        "details": {"username": "ana", "ip": "198.51.100.7"},
        **other,
    }


def a_dump(folder: Path, **sections) -> Path:
    """Write a dump into a folder."""
    path = folder / "dump.json"
    empty = {"users": [], "decisions": [], "responses": [], "audit_log": []}
    path.write_text(json.dumps({**empty, **sections}), encoding="utf-8")
    return path


def a_large_dump(folder: Path, *, decisions: int) -> Path:
    """A dump in which every second decision is made, every tenth escalated before, and each is noted."""
    numbers = range(decisions)
    return a_dump(
        folder,
        users=[a_user("ana"), a_user("ben", role="admin"), a_user("cy", is_active=False)],
        decisions=[a_decision(f"CANDI-{number}") for number in numbers],
        responses=[
            *(an_escalation(f"CANDI-{number}", decided_by="ben") for number in numbers if number % 10 == 0),
            *(an_answer(f"CANDI-{number}") for number in numbers if number % 2 == 0),
        ],
        audit_log=[an_entry("submitted", details=f"CANDI-{number} by ana") for number in numbers],
    )

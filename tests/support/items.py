"""Items to submit over HTTP."""

import json
from pathlib import Path


def item(analysis_id: str, **changes: object) -> dict[str, object]:
    return {
        "analysis_id": analysis_id,
        "incident_id": None,
        "threat_level": "TARGETED",
        "source_ip": "198.51.100.7",
        "attributed_actor": None,
        "confidence": 89.5,
        "iocs": ["198.51.100.7"],
        "ttps": ["T1059"],
        "recommended_actions": ["Block the address"],
        "forensic_summary": "Seen three times in an hour.",
        "priority": "high",
        "created_at": "2026-03-01T08:30:00Z",
        **changes,
    }


def a_file_of(folder: Path, count: int) -> Path:
    """A file with ``count`` items, ``ITEM-1`` first."""
    file = folder / "items.ndjson"
    lines = (json.dumps(item(f"ITEM-{number}")) for number in range(1, count + 1))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file

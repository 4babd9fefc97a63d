"""A service lets what nobody decides expire, and tells what is due."""

import time
from pathlib import Path

import httpx2
import pytest

from tests.support.databases import Database
from tests.support.http import submission
from tests.support.service import HANG_GUARD, on_database, service

pytestmark = [pytest.mark.processes, pytest.mark.long]

KIND = "threat_analysis"


def expired(client: httpx2.Client, item: str) -> object:
    deadline = time.monotonic() + HANG_GUARD
    while (answer := client.get(f"/api/decisions/{item}/response")).status_code == 404:
        assert time.monotonic() < deadline, "it never expires"
        time.sleep(0.05)
    return answer.json()


def measured(client: httpx2.Client) -> dict[str, float]:
    lines = [
        line.split() for line in client.get("/metrics").text.splitlines() if line.startswith("ledger_timers")
    ]
    return {
        name.partition("{")[0] + ("|deadline" if "deadline" in name else ""): float(v) for name, v in lines
    }


def fired(client: httpx2.Client) -> dict[str, float]:
    """What is measured once a deadline is counted: a moment after it is written down."""
    deadline = time.monotonic() + HANG_GUARD
    while not (told := measured(client)).get("ledger_timers_fired_total|deadline"):
        assert time.monotonic() < deadline, "it is never counted"
        time.sleep(0.05)
    return told


def test_what_nobody_decides_expires_by_itself(database: Database, tmp_path: Path):
    with service(settings=on_database(database, tmp_path)) as running:
        running.register("boss", "admin")
        terms = {"allowed_actions": ["block_ip"], "deadline_seconds": 1}
        with running.client(running.login()) as admin, running.client(running.login("boss")) as boss:
            drafted = admin.post("/api/policies", json={"kind": KIND, "terms": terms, "reason": "a test"})
            assert drafted.status_code == 200, drafted.text
            version = drafted.json()["policy_version"]
            published = boss.post(f"/api/policies/{KIND}/{version}/publish", json={"reason": "agreed"})
            assert published.status_code == 200, published.text
            assert admin.post("/api/decisions/submit", json=submission("LATE-1")).status_code == 200

            answer = expired(admin, "LATE-1")
            told = fired(admin)

    assert answer["status"] == "expired"
    assert answer["decided_by"] is None
    assert told["ledger_timers_fired_total|deadline"] == 1
    assert told["ledger_timers_oldest_due_age_seconds"] < HANG_GUARD
    assert "ledger_timers_due" in told

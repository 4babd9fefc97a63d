"""A webhook of a real service: registered, told and counted, over HTTP and by other processes."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from tests.support.databases import Database
from tests.support.http import submission
from tests.support.receiver import receiving
from tests.support.service import HANG_GUARD, Service, on_database, service

pytestmark = [pytest.mark.processes, pytest.mark.long]


def registered(running: Service, url: str) -> dict[str, str]:
    with running.client(running.login()) as client:
        answer = client.post("/api/webhooks", json={"url": url})
        assert answer.status_code == 200, answer.text
        assert client.post("/api/decisions/submit", json=submission("CASE-1")).status_code == 200
        return answer.json()


def delivered(running: Service, webhook: str) -> None:
    """Wait until its one message is on record as delivered."""
    with running.client(running.login()) as client:
        deadline = time.monotonic() + HANG_GUARD
        while [one["state"] for one in client.get(f"/api/webhooks/{webhook}/deliveries").json()] != [
            "delivered"
        ]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


async def test_a_service_tells_of_a_decision_and_counts_it(database: Database, tmp_path: Path) -> None:
    settings = {**on_database(database, tmp_path), "LEDGER_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1"}
    async with receiving() as receiver:
        with (
            service("--only", "api", settings=settings) as api,
            service("--only", "workers", settings=settings),
        ):
            made = await asyncio.to_thread(registered, api, receiver.url)
            (request,) = await receiver.count(1)
            await asyncio.to_thread(delivered, api, made["webhook_id"])
            with api.client() as client:
                metrics = client.get("/metrics").text

    message = request.verified_by(made["secret"])
    assert message["data"]["analysis_id"] == "CASE-1"
    assert message["data"]["by"] == "admin"
    assert re.search(r'^ledger_webhook_messages\{.*state="waiting".*\} 0\.0$', metrics, re.MULTILINE)


async def test_a_service_that_allows_no_network_refuses_this_machine(
    database: Database, tmp_path: Path
) -> None:
    def refused(running: Service) -> str:
        with running.client(running.login()) as client:
            answer = client.post("/api/webhooks", json={"url": "https://127.0.0.1:1/"})
        return f"{answer.status_code} {answer.json()['code']}"

    with service("--only", "api", settings=on_database(database, tmp_path)) as running:
        assert await asyncio.to_thread(refused, running) == "422 webhook-address-refused"

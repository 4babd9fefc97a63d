"""Sealing by a real service: the key it shows, what it seals, what a halt looks like from outside."""

import asyncio
import json
import re
import time
from pathlib import Path

import pytest

from tests.api.answers import as_owner
from tests.support.databases import Database
from tests.support.service import HANG_GUARD, Service, ledger, on_database, service

pytestmark = [pytest.mark.processes, pytest.mark.long]


def status(settings: dict[str, str], *arguments: str) -> dict[str, object]:
    asked = ledger("notary", "status", "--json", *arguments, settings=settings)
    assert asked.returncode in {0, 2}, asked.stderr
    return dict(json.loads(asked.stdout))


def metric(running: Service, name: str) -> float:
    with running.client() as client:
        told = client.get("/metrics").text
    found = re.search(rf"^{name}(?:\{{.*\}})? (\S+)$", told, re.MULTILINE)
    assert found, told
    return float(found[1])


def until(running: Service, name: str, value: float) -> None:
    """Wait until a metric is what it should be."""
    give_up = time.monotonic() + HANG_GUARD
    while metric(running, name) != value:
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_service_seals_shows_its_key_and_halts_without_its_guard(data_dir: Path):
    settings = {"LEDGER_DATA_DIR": str(data_dir)}
    with service(settings=settings) as running:
        printed = running.output.text().partition("Notary key ")[2].split()[0]
        running.register("sam", "analyst")
        until(running, "ledger_notary_lag_events", 0)
        token = running.login()
        until(running, "ledger_notary_lag_events", 0)
        asked = status({"LEDGER_URL": running.url, "LEDGER_TOKEN": token})
        assert (asked["vkey"], asked["halted"], asked["is_sealing"]) == (printed, None, True)
        assert asked["size"] == metric(running, "ledger_notary_sealed_size")
        assert status(settings) == asked
        assert ledger("doctor", settings=settings).returncode == 0

        state = data_dir / "notary_state"
        state.rename(data_dir / "aside")
        running.register("ben", "analyst")
        until(running, "ledger_notary_halted", 1)
        running.register("ada", "admin")  # commands go on
        assert "notary.halted" in running.output.until("notary.halted")
        adopted = ledger("notary", "adopt", "--reason", "a test", settings=settings)
        assert adopted.returncode == 0, adopted.stderr
        until(running, "ledger_notary_halted", 0)
        until(running, "ledger_notary_lag_events", 0)
        assert running.stop() == 0
    with service(settings={**settings, "LEDGER_ENVIRONMENT": "development"}) as again:
        assert again.output.text().partition("Notary key ")[2].split()[0] == printed
        assert again.stop() == 0


def test_where_it_is_switched_off_nothing_is_sealed(data_dir: Path):
    settings = {"LEDGER_DATA_DIR": str(data_dir), "LEDGER_NOTARY": "false"}
    with service(settings=settings) as running:
        assert "Notary key" not in running.output.text()
        running.register("sam", "analyst")
        assert metric(running, "ledger_notary_lag_events") > 0
        assert running.stop() == 0


def degraded(running: Service, names: list[str]) -> None:
    """Wait until readiness names just these as what does not work while traffic may come."""
    give_up = time.monotonic() + HANG_GUARD
    with running.client() as client:
        while (ready := client.get("/health/ready")).json()["degraded"] != names:
            assert time.monotonic() < give_up
            time.sleep(0.05)
    assert ready.status_code == 200


def test_the_patrol_of_a_worker_finds_an_old_event_that_was_changed_and_readiness_of_the_api_tells(
    database: Database, tmp_path: Path
):
    change = "update ledger.events set salt = sha256(salt || 'x') where position = 1"
    keep = (
        "create table public.kept as select salt from ledger.events where position = 1;"
        "alter table ledger.events drop constraint events_salt_length"
    )
    put_back = "update ledger.events set salt = (select salt from public.kept) where position = 1"
    settings = on_database(database, tmp_path)
    with (
        service("--only", "api", settings=settings) as front,
        service("--only", "workers", settings=settings) as worker,
    ):
        until(front, "ledger_notary_lag_events", 0)
        asyncio.run(as_owner(database, keep))
        asyncio.run(as_owner(database, change))
        degraded(front, ["tampered"])
        assert "payload-differs" in worker.output.until("sealing.patrol.tampered")
        asyncio.run(as_owner(database, put_back))
        degraded(front, [])
        assert (front.stop(), worker.stop()) == (0, 0)

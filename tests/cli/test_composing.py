"""The parts of a service, begun and stopped together."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from ledger.cli import composing
from ledger.cli.composing import Part, check_event_types, composed, level
from ledger.domain.ids import Position
from ledger.domain.reading.decide import READING
from ledger.domain.reading.events import Query
from ledger.history.readings import extent_of
from ledger.sealing.notes import Signer
from ledger.settings import Settings, ensure_secret_key
from ledger.store.ledger import Ledger, reading_stream
from ledger.store.streams import read_stream, recorded
from tests.builders import AUDREY, session_of
from tests.support.databases import Database
from tests.support.service import HANG_GUARD


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load({"LEDGER_DATA_DIR": str(tmp_path), "LEDGER_MAX_SESSIONS": "7"})


def test_this_release_can_read_what_it_writes():
    check_event_types()


async def test_what_is_composed_becomes_level_and_knows_the_settings(database: Database, settings: Settings):
    ledger = await Ledger.open(database.service_url)
    async with composed(ledger, settings, ensure_secret_key(settings)) as services:
        assert await level(services)
        assert services.runner is not None
        assert services.identity.limits.max_sessions == 7
        assert services.service_name == "decision-ledger"


async def test_the_api_alone_feeds_nothing(database: Database, settings: Settings):
    ledger = await Ledger.open(database.service_url)
    async with composed(ledger, settings, ensure_secret_key(settings), only="api") as services:
        assert services.runner is None
        assert await level(services)


async def test_a_command_needs_no_policy_of_witnesses(database: Database, settings: Settings, tmp_path: Path):
    without = settings.model_copy(update={"witness_policy": tmp_path / "away"})
    ledger = await Ledger.open(database.service_url)
    async with composed(ledger, without, ensure_secret_key(settings), only="api") as services:
        assert services.watch is None


async def test_who_seals_asks_witnesses_and_authorities(
    database: Database, settings: Settings, tmp_path: Path
):
    policy = tmp_path / "policy.txt"
    policy.write_text(f"log {Signer('log.example/1', bytes(32)).vkey}\nquorum none\n")
    asking = settings.model_copy(
        update={
            "witness_policy": policy,
            "timestamp_url": SecretStr("http://127.0.0.1:9/"),
            "data_dir": tmp_path,
        }
    )
    ledger = await Ledger.open(database.service_url)
    async with composed(ledger, asking, ensure_secret_key(settings), seals=True) as services:
        assert services.watch is not None
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert {"sealing", "retention", "witnesses", "timestamps"} <= names


async def test_what_hangs_does_not_keep_it_from_stopping(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(composing, "STOP_SECONDS", 0.2)
    ledger = await Ledger.open(database.service_url)
    async with asyncio.timeout(HANG_GUARD), composed(ledger, settings, ensure_secret_key(settings)):
        await ledger.pool.acquire()  # never given back
    assert ledger.pool.is_closing()


async def test_a_view_that_is_not_level_is_not_waited_for_for_ever(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(composing, "READY_SECONDS", 0.0)
    ledger = await Ledger.open(database.service_url)
    async with composed(ledger, settings, ensure_secret_key(settings)) as services:
        assert not await level(services)


@pytest.mark.parametrize(
    ("only", "is_on", "seals"),
    [(None, "true", True), ("workers", "true", True), ("api", "true", False), (None, "false", False)],
)
async def test_a_service_seals_unless_it_only_serves_or_is_told_not_to(
    database: Database, tmp_path: Path, only: Part | None, is_on: str, *, seals: bool
):
    settings = Settings.load({"LEDGER_DATA_DIR": str(tmp_path), "LEDGER_NOTARY": is_on})
    ledger = await Ledger.open(database.service_url)
    async with composed(ledger, settings, ensure_secret_key(settings), only=only, seals=True) as services:
        running = {task.get_name() for task in asyncio.all_tasks()}
        assert services.notary.origin.startswith("ledger.invalid/")

    assert ("sealing" in running) is seals
    assert ("patrol" in running) is seals


async def test_a_command_seals_nothing(database: Database, settings: Settings):
    ledger = await Ledger.open(database.service_url)
    async with composed(ledger, settings, ensure_secret_key(settings)):
        assert "sealing" not in {task.get_name() for task in asyncio.all_tasks()}


@pytest.mark.parametrize("stays", ["for a while", "for good"])
async def test_only_a_service_that_stays_tells_webhooks(database: Database, settings: Settings, stays: str):
    ledger = await Ledger.open(database.service_url)
    tells = stays == "for good"
    async with composed(ledger, settings, ensure_secret_key(settings), tells_webhooks=tells):
        running = {task.get_name() for task in asyncio.all_tasks()}

    assert ("webhook-sending" in running) is tells


async def test_what_was_read_of_the_history_is_written_down_before_it_stops(
    database: Database, settings: Settings
):
    session = session_of(AUDREY)
    ledger = await Ledger.open(database.service_url)
    async with composed(ledger, settings, ensure_secret_key(settings), only="api") as services:
        query, now = Query(call="events"), services.clock()
        services.readings.count(session, query, AUDREY, extent_of([Position(3)]), now)

    async with await Ledger.open(database.service_url) as again:
        (stored,) = (await read_stream(again, reading_stream(session))).events
    read = recorded(stored, READING.event_types).event
    assert (read.person, read.query, read.extent.events) == (AUDREY, query, 1)

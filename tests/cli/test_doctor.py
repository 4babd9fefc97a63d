"""What the doctor finds, good and bad."""

import json
import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.cli import checks_of_database, checks_of_folder
from ledger.cli.checks import Finding, Verdict
from ledger.cli.checks_of_database import Rights, check_database
from ledger.cli.checks_of_folder import check_folder
from ledger.cli.database import Database as Logins
from ledger.cli.doctor import doctor
from ledger.settings import Settings
from tests.support.databases import Cluster, Database

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - as shutil's own
UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nothing"


async def findings_of(service_url: str, owner_url: str | None = None) -> dict[str, Finding]:
    logins = Logins(service_url=service_url, owner_url=owner_url)
    return {finding.check: finding async for finding in check_database(logins)}


def findings_in(folder: Path) -> dict[str, Finding]:
    return {
        finding.check: finding for finding in check_folder(Settings.load({"LEDGER_DATA_DIR": str(folder)}))
    }


def test_a_sound_installation_is_healthy(installed: Database, capsys: pytest.CaptureFixture[str]):
    assert doctor(json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is True
    assert {finding["verdict"] for finding in report["findings"]} == {"good"}
    checks = [finding["check"] for finding in report["findings"]]
    assert checks == [
        "settings",
        "data folder",
        "disk",
        "database",
        "migrations",
        "rights",
        "clock",
        "owner's login",
    ]
    assert doctor() == 0
    assert capsys.readouterr().out.count("✓ ") == 8


def test_nothing_is_there_before_the_first_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LEDGER_DATA_DIR", str(tmp_path / "ledger"))
    assert doctor() == 0
    assert "the embedded PostgreSQL is not there yet" in capsys.readouterr().out
    assert not (tmp_path / "ledger").exists()


def test_wrong_settings_do_not_hide_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LEDGER_PORT", "x")
    monkeypatch.setenv("LEDGER_ENVIRONMENT", "production")
    monkeypatch.setenv("LEDGER_DATABASE_URL", UNREACHABLE)
    assert doctor() == 1
    said = capsys.readouterr().out
    assert "✗ settings       LEDGER_PORT\n" in said
    assert "✗ settings       LEDGER_SECRET_KEY\n" in said
    assert "✗ database       cannot be reached: " in said
    assert "→ check LEDGER_DATABASE_URL and the server" in said


def test_settings_that_make_no_sense_without_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEDGER_OWNER_DATABASE_URL", UNREACHABLE)
    monkeypatch.setenv("LEDGER_REDIS_URL", "redis://x")
    assert doctor() == 1
    assert "✗ settings       LEDGER_OWNER_DATABASE_URL\n" in capsys.readouterr().out


def test_a_setting_without_effect_is_worth_a_look(
    installed: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LEDGER_REDIS_URL", "redis://x")
    assert doctor() == 0
    assert "! settings       LEDGER_REDIS_URL\n" in capsys.readouterr().out


async def test_a_database_without_its_tables(postgres: Cluster):
    async with postgres.fresh(template="template0") as empty:
        alone = (await findings_of(empty.service_url))["migrations"]
        with_owner = (await findings_of(empty.service_url, empty.owner_url))["migrations"]
    assert alone.verdict is Verdict.BAD
    assert "run 'ledger migrate'" in alone.advice
    assert with_owner.verdict is Verdict.WARNING
    assert "rights" not in await findings_of(UNREACHABLE)


async def test_a_migration_that_was_changed(database: Database):
    import asyncpg

    conn = await asyncpg.connect(database.owner_url)
    await conn.execute("update ledger.migrations set sha256 = 'another' where number = 1")
    await conn.close()
    found = (await findings_of(database.service_url))["migrations"]
    assert found.verdict is Verdict.BAD
    assert "0001_ledger.sql" in found.seen


async def test_a_superuser_as_service_is_bad(database: Database):
    found = (await findings_of(database.owner_url))["rights"]
    assert found.verdict is Verdict.BAD
    assert "is a superuser: it can rewrite history" in found.seen
    assert "give LEDGER_DATABASE_URL a role of its own" in found.advice


async def test_a_service_that_may_write_the_log_is_bad(postgres: Cluster, database: Database):
    import asyncpg

    conn = await asyncpg.connect(database.owner_url)
    await conn.execute("grant insert on ledger.events to ledger_service")
    await conn.close()
    found = (await findings_of(database.service_url))["rights"]
    assert found.verdict is Verdict.BAD
    assert "may write to ledger.events without the append function" in found.seen


def test_one_role_for_owner_and_service_is_worth_a_look():
    judged = checks_of_database._judge_rights(
        Rights(role="both", is_superuser=False, is_owner=True, may_write=True)
    )
    assert judged.verdict is Verdict.WARNING
    assert checks_of_database._judge_rights(None).verdict is Verdict.BAD


@pytest.mark.parametrize(
    ("ahead", "verdict"), [(0, Verdict.GOOD), (5, Verdict.WARNING), (60, Verdict.BAD), (-60, Verdict.BAD)]
)
async def test_clocks_are_compared(
    database: Database, monkeypatch: pytest.MonkeyPatch, ahead: int, verdict: Verdict
):
    class Clock:
        @staticmethod
        def now(_: object) -> datetime:
            return datetime.now(UTC) + timedelta(seconds=ahead)

    monkeypatch.setattr(checks_of_database, "datetime", Clock)
    assert (await findings_of(database.service_url))["clock"].verdict is verdict


async def test_a_server_that_is_too_old(database: Database, monkeypatch: pytest.MonkeyPatch):
    from functools import partial

    from ledger.store.migrate import check_server

    monkeypatch.setattr(checks_of_database, "check_server", partial(check_server, oldest=990000))
    assert (await findings_of(database.service_url))["database"].verdict is Verdict.BAD


async def test_an_owner_who_cannot_log_in(database: Database):
    found = await findings_of(database.service_url, UNREACHABLE)
    assert found["database"].advice == "check LEDGER_OWNER_DATABASE_URL and the server"


@pytest.mark.parametrize(
    ("mode", "verdict"),
    [(0o700, Verdict.GOOD), (0o711, Verdict.GOOD), (0o755, Verdict.WARNING), (0o770, Verdict.BAD)],
)
def test_the_data_folder_is_private(tmp_path: Path, mode: int, verdict: Verdict):
    tmp_path.chmod(mode)
    assert findings_in(tmp_path)["data folder"].verdict is verdict
    tmp_path.chmod(0o700)


def test_the_secret_key_is_private(tmp_path: Path):
    assert findings_in(tmp_path)["secret key"].seen == "is not there yet; a start makes it"
    key = tmp_path / "secret_key"
    key.write_text("k" * 40)
    key.chmod(0o600)
    assert findings_in(tmp_path)["secret key"].verdict is Verdict.GOOD
    key.chmod(0o640)
    assert findings_in(tmp_path)["secret key"].verdict is Verdict.BAD


def test_a_chosen_secret_key_is_not_looked_for(tmp_path: Path):
    settings = Settings.load({"LEDGER_DATA_DIR": str(tmp_path), "LEDGER_SECRET_KEY": "k7" * 20})
    found = {finding.check: finding.seen for finding in check_folder(settings)}
    assert found["secret key"] == "comes from LEDGER_SECRET_KEY"


@pytest.mark.parametrize(
    ("free", "verdict"), [(10 * 1024**3, Verdict.GOOD), (1024**3, Verdict.WARNING), (1024**2, Verdict.BAD)]
)
def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, verdict: Verdict):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    assert findings_in(tmp_path / "not" / "there")["disk"].verdict is verdict


def test_a_folder_out_of_reach_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checks_of_folder, "_mode", refuse)
    assert findings_in(tmp_path)["data folder"].verdict is Verdict.BAD

"""What the doctor finds, good and bad."""

import asyncio
import json
import os
import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from ledger.cli import serve
from ledger.cli.checks import database as checks_of_database
from ledger.cli.checks import folder as checks_of_folder
from ledger.cli.checks.database import Rights, check_database
from ledger.cli.checks.findings import Finding, Verdict
from ledger.cli.checks.folder import check_folder
from ledger.cli.checks.limits import check_limits
from ledger.cli.checks.projections import judge
from ledger.cli.database import Database as Logins
from ledger.cli.doctor import doctor
from ledger.cli.operating import operating
from ledger.domain.ids import PersonId, StreamName
from ledger.identity import factor_rows
from ledger.identity.factor_check import FACTOR_PURPOSE
from ledger.identity.identity import Identity
from ledger.identity.keys import Keyring
from ledger.personal import keys
from ledger.projections.batch import run_singly
from ledger.projections.checkpoints import read_checkpoint
from ledger.projections.health import State
from ledger.projections.views.decisions import DECISIONS
from ledger.settings import Settings
from ledger.store.ledger import Ledger
from ledger.store.snapshot_sample import SnapshotSample
from ledger.store.snapshots import fingerprint_of
from ledger.webhooks.webhooks import Webhooks
from tests.builders import NOW
from tests.projections.scenes import SUBMIT, happen, moves
from tests.projections.test_reports import report
from tests.support.databases import Cluster, Database
from tests.support.redis import redis_server
from tests.webhooks.house import registered

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - as shutil's own
KEY = "the key that everything was sealed with"
UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nothing"


async def findings_of(service_url: str, owner_url: str | None = None) -> dict[str, Finding]:
    logins = Logins(service_url=service_url, owner_url=owner_url)
    found = check_database(logins, secret_keys=[KEY])
    return {finding.check: finding async for finding in found}


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
        "second factors",
        "webhooks",
        "sealed text",
        "snapshots",
        "read models",
        "clock",
        "owner's login",
        "notary key",
        "notary guard",
        "sealing",
    ]
    assert doctor() == 0
    assert capsys.readouterr().out.count("✓ ") == len(checks)


def test_read_models_that_lack_much_make_the_doctor_red_also_without_a_service(
    installed: Database, capsys: pytest.CaptureFixture[str]
):
    asyncio.run(submitted_in_vain(installed, 10))
    capsys.readouterr()

    assert doctor(json=True) == 1

    (found,) = (one for one in json.loads(capsys.readouterr().out)["findings"] if one["verdict"] != "good")
    assert found["check"] == "read models"
    assert found["seen"].startswith("decisions is critical: 10 events cannot be applied, 10 parked, for ")
    assert "docs/operations/projections.md" in found["advice"]


async def submitted_in_vain(database: Database, count: int) -> None:
    """Submit items that the view of decisions cannot take; no service runs."""
    async with await Ledger.open(database.service_url) as ledger:
        await ledger.pool.execute(
            "alter table views.decisions_v2 add constraint broken check (false) not valid"
        )
        await happen(ledger, moves(*((SUBMIT, which) for which in range(count))))
        async with ledger.pool.acquire() as conn:
            at = await read_checkpoint(conn, ledger.ledger_id, DECISIONS)
            await run_singly(conn, ledger.ledger_id, DECISIONS, after=at.position, limit=500)


@pytest.mark.parametrize(
    ("facts", "verdict", "seen"),
    [
        ({}, Verdict.GOOD, "nothing is parked in any of 2"),
        (
            {"active_failures": 1, "parked": 3},
            Verdict.WARNING,
            "queue is degraded: 1 event cannot be applied",
        ),
        ({"state": State.FAILING, "error": "GapInLog"}, Verdict.BAD, "queue is offline: failing (GapInLog)"),
        ({"is_alive": False}, Verdict.BAD, "queue is offline: nobody feeds it"),
        ({"is_alive": False, "checkpoint_at": None}, Verdict.GOOD, "nothing is parked in any of 1"),
        ({"paused_at": NOW}, Verdict.WARNING, "queue is healthy: paused"),
    ],
)
def test_read_models_beside_a_service_are_judged_by_their_health(
    facts: dict[str, object], verdict: Verdict, seen: str
):
    found = judge([report(checkpoint_at=NOW, name="sessions"), report(**{"checkpoint_at": NOW, **facts})])

    assert found.verdict is verdict
    assert found.seen.startswith(seen)


def test_read_models_that_are_behind_while_nobody_feeds_them_are_worth_a_look():
    found = judge([report(checkpoint_at=NOW, is_alive=False)])

    assert (found.verdict, found.seen) == (Verdict.WARNING, "up to 2 events behind, and nobody feeds them")


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


async def test_a_database_without_its_tables(postgres: Cluster):
    async with postgres.fresh(template="template0") as empty:
        alone = (await findings_of(empty.service_url))["migrations"]
        with_owner = (await findings_of(empty.service_url, empty.owner_url))["migrations"]
    assert alone.verdict is Verdict.BAD
    assert "run 'ledger migrate'" in alone.advice
    assert with_owner.verdict is Verdict.WARNING
    assert "rights" not in await findings_of(UNREACHABLE)


async def test_a_migration_that_was_changed(database: Database):
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


async def sealed_by(database: Database, secret_key: str) -> None:
    """Somebody's second factor, enabled under this key."""
    person = PersonId(uuid4())
    keys = Keyring([secret_key], FACTOR_PURPOSE)
    conn = await asyncpg.connect(database.service_url)
    await conn.execute(
        "insert into work.people (ledger_id, person_id, username, username_folded, email, full_name, salt, created_at)"
        " values (1, $1, $2, $2, 'x@example.org', 'X', $3, now())",
        person,
        str(person),
        bytes(32),
    )
    await conn.execute(
        "insert into work.second_factors (ledger_id, person_id, secret, key_id, created_at, enabled_at)"
        " values (1, $1, $2, $3, now(), now())",
        person,
        factor_rows.seal(keys, person, "secret"),
        keys.current.key_id,
    )
    await conn.close()


async def test_second_factors_that_the_key_does_not_open_are_told(database: Database):
    assert (await findings_of(database.service_url))["second factors"].verdict is Verdict.GOOD
    await sealed_by(database, KEY)
    assert (await findings_of(database.service_url))["second factors"].verdict is Verdict.GOOD
    await sealed_by(database, "another key, of which nobody knows any more")
    found = (await findings_of(database.service_url))["second factors"]
    assert found.verdict is Verdict.BAD
    assert found.seen.startswith("1 second factor(s) were sealed with another secret key")


async def test_a_start_with_another_key_warns_of_it(
    database: Database, ledger: Ledger, capsys: pytest.CaptureFixture[str]
):
    await sealed_by(database, KEY)
    await serve._warn_of_another_key(ledger, [KEY])
    assert capsys.readouterr().err == ""
    await serve._warn_of_another_key(ledger, ["another key", "and one more"])
    said = capsys.readouterr().err
    assert said.startswith("Warning: 1 second factor(s) were sealed with another secret key")
    assert "Set LEDGER_SECRET_KEY to the key that they were sealed with." in said


def test_a_start_with_another_key_warns_of_webhooks_too(
    installed: Database, capsys: pytest.CaptureFixture[str]
):
    async def started_with(secret_key: str | None) -> None:
        async with operating(only="api") as services:
            if secret_key is None:
                await registered(services.webhooks, "https://hooks.example.org/decisions")
            else:
                await serve._warn_of_another_key(services.ledger, [secret_key])

    asyncio.run(started_with(None))
    capsys.readouterr()
    asyncio.run(started_with("another key"))
    said = capsys.readouterr().err

    assert "Warning: the secrets of 1 were sealed with another secret key: nothing is sent to them." in said
    assert "Set LEDGER_SECRET_KEY to the key that they were sealed with, or rotate their secrets." in said


@pytest.mark.parametrize("chosen", [True, False])
def test_the_key_of_the_settings_is_compared_with_what_was_sealed(
    installed: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, chosen: bool
):
    asyncio.run(sealed_by(installed, KEY))
    assert doctor() == 1  # a start would make another key
    if chosen:
        monkeypatch.setenv("LEDGER_SECRET_KEY", KEY)
    else:
        folder = Path(os.environ["LEDGER_DATA_DIR"])
        folder.mkdir(mode=0o700)
        (folder / "secret_key").write_text(f"{KEY}\n")
        (folder / "secret_key").chmod(0o600)
    assert doctor() == 0
    assert "the secret key opens all there are" in capsys.readouterr().out


def test_a_snapshot_that_is_not_what_the_events_say_names_its_stream():
    sample = SnapshotSample(stored=900, looked_at=50, wrong=(StreamName("decision-1"),))
    found = checks_of_database._judge_snapshots(sample)
    assert found.verdict is Verdict.BAD
    assert found.seen == "1 of 50 looked at are not what their events say: decision-1"


async def test_a_snapshot_that_was_changed_makes_the_doctor_red(database: Database):
    conn = await asyncpg.connect(database.service_url)
    stream = "decision-00000000-0000-0000-0000-000000000000"
    await conn.execute(
        "insert into work.snapshots (ledger_id, stream, version, position, leaf_hash, fingerprint, state)"
        " values (1, $1, 7, 7, 'leaf', $2, 'null')",
        stream,
        fingerprint_of(StreamName(stream)),
    )
    await conn.close()
    found = (await findings_of(database.service_url))["snapshots"]
    assert found.verdict is Verdict.BAD
    assert stream in found.seen


def test_nobody_to_run_postgresql_is_told_before_the_first_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LEDGER_DATA_DIR", str(tmp_path / "ledger"))
    monkeypatch.setenv("LEDGER_PG_USER", "nobody-of-this-name")
    assert doctor() == 1
    said = capsys.readouterr().out
    assert "✗ postgres user  PostgreSQL refuses to run as root, and no other way to run it was found." in said
    assert "nobody-of-this-name: " in said
    assert not (tmp_path / "ledger").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")
def test_production_as_root_that_can_only_pretend_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    tmp_path.chmod(0o700)  # so that nobody but root reaches the data
    monkeypatch.setenv("LEDGER_DATA_DIR", str(tmp_path / "ledger"))
    monkeypatch.setenv("LEDGER_SECRET_KEY", "vH1p9Q-4sZxT0rWb7KdLmE2uYc8JfNga")
    monkeypatch.setenv("LEDGER_ENVIRONMENT", "production")
    assert doctor() == 1
    assert "unshare: drops no privilege, so not in production" in capsys.readouterr().out
    monkeypatch.setenv("LEDGER_ENVIRONMENT", "development")
    doctor()
    assert "no privilege is dropped; for development only" in capsys.readouterr().out


def test_programs_that_are_not_there_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LEDGER_DATA_DIR", str(tmp_path / "ledger"))
    monkeypatch.setenv("LEDGER_PG_BIN", str(tmp_path))
    assert doctor() == 1
    assert "✗ postgres       No usable PostgreSQL programs were found." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["LEDGER_DATABASE_URL", "LEDGER_OWNER_DATABASE_URL"])
def test_a_database_that_was_named_wrongly_is_not_mistaken_for_the_embedded_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LEDGER_DATA_DIR", str(tmp_path / "ledger"))
    monkeypatch.setenv(name, "mysql://somewhere")
    assert doctor() == 1
    said = capsys.readouterr().out
    assert f"✗ database       was not looked at\n                 → mend {name} first\n" in said
    assert "embedded" not in said


async def test_webhooks_whose_secret_the_key_does_not_open_are_told(database: Database, ledger: Ledger):
    identity = Identity.of(ledger, secret_keys=["another key, of which nobody knows any more"])
    hooks = Webhooks.of(identity, secret_keys=["another key, of which nobody knows any more"])
    assert (await findings_of(database.service_url))["webhooks"].verdict is Verdict.GOOD

    await registered(hooks, "https://hooks.example.org/")

    found = (await findings_of(database.service_url))["webhooks"]
    assert found.verdict is Verdict.BAD
    assert found.seen.startswith("the secrets of 1 were sealed with another secret key")


async def test_keys_of_data_subjects_that_the_secret_key_does_not_open_are_told(
    database: Database, ledger: Ledger
):
    identity = Identity.of(ledger, secret_keys=["another key, of which nobody knows any more"])
    assert (await findings_of(database.service_url))["sealed text"].verdict is Verdict.GOOD

    await keys.key_for(
        ledger, identity.subject_keys, ledger.data_subject("ann"), stream=StreamName("decision-1"), now=NOW
    )

    found = (await findings_of(database.service_url))["sealed text"]
    assert found.verdict is Verdict.BAD
    assert found.seen.startswith("1 key(s) of data subjects were wrapped with another secret key")


def test_the_redis_of_the_settings_is_asked(tmp_path: Path):
    with redis_server(tmp_path) as redis:
        settings = Settings.load({"LEDGER_REDIS_URL": redis.url, "LEDGER_DATA_DIR": str(tmp_path)})
        there = asyncio.run(check_limits(settings))
        redis.kill()
        away = asyncio.run(check_limits(settings))

    assert there is not None
    assert there.verdict is Verdict.GOOD
    assert away is not None
    assert away.verdict is Verdict.WARNING
    assert "LEDGER_REDIS_URL" in away.advice


def test_no_redis_is_no_finding(tmp_path: Path):
    assert asyncio.run(check_limits(Settings.load({"LEDGER_DATA_DIR": str(tmp_path)}))) is None

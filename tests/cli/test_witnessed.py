"""Witnesses and time stamps where an operator looks: ``notary status`` and ``doctor``."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.cli import notary
from ledger.cli.doctor import doctor
from ledger.cli.watching import watch_of
from ledger.sealing import partners, timestamps, witnesses
from ledger.sealing.notes import COSIGNATURE, Signer
from ledger.sealing.timestamps import Token, authority_of
from ledger.sealing.witnesses import Cosignature
from ledger.settings import Settings
from ledger.store.ledger import Ledger
from tests.cli.test_notary import on_ledger
from tests.support.databases import Database
from tests.support.sealing import append_some, sealed_in

NORTH = Signer("north.example/w", bytes([1]) * 32, COSIGNATURE).vkey
SOUTH = Signer("south.example/w", bytes([2]) * 32, COSIGNATURE).vkey
LOG = Signer("log.example/1", bytes(32)).vkey
TSA = "https://user:secret@tsa.example.org/hidden"
AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
POLICY = f"""log {LOG}
witness north {NORTH} https://north.example/
witness south {SOUTH}
group any-of-two any north south
quorum any-of-two
"""


@pytest.fixture
def watched(installed: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation with a policy and an authority, and three events under seal."""
    policy = tmp_path / "policy.txt"
    policy.write_text(POLICY)
    monkeypatch.setenv("LEDGER_WITNESS_POLICY", str(policy))
    monkeypatch.setenv("LEDGER_TIMESTAMP_URL", TSA)
    on_ledger(lambda ledger: _three_sealed(ledger, tmp_path / "ledger"))
    return Settings.load()


async def _three_sealed(ledger: Ledger, folder: Path) -> None:
    await append_some(ledger, 3)
    await sealed_in(ledger, folder)


async def _attested(ledger: Ledger, settings: Settings) -> None:
    watch = watch_of(settings)
    assert watch is not None
    north = watch.witnesses[0]
    async with ledger.pool.acquire() as conn:
        await witnesses.keep(
            conn, ledger.ledger_id, 3, north.key, Cosignature(line="— north", cosigned_at=AT)
        )
        await partners.succeeded(conn, ledger.ledger_id, north.partner, AT)
        await timestamps.keep(
            conn, ledger.ledger_id, 3, authority_of(TSA), Token(content=b"token", stamped_at=AT)
        )
        await partners.succeeded(conn, ledger.ledger_id, authority_of(TSA), AT)


async def _failed(ledger: Ledger, settings: Settings, problem: str, forked_size: int | None) -> None:
    watch = watch_of(settings)
    assert watch is not None
    name = watch.witnesses[0].partner
    await partners.failed(ledger.pool, ledger.ledger_id, name, AT, problem=problem, forked_size=forked_size)


def test_what_is_attested_is_told(watched: Settings, capsys: pytest.CaptureFixture[str]):
    on_ledger(lambda ledger: _attested(ledger, watched))
    capsys.readouterr()

    assert notary.status() == 0
    told = capsys.readouterr().out
    assert "Quorum         3 events at 2026-03-01 08:30:00 UTC\n" in told
    assert "Witness        north: 3 events at 2026-03-01 08:30:00 UTC\n" in told
    assert "Witness        south: nothing yet; it has no address, so it is not asked\n" in told
    assert "Time stamp     3 events at 2026-03-01 08:30:00 UTC, by tsa.example.org\n" in told
    assert "secret" not in told

    doctor(json=True)
    findings = {one["check"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["witnesses"]["verdict"] == findings["time stamps"]["verdict"] == "good"


def test_a_failing_witness_is_named_with_its_problem(watched: Settings, capsys: pytest.CaptureFixture[str]):
    on_ledger(lambda ledger: _attested(ledger, watched))
    on_ledger(lambda ledger: _failed(ledger, watched, "timeout", None))
    capsys.readouterr()

    assert notary.status() == 0
    assert "08:30:00 UTC; timeout, 1 times since\n" in capsys.readouterr().out
    doctor()
    assert "! witnesses      a quorum for 3 events; failing: north (timeout)" in capsys.readouterr().out


def test_a_fork_is_shouted(watched: Settings, capsys: pytest.CaptureFixture[str]):
    on_ledger(lambda ledger: _failed(ledger, watched, "fork", 9))
    capsys.readouterr()

    assert notary.status(json=True) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["witnessed"]["witnesses"][0]["fork"] == {"since": "2026-03-01T08:30:00Z", "size": 9}
    assert notary.status() == 2
    assert "FORK           north has cosigned 9 events that are not the beginning" in capsys.readouterr().out
    assert doctor() == 1
    assert "✗ witnesses      north: seen a history that this ledger does not hold" in capsys.readouterr().out


def test_a_checkpoint_that_waits_for_a_quorum_too_long_is_late(
    watched: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    async def age(ledger: Ledger) -> None:
        await ledger.pool.execute(
            "update work.notary_checkpoints set sealed_at = sealed_at - interval '10 minutes'"
        )

    on_ledger(age)
    capsys.readouterr()
    assert notary.status() == 0
    assert re.search(
        r"Quorum         nothing yet; checkpoints wait since .*: LATE\n", capsys.readouterr().out
    )
    doctor()
    assert "and more have waited for too long" in capsys.readouterr().out


def test_a_policy_that_says_nothing_is_found_by_the_doctor(
    watched: Settings, capsys: pytest.CaptureFixture[str]
):
    assert watched.witness_policy is not None
    watched.witness_policy.write_text("quorum\n")
    assert doctor() == 1
    assert "✗ witnesses" in capsys.readouterr().out

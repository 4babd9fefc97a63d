"""The notary from the command line: how it stands, another key, going on after a halt."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from ledger.cli import notary
from ledger.cli.client_settings import ClientRefused
from ledger.cli.doctor import doctor
from ledger.cli.operating import operating
from ledger.domain.errors import ReasonMissing
from ledger.sealing.adopting import NothingToAdopt
from ledger.sealing.halting import SealingHalted
from ledger.sealing.keyring import KEY_FILE, NoNotaryKey
from ledger.store.ledger import Ledger
from tests.support.databases import Database
from tests.support.sealing import append_some, guard_in, keyring_in, sealed_in, sealer_in

T = TypeVar("T")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the installation keeps key and guard."""
    return tmp_path / "ledger"


def on_ledger(act: Callable[[Ledger], Awaitable[T]]) -> T:
    async def once() -> T:
        async with operating(only="api") as services:
            return await act(services.ledger)

    return asyncio.run(once())


async def halt(ledger: Ledger, folder: Path) -> None:
    """Let a notary's loop halt, and say so."""
    sealer = sealer_in(ledger, folder)
    with pytest.raises(SealingHalted) as halted:
        await sealer.round()
    await sealer._halt(halted.value)
    await sealer.release()


def vkey_in(folder: Path) -> str:
    return on_ledger(lambda ledger: _vkey(ledger, folder))


async def _vkey(ledger: Ledger, folder: Path) -> str:
    return keyring_in(ledger, folder).signers()[0].vkey


async def three_sealed(ledger: Ledger, folder: Path) -> None:
    await append_some(ledger, 3)
    await sealed_in(ledger, folder)
    await append_some(ledger, 1)


def test_the_status_of_what_was_never_sealed(installed: Database, capsys: pytest.CaptureFixture[str]):
    assert notary.status() == 0
    told = capsys.readouterr().out
    assert "Origin         ledger.invalid/" in told
    assert "none yet" in told
    assert "no process seals right now" in told
    with pytest.raises(NoNotaryKey):
        notary.rotate_key(reason="too early")


def test_the_status_tells_what_is_sealed_under_which_key(
    installed: Database, folder: Path, capsys: pytest.CaptureFixture[str]
):
    on_ledger(lambda ledger: three_sealed(ledger, folder))
    vkey = vkey_in(folder)
    capsys.readouterr()

    assert notary.status(json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"origin", "vkey", "size", "root", "sealed_at"} <= set(found)
    assert (found["size"], found["vkey"], found["lag_events"]) == (3, vkey, 1)
    assert notary.status() == 0
    told = capsys.readouterr().out
    assert f"Key            {vkey}" in told
    assert f"Sealed         3 events, root {found['root']}" in told


def test_a_key_that_is_lost_is_not_said_to_be_made_by_a_start(
    installed: Database, folder: Path, capsys: pytest.CaptureFixture[str]
):
    on_ledger(lambda ledger: three_sealed(ledger, folder))
    (folder / KEY_FILE).unlink()
    on_ledger(lambda ledger: halt(ledger, folder))
    capsys.readouterr()

    assert notary.status() == 2

    told = capsys.readouterr().out
    assert "Key            not here: put the copy back, or see docs/operations/sealing.md" in told
    assert "first start" not in told


def test_a_rotated_key_is_shown_with_what_to_do_about_it(
    installed: Database, folder: Path, capsys: pytest.CaptureFixture[str]
):
    on_ledger(lambda ledger: three_sealed(ledger, folder))
    before = vkey_in(folder)
    with pytest.raises(ReasonMissing):
        notary.rotate_key(reason=" ")
    capsys.readouterr()

    assert notary.rotate_key(reason="once a year") == 0
    told = capsys.readouterr().out
    assert f"New key        {vkey_in(folder)}" in told
    assert f"Old key        {before}" in told
    assert "Hand the new key to everybody who verifies" in told
    assert vkey_in(folder) != before


def test_a_halt_is_told_and_healed(installed: Database, folder: Path, capsys: pytest.CaptureFixture[str]):
    on_ledger(lambda ledger: three_sealed(ledger, folder))
    with pytest.raises(NothingToAdopt):
        notary.adopt(reason="to be sure")
    guard_in(folder)._path.unlink()
    on_ledger(lambda ledger: halt(ledger, folder))
    capsys.readouterr()

    assert notary.status() == 2
    assert "HALTED         guard-missing since " in capsys.readouterr().out
    assert doctor() == 1
    assert "is halted" in capsys.readouterr().out
    assert notary.adopt(reason="the disk of the guard") == 0
    told = capsys.readouterr().out
    assert "Adopted        3 events of ledger.invalid/" in told
    assert "although: guard-missing" in told
    assert "another key" not in told
    on_ledger(lambda ledger: sealed_in(ledger, folder))
    capsys.readouterr()
    assert notary.status(json=True) == 0
    assert json.loads(capsys.readouterr().out)["size"] == 5


def test_another_key_after_a_halt_is_to_be_handed_out(
    installed: Database, folder: Path, capsys: pytest.CaptureFixture[str]
):
    on_ledger(lambda ledger: three_sealed(ledger, folder))
    (folder / KEY_FILE).unlink()
    capsys.readouterr()

    assert doctor() == 1
    assert "is missing" in capsys.readouterr().out
    assert notary.adopt(reason="the key is lost", json=True) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["cause"], done["is_new_key"], done["vkey"]) == ("notary-key-lost", True, vkey_in(folder))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("key", "others may read"),
        ("guard", "holds nothing, and 3 events are sealed"),
        ("no checkpoint", "holds no checkpoint"),
    ],
)
def test_the_doctor_looks_at_key_and_guard(
    installed: Database, folder: Path, capsys: pytest.CaptureFixture[str], change: str, told: str
):
    on_ledger(lambda ledger: three_sealed(ledger, folder))
    capsys.readouterr()
    assert doctor() == 0
    assert "✓ notary guard" in capsys.readouterr().out
    match change:
        case "key":
            (folder / KEY_FILE).chmod(0o644)
        case "guard":
            guard_in(folder)._path.unlink()
        case "no checkpoint":
            guard_in(folder)._path.write_text("x")
    assert doctor() == 1
    assert told in capsys.readouterr().out


def test_a_service_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LEDGER_TOKEN", "a token")
    with pytest.raises(ClientRefused) as refused:
        notary.status(url="http://127.0.0.1:1")
    assert "http://127.0.0.1:1: does not answer" in str(refused.value.lines())

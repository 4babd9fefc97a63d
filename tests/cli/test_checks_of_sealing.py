"""What the doctor says of sealing, by how it stands."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.cli.checks.findings import Verdict
from ledger.cli.checks.sealing import _guard, _key, _sealing
from ledger.cli.sealing import guard_of, keyring_of
from ledger.sealing.guard import FileGuard
from ledger.sealing.guard_elsewhere import DatabaseGuard
from ledger.sealing.keyring import KEY_FILE
from ledger.sealing.notary import Status
from ledger.sealing.notes import Checkpoint, Signer
from ledger.sealing.rows import Sealed
from ledger.sealing.standing import Halt
from ledger.settings import Settings

NOW = datetime.now(UTC)
ORIGIN = "log.example/decisions"
LONG_AGO = NOW - timedelta(minutes=5)
JUST_NOW = NOW + timedelta(hours=6)
"""However long after this line the tests run."""
FIVE = Sealed(size=5, root=bytes(32), note="", sealed_at=NOW)
STRONG_KEY = "qR7vT2xW9zB4nM6kL8pH3jF5dS1aQ0wE"


def stands(
    *,
    sealed: Sealed | None = FIVE,
    since: datetime | None = None,
    is_held: bool = True,
    halt: Halt | None = None,
) -> Status:
    lag = 0 if since is None else 3
    return Status(
        origin=ORIGIN, vkey=None, sealed=sealed, lag=lag, unsealed_since=since, is_held=is_held, halt=halt
    )


def settings(folder: Path, **more: str) -> Settings:
    return Settings.load({"LEDGER_DATA_DIR": str(folder), **more})


@pytest.mark.parametrize(
    ("status", "is_on", "verdict", "said"),
    [
        (stands(), "true", Verdict.GOOD, "5 events of log.example/decisions are sealed"),
        (stands(sealed=None), "true", Verdict.GOOD, "0 events"),
        (stands(since=JUST_NOW), "true", Verdict.GOOD, "5 events"),
        (stands(since=LONG_AGO), "true", Verdict.WARNING, "3 are not, the oldest since"),
        (stands(since=LONG_AGO), "false", Verdict.WARNING, "3 are not, the oldest since"),
        (stands(since=LONG_AGO, is_held=False), "true", Verdict.GOOD, "a running service seals them"),
        (
            stands(halt=Halt(code="a", because="it is so", since=NOW)),
            "true",
            Verdict.BAD,
            "is halted: it is so",
        ),
    ],
)
def test_the_age_of_what_is_not_sealed_is_judged(
    tmp_path: Path, status: Status, is_on: str, verdict: Verdict, said: str
):
    finding = _sealing(status, settings(tmp_path, LEDGER_NOTARY=is_on))
    assert finding.verdict is verdict
    assert said in finding.seen


def test_a_key_that_is_not_there_is_missed_only_where_something_was_sealed(tmp_path: Path):
    keyring = keyring_of(settings(tmp_path), ORIGIN)
    assert _key(keyring, stands(sealed=None)).verdict is Verdict.GOOD
    assert _key(keyring, stands()).verdict is Verdict.BAD
    (tmp_path / KEY_FILE).write_text("no key")
    assert "holds something else" in _key(keyring, stands()).seen


async def test_a_guard_is_compared_with_what_is_sealed(tmp_path: Path):
    chosen, guard = settings(tmp_path), FileGuard(tmp_path / "notary_state")
    assert (await _guard(guard, stands(sealed=None), chosen)).verdict is Verdict.GOOD
    assert (await _guard(guard, stands(), chosen)).verdict is Verdict.BAD
    for size, verdict in ((5, Verdict.GOOD), (6, Verdict.BAD)):
        note = Checkpoint(origin=ORIGIN, size=size, root=bytes(32)).signed_by([Signer(ORIGIN, bytes(32))])
        (tmp_path / "notary_state").write_text(note)
        assert (await _guard(guard, stands(), chosen)).verdict is verdict
    (tmp_path / "notary_state").unlink()
    (tmp_path / "notary_state").mkdir()
    assert (await _guard(guard, stands(), chosen)).verdict is Verdict.BAD


async def test_in_production_a_guard_beside_the_data_is_worth_a_look(tmp_path: Path):
    chosen = settings(tmp_path, LEDGER_ENVIRONMENT="production", LEDGER_SECRET_KEY=STRONG_KEY)
    finding = await _guard(guard_of(chosen, ORIGIN), stands(sealed=None), chosen)
    assert finding.verdict is Verdict.WARNING
    assert "LEDGER_NOTARY_STATE_URL" in finding.advice


def test_the_guard_is_where_the_settings_say(tmp_path: Path):
    assert guard_of(settings(tmp_path), ORIGIN).place == str(tmp_path / "notary_state")
    elsewhere = settings(tmp_path, LEDGER_NOTARY_STATE_URL="file:///guards/of%20ours/state")
    assert guard_of(elsewhere, ORIGIN).place == "/guards/of ours/state"
    database = settings(tmp_path, LEDGER_NOTARY_STATE_URL="postgresql://me:secret@there/guards")
    found = guard_of(database, ORIGIN)
    assert isinstance(found, DatabaseGuard)
    assert found.place == "there/guards"

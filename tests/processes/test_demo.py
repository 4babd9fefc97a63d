"""The demo: the whole story, and nothing left of it."""

import signal
from pathlib import Path

import pytest

from tests.support.service import HANG_GUARD, command, ledger

pytestmark = [pytest.mark.processes, pytest.mark.long]


def test_the_story_plays_to_its_end_and_leaves_nothing(tmp_path: Path):
    # An installation's own settings must not lead it to that installation's data.
    settings = {"TMPDIR": str(tmp_path), "LEDGER_DATABASE_URL": "postgresql://127.0.0.1:1/precious"}
    played = ledger("demo", settings=settings)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "night-watch-engine submits" in played.stdout
    assert "mira moved it up to level 1" in played.stdout
    assert "jonas settled it: approved" in played.stdout
    assert "5 completed, 1 still open" in played.stdout
    assert list(tmp_path.iterdir()) == []


def test_interrupted_it_leaves_nothing_either(tmp_path: Path):
    with command("demo", settings={"TMPDIR": str(tmp_path)}) as (process, output):
        output.until("serves on")
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG_GUARD) == 128 + signal.SIGINT
        assert "Traceback" not in output.rest()
    assert list(tmp_path.iterdir()) == []

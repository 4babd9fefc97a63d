"""Made-up requests to a live service, from its own description: every answer is one that the description promises.

``make fuzz`` sends more of them. What it sends, what it leaves out and what it looks at: schemathesis.toml.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.databases import Database
from tests.support.http import submission
from tests.support.service import Service, environment, on_database, service

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).parent
PROGRAM: Final = ROOT / ".venv" / "fuzz" / "bin" / "schemathesis"
REQUIRED: Final = "required"
MISSING: Final = "schemathesis is not installed: make fuzz does that"
EXAMPLES: Final = os.environ.get("LEDGER_TEST_FUZZ_EXAMPLES") or "3"
SEED: Final = os.environ.get("LEDGER_TEST_FUZZ_SEED") or "1"
OPEN: Final = {
    "LEDGER_REQUESTS_PER_MINUTE": "10000000",
    "LEDGER_REGISTRATIONS_PER_MINUTE": "10000000",
    "LEDGER_LOG_LEVEL": "error",
}

pytestmark = [pytest.mark.long, pytest.mark.processes]


@pytest.fixture
def program() -> Path:
    """The program, from the environment of its own that the Makefile makes."""
    if not PROGRAM.exists():
        if os.environ.get("LEDGER_TEST_FUZZ") == REQUIRED:
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return PROGRAM


@pytest.fixture
def live(database: Database, tmp_path: Path) -> Iterator[Service]:
    """A service with something in it."""
    with service(settings={**on_database(database, tmp_path / "ledger"), **OPEN}) as running:
        with running.client(running.login()) as client:
            assert client.post("/api/decisions/submit", json=submission("seen")).status_code == 200
        yield running


def test_no_made_up_request_finds_anything(program: Path, live: Service, tmp_path: Path) -> None:
    token = live.login()
    for name in ("schemathesis.toml", "hooks.py"):  # it leaves folders of its own where it runs
        shutil.copy(HERE / name, tmp_path)

    run = subprocess.run(
        (
            str(program), "run", f"{live.url}/openapi.json",
            "--max-examples", EXAMPLES, "--seed", SEED, "--no-color", "--warnings", "off",
        ),
        cwd=tmp_path,
        env=environment({}) | {"LEDGER_TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    with live.client(token) as client:
        assert client.get("/api/auth/me").status_code == 200, "the run ended its own access"
        assert client.get("/health/ready").status_code == 200
    assert live.stop() == 0
    assert "request.failed" not in live.output.rest()

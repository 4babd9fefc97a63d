"""A receipt from one process, of an event that another one sealed, checked by a command that needs neither."""

import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.databases import Database
from tests.support.http import submission
from tests.support.service import Service, ledger, on_database, service

pytestmark = [pytest.mark.processes, pytest.mark.long]


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> dict[str, str]:
    return {**on_database(database, tmp_path), "LEDGER_SECRET_KEY": "of both processes, and long enough"}


@pytest.fixture
def front(settings: dict[str, str]) -> Iterator[Service]:
    """Serves; another process works, and seals."""
    with ExitStack() as stack:
        front = stack.enter_context(service("--only", "api", settings=settings))
        stack.enter_context(service("--only", "workers", settings=settings))
        yield front


def test_a_receipt_comes_from_a_process_that_does_not_seal_and_is_checked_without_any(
    front: Service, settings: dict[str, str], tmp_path: Path
) -> None:
    with front.client(front.login()) as client:
        while client.get("/tlog/checkpoint").status_code != 200:
            time.sleep(0.05)
        answer = client.post("/api/decisions/submit?wait=sealed", json=submission("kept"))
        assert answer.status_code == 200, answer.text
        assert answer.headers["ledger-sealed"] == "true"
        index = int(answer.headers["ledger-position"]) - 1
        bundle = client.get(f"/tlog/tile/entries/000.p/{index + 1}").content
        vkey = client.get("/admin/notary/status").json()["vkey"]
    for _ in range(index):
        bundle = bundle[2 + int.from_bytes(bundle[:2], "big") :]
    (tmp_path / "kept.json").write_bytes(bundle[2:])
    (tmp_path / "kept.tlog-proof").write_bytes(b64decode(answer.headers["ledger-proof"]))
    (tmp_path / "policy.txt").write_text(f"log {vkey}\nquorum none\n")
    check = ("audit", "check", str(tmp_path / "kept.tlog-proof"), "--policy", str(tmp_path / "policy.txt"))

    found = ledger(*check, "--entry", str(tmp_path / "kept.json"))
    assert found.returncode == 0, found.stdout + found.stderr

    (tmp_path / "kept.json").write_bytes(bundle[2:].replace(b"decision-submitted", b"decision-withdrawn"))
    assert ledger(*check, "--entry", str(tmp_path / "kept.json")).returncode == 2

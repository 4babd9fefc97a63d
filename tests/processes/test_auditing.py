"""An auditor with nothing but the command line: exports, verifies, proves, and reads about one decision."""

import json
import signal
import socket
from pathlib import Path

import pytest

from tests.support.http import submission, verdict
from tests.support.service import HANG_GUARD, Service, command, ledger, service

pytestmark = [pytest.mark.processes, pytest.mark.long]


def decided(running: Service, *names: str) -> None:
    with running.client(running.login()) as client:
        for name in names:
            for path, body in (("submit", submission(name)), (f"{name}/decide", verdict(name))):
                assert client.post(f"/api/decisions/{path}", json=body).status_code == 200


def policy_of(settings: dict[str, str], folder: Path) -> str:
    """Hand the log's key on, as its operator would."""
    told = ledger("notary", "status", "--json", settings=settings)
    assert told.returncode == 0, told.stderr
    policy = folder / "policy.txt"
    policy.write_text(f"log {json.loads(told.stdout)['vkey']}\nquorum none\n", encoding="utf-8")
    return str(policy)


def done(*arguments: str, settings: dict[str, str]) -> str:
    found = ledger("audit", *arguments, settings=settings)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_the_whole_way_of_an_auditor(data_dir: Path, tmp_path: Path):
    settings = {"LEDGER_DATA_DIR": str(data_dir)}
    with service(settings=settings) as running:
        running.register("audrey", "auditor")
        decided(running, "CASE-1", "CASE-2")
        policy = policy_of(settings, tmp_path)
        first, second = str(tmp_path / "first"), str(tmp_path / "second")

        told = done("export", "--tier", "payload", "--wait", "-o", first, settings=settings)
        assert "positions 1 to " in told
        done("verify", first, "--policy", policy, settings={})

        away = {"LEDGER_URL": running.url, "LEDGER_TOKEN": running.login("audrey")}
        done("export", "--tier", "disclosed", "--wait", "-o", second, settings=away)
        done("verify", second, "--policy", policy, "--since", f"{first}/checkpoint", settings={})

        decision = tmp_path / "decision"
        done("evidence", "CASE-1", "-o", str(decision), settings=settings)
        proofs = sorted((decision / "proofs").iterdir())
        assert len(proofs) == len(list((decision / "entries").iterdir())) >= 5
        entry = str(decision / "entries" / f"{proofs[0].stem}.json")
        done("check", str(proofs[0]), "--entry", entry, "--policy", policy, settings={})

        event = json.loads((decision / "events.ndjson").read_bytes().splitlines()[0])["event_id"]
        for name, how in (("near", settings), ("far", away)):
            proof = str(tmp_path / f"{name}.tlog-proof")
            done("prove", event, "-o", proof, settings=how)
            done("check", proof, "--entry", str(tmp_path / f"{name}.json"), "--policy", policy, settings={})
        assert (tmp_path / "near.json").read_bytes() == (tmp_path / "far.json").read_bytes()


def test_ctrl_c_leaves_nothing_that_looks_like_an_export(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as stalled:
        settings = {"LEDGER_URL": f"http://127.0.0.1:{stalled.getsockname()[1]}", "LEDGER_TOKEN": "any"}
        arguments = ("audit", "export", "--tier", "envelope", "-o", str(tmp_path / "bundle"))
        stalled.settimeout(HANG_GUARD)
        with command(*arguments, settings=settings) as (process, _):
            line, _ = stalled.accept()  # it has asked, and waits for an answer
            with line:
                assert [path.name for path in tmp_path.iterdir()] == ["bundle.partial"]
                process.send_signal(signal.SIGINT)
                assert process.wait(HANG_GUARD) == 128 + signal.SIGINT
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_is_told_in_a_sentence(tmp_path: Path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine").touch()
    settings = {"LEDGER_URL": "http://127.0.0.1:1", "LEDGER_TOKEN": "any"}
    found = ledger("audit", "export", "--tier", "envelope", "-o", str(tmp_path / "bundle"), settings=settings)
    assert found.returncode == 1
    assert found.stderr.startswith("There is something in that folder already.")
    found = ledger("audit", "prove", "no-id", "-o", str(tmp_path / "e.tlog-proof"), settings=settings)
    assert found.returncode == 1
    assert found.stderr.startswith("An event is named by its id.")

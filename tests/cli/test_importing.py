"""Files submitted to a real service."""

import asyncio
import gc
import io
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ledger.cli import client as client_module
from ledger.cli import client_settings as client_settings_module
from ledger.cli.importing import NoSuchFile, all_at_once, import_file
from ledger.cli.submitting import CannotGoOn
from ledger.settings import SettingsRefused
from tests.support.databases import TEMPLATE, Cluster
from tests.support.items import a_file_of, item
from tests.support.service import HANG_GUARD, Service, on_database, service

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def running(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all of these tests; their items have ids of their own."""
    name = f"ledger_imports_{secrets.token_hex(6)}"
    asyncio.run(postgres.execute(f"create database {name} template {TEMPLATE}"))
    settings = on_database(postgres.database(name), tmp_path_factory.mktemp("imports"))
    with service(settings=settings) as found:
        yield found
    asyncio.run(postgres.execute(f"drop database {name} with (force)"))


@pytest.fixture
def client_settings(running: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_URL", running.url)
    monkeypatch.setenv("LEDGER_TOKEN", running.login())


def a_file(folder: Path, *lines: str) -> Path:
    file = folder / "items.ndjson"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def line(analysis_id: str, **changes: object) -> str:
    return json.dumps(item(analysis_id, **changes))


@pytest.mark.usefixtures("client_settings")
def test_all_lines_are_imported_and_then_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = a_file_of(tmp_path, 40)
    assert import_file(file) == 0
    assert capsys.readouterr().out == "40 imported, 0 already there, 0 different, 0 refused\n"
    assert import_file(file) == 0
    assert capsys.readouterr().out == "0 imported, 40 already there, 0 different, 0 refused\n"


@pytest.mark.usefixtures("client_settings")
def test_bad_lines_are_told_and_do_not_stop_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = a_file(
        tmp_path,
        line("GOOD-1"),
        "not JSON",
        "",
        line("BAD-PRIORITY", priority="urgent"),
        line("BAD-TWICE", confidence=101, source_ip=5),
        line("TOO-LARGE", forensic_summary="x" * 2_000_000),
        line("GOOD-2"),
    )
    assert import_file(file, json=True) == 2
    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    assert (summary["imported"], summary["refused"], summary["stopped"]) == (2, 4, None)
    reasons = {refused["line"]: refused["reason"] for refused in summary["refused_lines"]}
    assert sorted(reasons) == [2, 4, 5, 6]
    assert reasons[2].startswith("422 body: is not valid JSON")
    assert reasons[4].startswith("422 priority: ")
    assert "confidence: " in reasons[5]
    assert "source_ip: " in reasons[5]
    assert reasons[6].startswith("413 ")
    assert "line 4: 422 priority: " in shown.err


@pytest.mark.usefixtures("client_settings")
def test_the_same_line_twice_in_one_file_is_there_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert import_file(a_file(tmp_path, line("TWICE"), line("TWICE")), at_once=1) == 0
    assert capsys.readouterr().out == "1 imported, 1 already there, 0 different, 0 refused\n"


@pytest.mark.usefixtures("client_settings")
def test_an_id_that_stands_for_something_else_in_the_ledger_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = a_file(tmp_path, line("OTHER"), "", line("OTHER", confidence=1, ttps=["T1"]))
    assert import_file(file, at_once=1, json=True) == 2
    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    assert (summary["imported"], summary["already_there"], summary["different"]) == (1, 0, 1)
    assert summary["different_lines"] == [{"line": 3, "fields": ["confidence", "ttps"]}]
    assert "line 3: the ledger holds another item of this id, with another confidence, ttps" in shown.err


@pytest.mark.usefixtures("client_settings")
def test_items_of_any_kind_are_imported_compared_and_refused(
    running: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    schema = {"type": "object", "required": ["amount"]}
    with running.client(running.login()) as client:
        kind = {"name": "payment", "title": "A payment", "schema": schema}
        assert client.post("/api/kinds", json=kind).status_code == 200
    fits, other, unfit = ({"amount": 1}, {"amount": 2}, {})
    lines = [
        json.dumps({**SOME_KIND, "analysis_id": name, "payload": payload})
        for name, payload in (("PAY", fits), ("PAY", fits), ("PAY", other), ("BAD", unfit))
    ]

    assert import_file(a_file(tmp_path, *lines), at_once=1, json=True) == 2

    summary = json.loads(capsys.readouterr().out)
    assert (summary["imported"], summary["already_there"]) == (1, 1)
    assert summary["different_lines"] == [{"line": 3, "fields": ["payload"]}]
    (refused,) = summary["refused_lines"]
    assert refused["reason"].startswith("422 /payload: ")


SOME_KIND = {"kind": "payment", "priority": "low", "created_at": "2026-03-01T08:30:00Z"}


@pytest.mark.usefixtures("client_settings")
def test_a_token_that_is_not_accepted_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LEDGER_TOKEN", "no such token")
    assert import_file(a_file(tmp_path, line("NEVER"))) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("Stopped: 401 Could not validate credentials")
    assert shown.out == "0 imported, 0 already there, 0 different, 0 refused\n"


def test_a_role_that_may_not_submit_stops_it(
    running: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    running.register("vera", "viewer")
    monkeypatch.setenv("LEDGER_TOKEN", running.login("vera"))
    assert import_file(a_file(tmp_path, line("NEVER")), url=running.url) == 1
    assert "Stopped: 403 Insufficient permissions" in capsys.readouterr().err


def test_a_service_that_stays_away_ends_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LEDGER_TOKEN", "whatever")
    file = a_file(tmp_path, line("NEVER"))
    assert import_file(file, url="http://127.0.0.1:1", patience=0.2, json=True) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["stopped"].startswith(
        "http://127.0.0.1:1 did not take a line within 0.2 seconds"
    )
    assert shown.err.count("http://127.0.0.1:1 is away (ConnectError") == 1
    assert "LEDGER_URL" not in shown.err


@pytest.mark.parametrize("name", ["LEDGER_PORT", "LEDGER_HOST"])
def test_who_set_where_the_service_listens_is_told_how_to_name_it_to_a_client(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LEDGER_TOKEN", "whatever")
    monkeypatch.setenv(name, "1")
    monkeypatch.setattr(client_settings_module, "OWN_SERVICE", "http://127.0.0.1:1")
    assert import_file(a_file(tmp_path, line("NEVER")), patience=0.2) == 1
    assert f"{name} is not read here: name the service with --url or LEDGER_URL" in capsys.readouterr().err


def test_without_a_token_it_names_the_variable(
    ledger_here: Callable[..., CompletedProcess[str]], tmp_path: Path
):
    refused = ledger_here("import", str(a_file(tmp_path, line("NEVER"))))
    assert refused.returncode == 1
    assert refused.stderr.startswith("The command cannot reach a service with what it was told.")
    assert "LEDGER_TOKEN: is needed" in refused.stderr


def test_on_a_terminal_the_token_is_asked_for(
    running: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(client_module, "getpass", lambda _: f" {running.login()}\n")
    assert import_file(a_file(tmp_path, line("ASKED-FOR")), url=running.url) == 0


def test_a_file_that_is_not_there_and_a_url_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LEDGER_TOKEN", "whatever")
    with pytest.raises(NoSuchFile, match="No such file"):
        import_file(tmp_path / "nothing")
    with pytest.raises(SettingsRefused, match="--url"):
        import_file(tmp_path / "nothing", url="localhost:8002")


@pytest.mark.usefixtures("client_settings")
def test_on_a_terminal_a_bar_is_shown_and_what_is_bad_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    assert import_file(a_file(tmp_path, line("SHOWN"), "no[b]t JSON")) == 2
    assert "line 2: 422 body" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "is_near"),
    [
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("http://localhost", True),
        ("http://example.org", False),
    ],
)
def test_this_machine_is_reached_without_a_proxy(url: str, *, is_near: bool):
    assert client_module._is_this_machine(url) is is_near


async def test_a_worker_that_misses_its_cancellation_is_told_again():
    started = asyncio.Event()

    async def work() -> None:
        with suppress(asyncio.CancelledError):
            started.set()
            await asyncio.Event().wait()
        await asyncio.Event().wait()  # as if nothing had been said

    importing = asyncio.create_task(all_at_once(2, work))
    await started.wait()
    importing.cancel()

    async with asyncio.timeout(HANG_GUARD):
        assert isinstance(
            (await asyncio.gather(importing, return_exceptions=True))[0], asyncio.CancelledError
        )


async def test_of_several_that_cannot_go_on_one_is_told_and_none_complained_about():
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))

    async def work() -> None:
        raise CannotGoOn(reason="nobody is let in")

    with pytest.raises(CannotGoOn):
        await all_at_once(3, work)

    gc.collect()
    assert complaints == []

"""The command line as a whole: help, unknown things, refusals, exit codes."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from ledger.cli.commands import app, load
from ledger.cli.refusals import explain, printable
from ledger.domain.errors import Overloaded, Unavailable
from ledger.setting_values import Problem
from ledger.settings import SettingsRefused
from tests.support.databases import Database
from tests.support.service import HANG_GUARD, command, environment, ledger

HEAVY = (
    "litestar",
    "asyncpg",
    "pydantic",
    "opentelemetry",
    "uvicorn",
    "httpx2",
    "structlog",
    "ledger.settings",
)
Ran = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = ("serve", "migrate", "user", "import", "doctor", "demo")


@pytest.fixture
def page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Gives the page of help of a command, on one long line."""
    monkeypatch.setenv("COLUMNS", "400")

    def shown(*asked: str) -> str:
        words = [*asked, "--help"]
        load(words)
        app(words, result_action="return_value")
        return " ".join(capsys.readouterr().out.split())

    return shown


def test_help_names_every_command_and_is_quick():
    began = time.monotonic()
    shown = ledger("--help")
    print(f"ledger --help took {time.monotonic() - began:.2f} seconds")
    assert shown.returncode == 0
    assert [name for name in COMMANDS if not re.search(rf"\b{name}  +\S", shown.stdout)] == []


@pytest.mark.parametrize(
    "asked",
    [
        ("serve",),
        ("migrate",),
        ("user", "add"),
        ("user", "list"),
        ("user", "deactivate"),
        ("user", "groups"),
        ("user", "lead"),
        ("user", "forget-factor"),
        ("key", "issue"),
        ("key", "list"),
        ("key", "revoke"),
        ("import",),
        ("doctor",),
        ("audit", "verify"),
        ("audit", "check"),
        ("audit", "monitor"),
    ],
)
def test_every_command_has_help_for_people(ledger_here: Ran, asked: tuple[str, ...]):
    shown = ledger_here(*asked, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"Usage: ledger {' '.join(asked)}" in shown.stdout
    assert len(shown.stdout.splitlines()) > 3


def test_help_imports_nothing_heavy():
    script = (
        "import sys\nfrom ledger.cli.commands import app\n"
        "app(['--help'], result_action='return_value')\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    shown = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, check=True, env=environment({})
    )
    assert "HEAVY []" in shown.stdout


def test_it_tells_its_version():
    assert ledger("--version").stdout.strip() == version("decision-ledger")


def test_what_it_does_not_know_is_refused(ledger_here: Ran):
    refused = ledger_here("serv")
    assert refused.returncode != 0
    assert "serve" in refused.stdout + refused.stderr  # what was probably meant


@pytest.mark.parametrize(
    "asked",
    [
        ("audit", "verify", "--polcy", "policy.txt"),
        ("projections", "show", "no-id"),
        ("projections", "pause", "queue", "--reason", ""),
    ],
)
def test_what_is_misspelt_is_never_taken_for_a_finding(ledger_here: Ran, asked: tuple[str, ...]):
    refused = ledger_here(*asked)
    assert refused.returncode == 64
    assert refused.stdout == ""
    assert "Error" in refused.stderr


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("audit", "verify"), "2 tampered, 3 a fork, 4 the policy is not met"),
        (("projections", "status"), "0 all are healthy, 2 some are not"),
        (("serve",), "Ctrl-C finishes what is under way; a second Ctrl-C stops at once"),
    ],
)
def test_a_page_of_help_tells_all_that_is_written_about_its_command(
    page: Callable[..., str], asked: tuple[str, ...], told: str
):
    assert told in page(*asked)


def test_a_page_of_help_does_not_say_what_is_said_already(page: Callable[..., str]):
    shown = page("key", "issue")
    assert "[default: " not in shown
    assert "--empty-scope" not in shown
    assert "[default: 16]" in page("import")


def test_refusals_are_sentences_on_standard_error(ledger_here: Ran):
    refused = ledger_here("serve", settings={"LEDGER_PORT": "x", "LEDGER_POOORT": "1"})
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.splitlines() == [
        "The settings do not allow a start. Change what is listed and start again.",
        "  - LEDGER_POOORT: is no setting; the nearest one is LEDGER_PORT.",
        "  - LEDGER_PORT: must be a whole number from 0 (any free port) to 65535, not 'x'.",
    ]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_no_crash(installed: Database, unbuffered: str):
    settings = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    left = subprocess.run(
        ("sh", "-c", f"({sys.executable} -m ledger doctor; echo code $? >&2) | true"),
        env=settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_GUARD,
    )
    assert left.stderr == "code 141\n"


def test_ctrl_c_ends_a_command_without_a_traceback(tmp_path: Path):
    file = tmp_path / "items.ndjson"
    file.write_text("not JSON\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = {"LEDGER_TOKEN": "t", "LEDGER_URL": url}
        with command("import", str(file), settings=settings) as (process, output):
            caller, _ = silent.accept()  # it is in the middle of asking
            process.send_signal(signal.SIGINT)
            assert process.wait(HANG_GUARD) == 130
            assert "Traceback" not in output.rest()
            caller.close()


INTERRUPTED_WHILE_LOADING = """
import os, signal, sys
from ledger.__main__ import main

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupted())
sys.argv = ["ledger", "projections", "status"]
main()
"""


ASKED_FOR_ITS_VERSION = INTERRUPTED_WHILE_LOADING.replace('"projections", "status"', '"--version"').format(
    module="cyclopts"
)


@pytest.mark.parametrize("module", ["cyclopts", "ledger.cli.projections"])
def test_ctrl_c_while_a_command_is_being_loaded_is_no_traceback_and_never_lost(module: str):
    ended = subprocess.run(
        (sys.executable, "-c", INTERRUPTED_WHILE_LOADING.format(module=module)),
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_GUARD,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_a_command_that_a_shell_runs_in_the_background_is_not_ended_by_ctrl_c():
    ended = subprocess.run(
        ("sh", "-c", f"trap '' INT; exec {sys.executable} -c \"$0\"", ASKED_FOR_ITS_VERSION),
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_GUARD,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{version('decision-ledger')}\n", "")


def test_a_terminal_of_another_alphabet_is_no_crash():
    shown = ledger("import", "nobody\N{SNOWMAN}", settings={"PYTHONIOENCODING": "ascii", "LEDGER_TOKEN": "t"})
    assert shown.returncode == 1
    assert "\\u2603" in shown.stderr


def test_facts_are_told_one_line_each():
    refused = Unavailable(
        exit_code=1, tail="one\ntwo", tried={"nobody": "no such user"}, searched=["/a", "/b"]
    )
    assert explain(refused) == [
        "The ledger cannot be reached. Nothing was written; repeat the request after the time in Retry-After.",
        "  exit code: 1",
        "  tail:",
        "    one",
        "    two",
        "  tried:",
        "    nobody: no such user",
        "  searched:",
        "    /a",
        "    /b",
    ]
    assert len(explain(Overloaded())) == 1


def test_settings_are_told_problem_by_problem():
    assert explain(SettingsRefused([Problem("LEDGER_PORT", "is odd")]))[1:] == ["  - LEDGER_PORT: is odd."]


def test_text_of_others_cannot_steer_the_terminal():
    assert printable("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c"

"""Killed in the middle of an import: every acknowledged item is there, exactly once."""

import asyncio
import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.folder import site_of
from tests.support.items import a_file_of
from tests.support.ports import held_port
from tests.support.service import HANG_GUARD, Output, Service, command, service
from tests.support.traffic import submissions_in

pytestmark = [pytest.mark.processes, pytest.mark.long]

ITEMS = 800
A_GOOD_PART = 100


def wait_until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_GUARD
    while not claim():
        assert time.monotonic() < deadline, "nothing happens any more"
        time.sleep(0.02)


def submitted_in(running: Service, token: str) -> int:
    with running.client(token) as client:
        return int(client.get("/api/status").json()["total_decisions"])


async def _in_the_log(data_dir: Path) -> tuple[int, int]:
    server = await local_postgres.attach(data_dir)
    assert server is not None
    return await submissions_in(server.owner_url)


def all_there_once(data_dir: Path) -> bool:
    return asyncio.run(_in_the_log(data_dir)) == (ITEMS, ITEMS)


@contextmanager
def coming(file: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """The lines of a file through a pipe: half of them, and the rest when told, so that nobody is through before."""
    pipe = file.with_suffix(".pipe")
    os.mkfifo(pipe)
    lines = file.read_bytes().splitlines(keepends=True)
    with os.fdopen(os.open(pipe, os.O_RDWR), "wb", buffering=0) as end:
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 2**20)  # nobody waits for room
        end.write(b"".join(lines[: len(lines) // 2]))

        def rest() -> None:
            end.write(b"".join(lines[len(lines) // 2 :]))
            end.close()

        yield pipe, rest


def summary_of(output: Output) -> dict[str, object]:
    text = output.rest()
    found: dict[str, object] = json.loads(text[text.index("{") :])
    return found


def test_a_service_killed_in_the_middle_of_an_import(data_dir: Path, tmp_path: Path):
    file = a_file_of(tmp_path, ITEMS)
    with ExitStack() as stack:
        port = stack.enter_context(held_port())
        settings = {"LEDGER_DATA_DIR": str(data_dir), "LEDGER_PORT": str(port)}
        first = stack.enter_context(service(settings=settings))
        token = first.login()
        client = {"LEDGER_TOKEN": token, "LEDGER_URL": first.url}
        pipe, rest = stack.enter_context(coming(file))
        process, output = stack.enter_context(command("import", str(pipe), "--json", settings=client))
        wait_until(lambda: submitted_in(first, token) >= A_GOOD_PART)
        first.signal(signal.SIGKILL)
        first.wait()
        rest()
        stack.enter_context(service(settings=settings))
        assert process.wait(HANG_GUARD) == 0, output.rest()
        # None "already there": an answer that was lost in the crash is given again, not taken for another's.
        assert summary_of(output) == {
            "imported": ITEMS,
            "already_there": 0,
            "different": 0,
            "refused": 0,
            "stopped": None,
            "refused_lines": [],
            "different_lines": [],
        }
        assert all_there_once(data_dir)


def test_a_postgres_killed_in_the_middle_of_an_import(data_dir: Path, tmp_path: Path):
    file = a_file_of(tmp_path, ITEMS)
    with ExitStack() as stack:
        running = stack.enter_context(service(settings={"LEDGER_DATA_DIR": str(data_dir)}))
        token = running.login()
        client = {"LEDGER_TOKEN": token, "LEDGER_URL": running.url}
        pipe, rest = stack.enter_context(coming(file))
        process, output = stack.enter_context(command("import", str(pipe), "--json", settings=client))
        wait_until(lambda: submitted_in(running, token) >= A_GOOD_PART)
        found = site_of(data_dir).pid_file()
        assert found is not None
        os.kill(found.pid, signal.SIGKILL)
        rest()
        assert process.wait(HANG_GUARD) == 0, output.rest()
        assert summary_of(output)["imported"] == ITEMS
        assert all_there_once(data_dir)
        running.output.until("postgres.restarted")
        with running.client() as client_of_health:
            wait_until(lambda: client_of_health.get("/health/ready").status_code == 200)
        assert running.stop() == 0

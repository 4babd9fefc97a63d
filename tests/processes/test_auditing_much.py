"""A long export: neither the service nor the command holds more of it than a page."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.domain.ids import SessionId
from ledger.domain.session.events import RevocationCause, SessionRevoked
from ledger.store.ledger import Ledger, session_stream
from ledger.store.streams import Stream, append, draft
from tests.support.databases import Cluster
from tests.support.events import by_somebody
from tests.support.service import environment, on_database, service

pytestmark = [pytest.mark.processes, pytest.mark.long]

EVENTS = 100_000
AT_ONCE = 10
MEBIBYTE = 1024 * 1024
HELD_AT_MOST = 40 * MEBIBYTE
"""What an export may add to what a short one takes of the service; its payloads come to more than a hundred."""
COMMAND_AT_MOST = 150_000_000


async def fill(ledger: Ledger) -> None:
    events = [
        SessionRevoked(at=datetime.now(UTC), by=None, cause=RevocationCause.ADMINISTRATOR, reason="x" * 1000)
        for _ in range(AT_ONCE)
    ]
    numbers = iter(range(EVENTS // AT_ONCE))

    async def client() -> None:
        for _ in numbers:
            stream = Stream(name=session_stream(SessionId(uuid4())), events=())
            await append(ledger, draft(stream, events, by_somebody()))

    async with asyncio.TaskGroup() as clients:
        for _ in range(64):
            clients.create_task(client())


def peak_of(process: int) -> int:
    """The most memory that a process has held since ``forget_peak_of``."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def forget_peak_of(process: int) -> None:
    Path(f"/proc/{process}/clear_refs").write_text("5", encoding="ascii")


# A process inherits the peak of whoever started it: here that is a small one, not the one that runs all tests.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def exported(target: Path, *arguments: str, settings: Mapping[str, str]) -> int:
    """Export; the most memory that the command held."""
    command = ("-m", "ledger", "audit", "export", "--tier", "payload", "-o", str(target), *arguments)
    done = subprocess.run(
        (sys.executable, "-c", MEASURED, sys.executable, *command),
        env=environment(settings),
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(done.stdout) * 1024


async def test_a_long_export_takes_hardly_more_memory_than_a_short_one(postgres: Cluster, tmp_path: Path):
    async with postgres.fresh() as database:
        async with await Ledger.open(database.service_url) as ledger:
            await fill(ledger)
        settings = on_database(database, tmp_path / "service")
        with service(settings=settings) as running:
            away = {"LEDGER_URL": running.url, "LEDGER_TOKEN": running.login()}
            exported(tmp_path / "first", "--wait", "--to", "1000", settings=away)
            forget_peak_of(running.process.pid)
            exported(tmp_path / "short", "--to", "1000", settings=away)
            short_served = peak_of(running.process.pid)
            assert exported(tmp_path / "long", settings=away) < COMMAND_AT_MOST
            assert peak_of(running.process.pid) - short_served < HELD_AT_MOST
            assert exported(tmp_path / "near", settings=settings) < COMMAND_AT_MOST
        assert len(list((tmp_path / "long/payloads").iterdir())) == 2

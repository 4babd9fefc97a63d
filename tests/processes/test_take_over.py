"""Two processes feed a view, and one is killed in the middle of a batch: the other goes on, once for each event."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from ledger.projections.views.decisions import DECISIONS
from ledger.store.ledger import Ledger
from tests.projections.scenes import THREE_ITEMS, clean_rows, counted, happen, rows
from tests.support.databases import Database
from tests.support.runbook import ROOT
from tests.support.service import HANG_GUARD, Output

pytestmark = [pytest.mark.processes, pytest.mark.long]


@contextmanager
def worker(
    database: Database, point: str = "before", position: int = 0
) -> Iterator[tuple[subprocess.Popen, Output]]:
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.support.chaos_worker", database.service_url, point, str(position)),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process, Output(process)
        finally:
            process.kill()


@pytest.mark.parametrize("point", ["before", "after"])
async def test_a_standby_takes_over_from_a_leader_that_was_killed_at_work(
    database: Database, ledger: Ledger, point: str
) -> None:
    with ExitStack() as stack:
        leader, said = stack.enter_context(worker(database, point, 5))
        said.until("leading")
        standby, heard = stack.enter_context(worker(database))
        heard.until("up")
        head = await happen(ledger, THREE_ITEMS)
        assert leader.wait(HANG_GUARD) == -signal.SIGKILL
        killed_at = time.monotonic()
        while (await counted(ledger, "decisions"))[0] < head:
            assert standby.poll() is None
            assert time.monotonic() < killed_at + HANG_GUARD
        print(f"taken over after {time.monotonic() - killed_at:.1f} seconds")

        assert await counted(ledger, DECISIONS.name) == (head, head, 0, 0, 0)
        assert await rows(ledger) == await clean_rows(ledger)
        assert await ledger.pool.fetchval("select count(*) from views.failures") == 0

"""Killed in the middle, again and again: the next run goes on, and in the end each record is there once."""

import json
import signal
import time
from pathlib import Path

import asyncpg
import pytest

from tests.support.databases import Database
from tests.support.dumps import a_large_dump
from tests.support.service import HANG_GUARD, command, ledger, on_database

pytestmark = [pytest.mark.processes, pytest.mark.long]

DECISIONS = 600
EVENTS = 4 + DECISIONS + DECISIONS // 10 + 2 * (DECISIONS // 2) + DECISIONS
KILLED_AT = (40, 900, 1500)
"""Events in the log: among the submissions, the answers, the audit entries."""

COUNT = "select count(*) from ledger.events"
ONCE = "select count(distinct event_id) = count(*) and max(position) = count(*) from ledger.events"


async def test_an_import_that_is_killed_goes_on_where_it_was(database: Database, tmp_path: Path):
    dump = a_large_dump(tmp_path, decisions=DECISIONS)
    arguments = ("import-prototype", str(dump), "--i-have-a-backup", str(dump), "--json")
    settings = on_database(database, tmp_path / "ledger")
    conn = await asyncpg.connect(database.owner_url)
    try:
        for events in KILLED_AT:
            with command(*arguments, settings=settings) as (process, _):
                deadline = time.monotonic() + HANG_GUARD
                while await conn.fetchval(COUNT) < events:
                    assert process.poll() is None, "the import was over before the kill"
                    assert time.monotonic() < deadline, "nothing happens any more"
                process.send_signal(signal.SIGKILL)
                process.wait(HANG_GUARD)
            assert await conn.fetchval(COUNT) < EVENTS
        finished = ledger(*arguments, settings=settings)
        assert finished.returncode == 0, finished.stderr
        report = json.loads(finished.stdout)
        again = json.loads(ledger(*arguments, settings=settings).stdout)

        assert await conn.fetchval(COUNT) == EVENTS
        assert await conn.fetchval(ONCE)
    finally:
        await conn.close()
    assert report["proven"]
    assert all(count["imported"] == 0 for count in again["kinds"].values())
    for kind, count in report["kinds"].items():
        assert count["imported"] + count["already_there"] == count["in_dump"]
        assert again["kinds"][kind]["digest"] == count["digest"] == count["found"]

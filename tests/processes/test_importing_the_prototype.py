"""Killed in the middle, again and again: the next run goes on, and in the end each record is there once."""

import asyncio
import json
import signal
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
"""Positions in the log: among the submissions, the answers, the audit entries."""
HOLD = f"""
create function public.hold() returns trigger language plpgsql as
$$ begin perform pg_advisory_xact_lock_shared(new.position); return new; end $$;
create trigger hold before insert on ledger.events for each row
when (new.position in {KILLED_AT}) execute function public.hold()
"""
"""Whoever writes there waits for this test, so that no import is over before it is killed."""
IS_HELD = "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and not granted"

COUNT = "select count(*) from ledger.events"
ONCE = "select count(distinct event_id) = count(*) and max(position) = count(*) from ledger.events"


async def test_an_import_that_is_killed_goes_on_where_it_was(database: Database, tmp_path: Path):
    dump = a_large_dump(tmp_path, decisions=DECISIONS)
    arguments = ("import-prototype", str(dump), "--i-have-a-backup", str(dump), "--json")
    settings = on_database(database, tmp_path / "ledger")
    conn = await asyncpg.connect(database.owner_url)
    try:
        await conn.execute(HOLD)
        for position in KILLED_AT:
            await conn.execute("select pg_advisory_lock($1)", position)
        for position in KILLED_AT:
            with command(*arguments, settings=settings) as (process, output):
                async with asyncio.timeout(HANG_GUARD):
                    while not await conn.fetchval(IS_HELD):
                        assert process.poll() is None, output.rest()
                        await asyncio.sleep(0.01)
                process.send_signal(signal.SIGKILL)
                process.wait(HANG_GUARD)
            assert await conn.fetchval(COUNT) < position
            await conn.execute("select pg_advisory_unlock($1)", position)
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

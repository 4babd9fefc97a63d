"""Statements of the runbooks, as they are printed: an operator pastes them, at night."""

import asyncio
import re
from pathlib import Path
from typing import Final

import asyncpg

from ledger.store.ledger import Ledger
from tests.projections.scenes import THREE_ITEMS, happen
from tests.support.databases import Database

PAGES: Final = Path(__file__).parents[2] / "docs" / "operations"
ROWS: Final = "select * from ledger.events order by position"
SPOIL: Final = """
update ledger.events
   set actor = 'somebody', correlation_id = 'x', causation_id = event_id, version = version + 40, type = 'nothing',
       stream = 'elsewhere', schema_version = 9, recorded_at = recorded_at + interval '1 hour',
       event_id = gen_random_uuid(), command_id = gen_random_uuid()
 where position = 2
"""
APART: Final = {"waiting": "ledger", "holding": "psql"}


def statement(page: str, pattern: str) -> str:
    """Give the one statement of a page that holds ``pattern``."""
    text = (PAGES / page).read_text(encoding="utf-8")
    found = re.findall(r"(?:<<'SQL'|```sql)\n(.*?)(?:\nSQL|\n```)", text, re.DOTALL)
    (one,) = (block for block in found if pattern in block)
    return str(one)


async def test_columns_that_were_changed_come_back_from_the_entry_beside_them(database: Database):
    async with await Ledger.open(database.service_url) as ledger:
        await happen(ledger, THREE_ITEMS)
    owner = await asyncpg.connect(database.owner_url)
    try:
        before = await owner.fetch(ROWS)
        await owner.execute(SPOIL)
        assert await owner.fetch(ROWS) != before

        put_back = statement("tampered.md", "with sealed as").replace(":position", "2")
        assert await owner.execute(put_back) == "UPDATE 1"

        assert await owner.fetch(ROWS) == before
    finally:
        await owner.close()


async def test_who_holds_a_lock_is_named(database: Database):
    settings = {name: {"application_name": shown} for name, shown in APART.items()}
    holding = await asyncpg.connect(database.service_url, server_settings=settings["holding"])
    waiting = await asyncpg.connect(database.service_url, server_settings=settings["waiting"])
    look = await asyncpg.connect(database.service_url)
    try:
        transaction = holding.transaction()
        await transaction.start()
        await holding.execute("lock table views.decisions_v2 in exclusive mode")
        stuck = asyncio.create_task(waiting.execute("delete from views.decisions_v2"))
        while not (rows := await look.fetch(statement("projections.md", "pg_blocking_pids"))):
            await asyncio.sleep(0)

        assert [(row["holds"], row["application_name"]) for row in rows] == [
            (holding.get_server_pid(), "psql")
        ]
        assert await look.fetchval("select pg_terminate_backend($1)", rows[0]["holds"])
        await stuck
    finally:
        holding.terminate()
        await waiting.close()
        await look.close()

"""Every statement in the code fits the migrated schema: names, columns and types are checked by the server."""

import asyncpg
import pytest

from ledger.sealing import guard_elsewhere
from tests.support.databases import Database
from tests.support.statements import NEEDS_NAMES, STATEMENT, statements


async def test_every_statement_prepares_on_the_migrated_schema(database: Database) -> None:
    found = list(statements())
    assert len(found) > 300, "the search has gone blind"
    conn = await asyncpg.connect(database.service_url)
    try:
        await conn.execute(NEEDS_NAMES)
        await conn.execute(guard_elsewhere.MAKE.replace("create table", "create temporary table"))
        broken = {name: why for name, sql in found if (why := await _refusal(conn, sql))}
    finally:
        await conn.close()

    assert broken == {}


async def test_a_statement_with_a_wrong_column_does_not_prepare(database: Database) -> None:
    conn = await asyncpg.connect(database.service_url)
    try:
        assert await _refusal(conn, "select colour from views.queue_v2")
    finally:
        await conn.close()


@pytest.mark.parametrize("text", ["select 1", " with a as (select 1) select 1", "UPDATE t set a = 1"])
def test_statements_are_recognised(text: str) -> None:
    assert STATEMENT.match(text)


async def _refusal(conn: asyncpg.Connection, sql: str) -> str:
    try:
        await conn.prepare(sql)
    except asyncpg.PostgresError as refused:
        return str(refused)
    return ""

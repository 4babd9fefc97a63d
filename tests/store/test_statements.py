"""Every statement in the code fits the migrated schema: names, columns and types are checked by the server."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import asyncpg
import pytest

import ledger
from ledger.sealing import guard_elsewhere
from tests.support.databases import Database

STATEMENT = re.compile(r"\s*(select|insert|update|delete|with)\s", re.IGNORECASE)
NEEDS_NAMES = "set search_path = views"
"""Views are written without a schema, so that a rebuild can redirect them."""


def statements() -> Iterator[tuple[str, str]]:
    """Find each module's upper-case strings that begin like a statement."""
    for module_info in pkgutil.walk_packages(ledger.__path__, "ledger."):
        if module_info.name == "ledger.__main__":
            continue
        module = importlib.import_module(module_info.name)
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, str) and STATEMENT.match(value):
                yield f"{module_info.name}.{name}", value


async def test_every_statement_prepares_on_the_migrated_schema(database: Database) -> None:
    found = dict(statements())
    assert len(found) > 30, "the search has gone blind"
    conn = await asyncpg.connect(database.service_url)
    try:
        await conn.execute(NEEDS_NAMES)
        await conn.execute(guard_elsewhere.MAKE.replace("create table", "create temporary table"))
        broken = {name: why for name, sql in found.items() if (why := await _refusal(conn, sql))}
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

"""Looking for a word in every column of every table there is: what was erased is nowhere."""

from collections.abc import Iterable
from typing import Final

import asyncpg

COLUMNS: Final = """
select c.table_schema, c.table_name, c.column_name, c.data_type
from information_schema.columns c
join information_schema.tables t using (table_schema, table_name)
where t.table_type = 'BASE TABLE' and c.table_schema not in ('pg_catalog', 'information_schema')
order by 1, 2, 3
"""


async def places_of(owner_url: str, words: Iterable[str]) -> set[str]:
    """Name every column, ``schema.table.column``, that holds one of these words, however it is capitalised."""
    conn = await asyncpg.connect(owner_url)
    try:
        found = set()
        for schema, table, column, kind in await conn.fetch(COLUMNS):
            text = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
            query = f"select exists (select from {schema}.{table} where lower({text}) like any($1))"  # noqa: S608 - of the catalogue
            if await conn.fetchval(query, [f"%{word.lower()}%" for word in words]):
                found.add(f"{schema}.{table}.{column}")
        return found
    finally:
        await conn.close()

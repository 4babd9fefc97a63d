"""The tables of a projection as things: copied empty, exchanged, thrown away.

A copy has the name of its original in another schema, and so have its indexes and constraints: whatever names
them, in code or in an operator's head, finds them after the exchange as before.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from ledger.domain.errors import RuleViolation
from ledger.projections.projection import Feed
from ledger.store.pool import Connection

LIVE: Final = "views"
BUILD: Final = "views_build"
OLD: Final = "views_old"

# $1 schema to copy to, $2 tables; a copy carries everything that "like" can copy, and rights and options besides
COPY: Final = """
select statement from (
    select 1 as step, c.relname,
           format('create table %I.%I (like views.%I including all)', $1::text, c.relname, c.relname) as statement
    from pg_class c
    where c.relnamespace = 'views'::regnamespace and c.relname = any($2)
    union all
    select 2, c.relname,
           format('alter table %I.%I set (%s)', $1::text, c.relname, array_to_string(c.reloptions, ', '))
    from pg_class c
    where c.relnamespace = 'views'::regnamespace and c.relname = any($2) and c.reloptions is not null
    union all
    select 3, c.relname,
           format('grant %s on %I.%I to %s%s', a.privilege_type, $1::text, c.relname,
                  case a.grantee when 0 then 'public' else a.grantee::regrole::text end,
                  case when a.is_grantable then ' with grant option' else '' end)
    from pg_class c
    cross join lateral aclexplode(c.relacl) a
    where c.relnamespace = 'views'::regnamespace and c.relname = any($2) and a.grantee <> c.relowner
) made
order by step, relname
"""
# "like" makes up names for indexes; each gets its original's, found by what it indexes. They pass through names that
# nobody has, because a made-up one may be another index's original.
# $1 schema of the copies, $2 tables
RENAME: Final = """
with indexes as (
    select n.nspname, t.relname as "table", i.relname as name, x.indexrelid,
           row_number() over (
               partition by n.nspname, t.relname, x.indisprimary, x.indisunique,
                            split_part(pg_get_indexdef(x.indexrelid), ' USING ', 2)
               order by x.indexrelid) as number,
           format('%s %s %s', x.indisprimary, x.indisunique,
                  split_part(pg_get_indexdef(x.indexrelid), ' USING ', 2)) as shape
    from pg_index x
    join pg_class i on i.oid = x.indexrelid
    join pg_class t on t.oid = x.indrelid
    join pg_namespace n on n.oid = t.relnamespace
    where n.nspname in ('views', $1::text) and t.relname = any($2)
), pairs as (
    select copy.name as made_up, copy.indexrelid, original.name
    from indexes original
    join indexes copy using ("table", shape, number)
    where original.nspname = 'views' and copy.nspname = $1::text
)
select format('alter index %I.%I rename to %I', $1::text, made_up, 'copy_' || indexrelid) as statement, 1 as step
from pairs
union all
select format('alter index %I.%I rename to %I', $1::text, 'copy_' || indexrelid, name), 2
from pairs
order by step
"""
# What only speeds reading up is made once, when there is something to read.
# $1 schema of the copies, $2 tables
DROP_INDEXES: Final = """
select format('drop index %I.%I', $1::text, i.relname) as statement
from pg_index x
join pg_class i on i.oid = x.indexrelid
join pg_class t on t.oid = x.indrelid
where t.relnamespace = $1::text::regnamespace and t.relname = any($2) and not x.indisunique
order by i.relname
"""
# $1 schema of the copies, $2 tables
MAKE_INDEXES: Final = """
select format('create index %I on %I.%I using %s', i.relname, $1::text, t.relname,
              split_part(pg_get_indexdef(x.indexrelid), ' USING ', 2)) as statement
from pg_index x
join pg_class i on i.oid = x.indexrelid
join pg_class t on t.oid = x.indrelid
where t.relnamespace = 'views'::regnamespace and t.relname = any($2) and not x.indisunique
  and not exists (
      select from pg_class there where there.relnamespace = $1::text::regnamespace and there.relname = i.relname)
order by i.relname
"""
# $1 schema, $2 tables
ANALYZE: Final = """
select format('analyze %I.%I', schemaname, tablename) as statement
from pg_tables where schemaname = $1 and tablename = any($2)
order by tablename
"""
# $1 schema, $2 tables
DROP: Final = """
select format('drop table if exists %I.%I', schemaname, tablename) as statement
from pg_tables where schemaname = $1 and tablename = any($2)
order by tablename
"""
# $1 from this schema, $2 to that one, $3 tables
MOVE: Final = """
select format('alter table %I.%I set schema %I', schemaname, tablename, $2::text) as statement
from pg_tables where schemaname = $1 and tablename = any($3)
order by tablename
"""
# $1 ledger, $2 tables
OF_OTHERS: Final = """
select format('select exists (select from views.%1$I where ledger_id < %2$s)
                   or exists (select from views.%1$I where ledger_id > %2$s)', tablename, $1::integer) as statement
from pg_tables where schemaname = 'views' and tablename = any($2)
order by tablename
"""
# $1 schema, $2 tables
LOCK: Final = """
select format('lock table %I.%I in access exclusive mode', schemaname, tablename) as statement
from pg_tables where schemaname = $1 and tablename = any($2)
order by tablename
"""
# $1 schema, $2 tables
PRESENT: Final = "select count(*) from pg_tables where schemaname = $1 and tablename = any($2)"


class SharedTables(RuleViolation):
    """Another ledger has rows in these tables: they cannot be exchanged as a whole."""

    code = "shared-tables"
    advice = "Give each ledger a database of its own."


class NoTables(RuleViolation):
    """The projection has no tables here."""

    code = "no-tables"


async def copy_empty(conn: Connection, feed: Feed, *, to: str = BUILD) -> None:
    """Make empty copies of a projection's tables in the caller's transaction, in place of any that are there.

    They have what keeps rows right; ``make_readable`` adds the rest.

    Raises:
        NoTables: it has none.
    """
    tables = list(feed.tables)
    await drop(conn, feed, schema=to)
    made = await _run(conn, await conn.fetch(COPY, to, tables))
    if not made:
        raise NoTables(projection=feed.name)
    await _run(conn, await conn.fetch(RENAME, to, tables))
    await _run(conn, await conn.fetch(DROP_INDEXES, to, tables))


async def make_readable(conn: Connection, feed: Feed, *, schema: str = BUILD) -> None:
    """Give filled copies the indexes that they lack beside the originals, and the planner a picture of them."""
    tables = list(feed.tables)
    await _run(conn, await conn.fetch(MAKE_INDEXES, schema, tables))
    await _run(conn, await conn.fetch(ANALYZE, schema, tables))


async def drop(conn: Connection, feed: Feed, *, schema: str) -> None:
    """Throw a projection's tables of one schema away, if there are any."""
    await _run(conn, await conn.fetch(DROP, schema, list(feed.tables)))


async def move(conn: Connection, feed: Feed, *, origin: str, to: str) -> None:
    """Carry a projection's tables from one schema to another, with their indexes and constraints."""
    await _run(conn, await conn.fetch(MOVE, origin, to, list(feed.tables)))


async def lock(conn: Connection, feed: Feed, *, schema: str) -> None:
    """Keep everybody from a projection's tables until the caller's transaction ends."""
    await _run(conn, await conn.fetch(LOCK, schema, list(feed.tables)))


async def are_in(conn: Connection, feed: Feed, *, schema: str) -> bool:
    """Say whether all of a projection's tables are in ``schema``."""
    present: int = await conn.fetchval(PRESENT, schema, list(feed.tables))
    return present == len(feed.tables)


async def require_own(conn: Connection, ledger_id: int, feed: Feed) -> None:
    """Refuse to go on where another ledger's rows share the tables.

    Raises:
        SharedTables: they do.
    """
    for row in await conn.fetch(OF_OTHERS, ledger_id, list(feed.tables)):
        if await conn.fetchval(row["statement"]):
            raise SharedTables(projection=feed.name)


async def _run(conn: Connection, rows: Sequence[Iterable[str]]) -> int:
    for statement, *_ in rows:
        await conn.execute(statement)
    return len(rows)

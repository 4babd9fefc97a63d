"""What keeps the ladder of docs/scaling.md open: no ledger needs what another one's machine holds."""

import re
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest
import pytest_asyncio

from ledger.sealing import guard_elsewhere
from ledger.store.migrate import all_migrations
from tests.support.databases import Cluster
from tests.support.plans import plan_of
from tests.support.statements import NEEDS_NAMES, constants, statements, texts_in_functions

OURS: Final = ["ledger", "work", "views", "views_build", "views_old"]
OF_THE_DATABASE: Final = {
    "ledger.migrations": "which files made the tables; they are the same for every ledger",
    "work.migrations": "the same, for the service's own tables",
}
"""Tables that belong to no ledger, and why."""
OF_NO_LEDGER: Final = {
    "ledger.store.migrate": "makes the tables, before there is a ledger",
    "ledger.sealing.guard_elsewhere": "a table in another database, by the name of the log",
}
"""Modules whose statements meet tables that belong to no ledger, and why."""
CROSSING: Final = {
    "ledger.projections.failures.SELECT": "the beginning of statements, each of which goes on to say which ledger",
}
"""Statements that do not say which ledger they mean, and why."""
ADVISORY: Final = re.compile(r"pg_(try_)?advisory")
DYNAMIC: Final = re.compile(
    r"\s*(select\s.*\sfrom|insert into|update \S* set|delete from|with \S+ as)\s", re.DOTALL
)

# Each: $1 the names of schemas
KEYS: Final = """
select i.relname as name, n.nspname || '.' || t.relname as "table", a.attname as first
from pg_index x
join pg_class i on i.oid = x.indexrelid
join pg_class t on t.oid = x.indrelid
join pg_namespace n on n.oid = t.relnamespace
left join pg_attribute a on a.attrelid = t.oid and a.attnum = x.indkey[0]
where n.nspname = any($1) and t.relkind in ('r', 'p')
"""
FOREIGN_KEYS: Final = """
select c.conname, a.attname as here, b.attname as there
from pg_constraint c
join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
join pg_attribute b on b.attrelid = c.confrelid and b.attnum = c.confkey[1]
where c.contype = 'f' and c.connamespace::regnamespace::text = any($1)
"""
TABLES: Final = """
select n.nspname || '.' || t.relname as "table", t.relpersistence = 'p' as is_logged,
       exists (select from pg_index x where x.indrelid = t.oid and x.indisprimary) as has_key,
       exists (select from pg_attribute a where a.attrelid = t.oid and a.attname = 'ledger_id' and a.attnotnull)
           as says_whose
from pg_class t
join pg_namespace n on n.oid = t.relnamespace
where n.nspname = any($1) and t.relkind in ('r', 'p')
"""
SEQUENCES: Final = """
select relname from pg_class where relkind = 'S' and relnamespace::regnamespace::text = any($1)
union all
select a.attname from pg_attribute a join pg_class t on t.oid = a.attrelid
where a.attidentity <> '' and t.relnamespace::regnamespace::text = any($1)
"""
TRIGGERS: Final = """
select g.tgname from pg_trigger g join pg_class t on t.oid = g.tgrelid
where not g.tgisinternal and t.relnamespace::regnamespace::text = any($1)
union all
select r.rulename from pg_rewrite r join pg_class t on t.oid = r.ev_class
where r.rulename <> '_RETURN' and t.relnamespace::regnamespace::text = any($1)
union all
select evtname from pg_event_trigger
"""
FUNCTIONS: Final = """
select proname, prosrc from pg_proc where pronamespace::regnamespace::text = any($1) order by proname
"""
# no binds
EXTENSIONS: Final = "select extname from pg_extension where extname <> 'plpgsql'"

together = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def conn(postgres: Cluster) -> AsyncIterator[asyncpg.Connection]:
    """The migrated schema, as the service sees it."""
    async with postgres.fresh() as database:
        opened = await asyncpg.connect(database.service_url)
        await opened.execute(NEEDS_NAMES)
        await opened.execute(guard_elsewhere.MAKE.replace("create table", "create temporary table"))
        await opened.execute("set plan_cache_mode = force_generic_plan")
        yield opened
        await opened.close()


@together
async def test_the_ledger_leads_every_key_and_index(conn: asyncpg.Connection) -> None:
    keys = [key for key in await conn.fetch(KEYS, OURS) if key["table"] not in OF_THE_DATABASE]

    assert len(keys) > 80, "the search has gone blind"
    assert [key["name"] for key in keys if key["first"] != "ledger_id"] == []


@together
async def test_the_ledger_leads_both_sides_of_every_foreign_key(conn: asyncpg.Connection) -> None:
    keys = await conn.fetch(FOREIGN_KEYS, OURS)

    assert keys != []
    assert [key["conname"] for key in keys if not key["here"] == key["there"] == "ledger_id"] == []


@together
async def test_every_row_says_whose_it_is_has_a_key_and_reaches_a_replica(conn: asyncpg.Connection) -> None:
    tables = {row["table"]: row for row in await conn.fetch(TABLES, OURS)}

    assert len(tables) > 40, "the search has gone blind"
    assert {name for name, row in tables.items() if not row["says_whose"]} == set(OF_THE_DATABASE)
    assert [name for name, row in tables.items() if not (row["has_key"] and row["is_logged"])] == []


@together
async def test_no_extension_is_needed(conn: asyncpg.Connection) -> None:
    assert await conn.fetch(EXTENSIONS) == []


@together
@pytest.mark.parametrize("what", [SEQUENCES, TRIGGERS], ids=["sequence", "trigger"])
async def test_there_is_no(conn: asyncpg.Connection, what: str) -> None:
    assert await conn.fetch(what, OURS) == []


@together
async def test_the_only_functions_are_the_three_that_append(conn: asyncpg.Connection) -> None:
    functions = await conn.fetch(FUNCTIONS, OURS)

    assert [function["proname"] for function in functions] == [
        "append_batch",
        "append_one",
        "append_together",
    ]


@together
async def test_an_append_meets_rows_of_its_own_ledger_alone(conn: asyncpg.Connection) -> None:
    for function in await conn.fetch(FUNCTIONS, OURS):
        reads = re.findall(r"\b(?:from|join|update) ledger\.", function["prosrc"])
        bound = re.findall(r"\bledger_id = in_ledger_id\b", function["prosrc"])

        assert len(reads) == len(bound) > 0, function["proname"]


def test_advisory_locks_are_for_migrators_alone() -> None:
    """Behind a pooler they outlive their transaction or go with somebody else's, and a replica knows nothing of them."""
    in_constants = {name for name, text in constants() if ADVISORY.search(text)}
    in_functions = {name for name, text in texts_in_functions() if ADVISORY.search(text)}
    in_migrations = {one.name for one in all_migrations() if ADVISORY.search(one.sql)}

    assert in_constants == {"ledger.store.migrate.LOCK", "ledger.store.migrate.IS_ELSEWHERE"}
    assert in_functions | in_migrations == set()


@together
async def test_every_statement_says_for_every_table_which_ledger_it_means(conn: asyncpg.Connection) -> None:
    tables = {row["table"] for row in await conn.fetch(TABLES, OURS)} - set(OF_THE_DATABASE)
    met, crossing = set[str](), set[str]()
    for name, sql in statements():
        if name.rpartition(".")[0] in OF_NO_LEDGER:
            continue
        plan = await plan_of(conn, sql)
        ours = [scan for scan in plan.scans if scan.table in tables]
        met |= {scan.table for scan in plan.scans if not scan.table.startswith("pg_catalog.")}
        if ours and not (plan.is_told("ledger_id") and all(plan.binds(scan, "ledger_id") for scan in ours)):
            crossing.add(name)

    assert len(met) > 30, "the search has gone blind"
    assert met <= tables
    assert crossing == set(CROSSING)


def test_a_statement_that_is_put_together_says_so_too() -> None:
    found = [(file, text) for file, text in texts_in_functions() if DYNAMIC.match(text)]

    assert {file for file, _ in found} == {"projections/rehearsal.py", "projections/replay.py"}
    assert [text for _, text in found if "ledger_id = $1" not in text] == []


@together
@pytest.mark.parametrize(
    ("sql", "says_so"),
    [
        ("select max(position) from ledger.events where ledger_id = $1", True),
        ("select max(position) from ledger.events", False),
        ("delete from work.evidence where evidence_id = $1", False),
        ("update work.evidence set size = 0 where ledger_id = $1", True),
        (
            "select from work.evidence e join work.evidence_chunks c using (evidence_id) where e.ledger_id = $1",
            False,
        ),
        (
            "select from work.evidence e join work.evidence_chunks c using (ledger_id) where e.ledger_id = $1",
            True,
        ),
        ("select from work.evidence e join work.evidence_chunks c using (ledger_id)", False),
        (
            "select from work.evidence where ledger_id = $1 and size > (select avg(size) from work.evidence)",
            False,
        ),
    ],
)
async def test_a_crossing_is_recognised(conn: asyncpg.Connection, sql: str, *, says_so: bool) -> None:
    plan = await plan_of(conn, sql)

    assert (
        plan.is_told("ledger_id") and all(plan.binds(scan, "ledger_id") for scan in plan.scans)
    ) is says_so

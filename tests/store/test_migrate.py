"""Migrations: once, in order, whole or not at all, and never changed afterwards."""

import asyncio

import asyncpg
import pytest

from ledger.store.ledger import Ledger
from ledger.store.migrate import (
    BOOTSTRAP,
    BOOTSTRAP_SERVICE,
    SERVICE_MARK,
    Migration,
    MigrationChanged,
    MigrationInterrupted,
    NotMigrated,
    NotOneDatabase,
    NotTheOwner,
    ServerTooOld,
    all_migrations,
    check_server,
    migrate,
    pending,
)
from ledger.store.pool import SESSION_SETTINGS, DatabaseUnreachable, connect
from tests.support.databases import TEMPLATE, Cluster, Database


def a_migration(sql: str, number: int = 9000) -> Migration:
    runner = "service" if sql.startswith(SERVICE_MARK) else "owner"
    return Migration(number=number, name=f"{number}_test.sql", sql=sql, runner=runner)


@pytest.fixture
def service_migration() -> Migration:
    return a_migration(SERVICE_MARK + "create table work.mine (a integer constraint mine_pkey primary key)")


async def exists(database: Database, table: str) -> bool:
    conn = await asyncpg.connect(database.owner_url)
    try:
        return bool(await conn.fetchval("select to_regclass($1) is not null", table))
    finally:
        await conn.close()


async def test_a_second_run_has_nothing_to_do(database: Database) -> None:
    assert await migrate(database.owner_url, database.service_url) == ()


async def test_migrators_at_once_take_turns(postgres: Cluster) -> None:
    async with postgres.fresh(template="template1") as empty:
        runs = await asyncio.gather(*(migrate(empty.owner_url, empty.service_url) for _ in range(4)))

        assert sorted(map(len, runs)) == [0, 0, 0, len(all_migrations())]


async def test_a_migration_takes_the_time_it_takes_and_whoever_comes_meanwhile_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a service may wait for a statement, or for a lock, is too short for the index of a large table."""
    monkeypatch.setitem(SESSION_SETTINGS, "statement_timeout", "200ms")
    monkeypatch.setitem(SESSION_SETTINGS, "lock_timeout", "100ms")
    files = [*all_migrations(), a_migration("select pg_sleep(0.5)")]

    runs = await asyncio.gather(*(migrate(database.owner_url, database.service_url, files) for _ in range(2)))

    assert sorted(map(len, runs)) == [0, 1]


async def test_a_table_that_is_in_use_for_too_long_is_told_and_nothing_is_left_behind(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.store.migrate.WAIT_NO_LONGER", "set lock_timeout = '50ms'")
    blocked = a_migration("create table ledger.half (); alter table ledger.events add column more text")
    async with ledger.pool.acquire() as conn, conn.transaction():
        await conn.fetch("select from ledger.events")
        with pytest.raises(MigrationInterrupted, match="lock timeout"):
            await migrate(database.owner_url, database.service_url, [*all_migrations(), blocked])

    assert not await exists(database, "ledger.half")


async def test_no_two_files_have_one_number() -> None:
    numbers = [one.number for one in all_migrations()]

    assert numbers == sorted(set(numbers))


async def test_a_failing_migration_leaves_nothing_of_itself(database: Database) -> None:
    broken = a_migration("create table ledger.half (); select 1/0;")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(database.owner_url, database.service_url, [*all_migrations(), broken])

    assert not await exists(database, "ledger.half")
    assert await migrate(database.owner_url, database.service_url) == ()


async def test_an_applied_migration_must_not_change(database: Database) -> None:
    first = all_migrations()[0]
    changed = Migration(number=first.number, name=first.name, sql=first.sql + "-- x", runner=first.runner)

    with pytest.raises(MigrationChanged) as refusal:
        await migrate(database.owner_url, database.service_url, [changed])

    assert refusal.value.context == {"name": first.name}


async def test_the_service_owns_what_its_migrations_make(
    database: Database, service_migration: Migration
) -> None:
    await migrate(database.owner_url, database.service_url, [*all_migrations(), service_migration])

    conn = await connect(database.service_url)
    owner = await conn.fetchval("select tableowner from pg_tables where tablename = 'mine'")
    left = await pending(conn, [*all_migrations(), service_migration])
    await conn.close()
    assert owner == "ledger_service"
    assert left == ()


async def test_a_database_that_is_not_migrated_is_refused(postgres: Cluster) -> None:
    async with postgres.fresh(template="template1") as empty:
        with pytest.raises(NotMigrated) as refusal:
            await Ledger.open(empty.service_url)

    assert "0001_ledger.sql" in str(refusal.value)
    assert "ledger migrate" in str(refusal.value)


async def test_a_ledger_that_was_never_made_is_refused(database: Database) -> None:
    with pytest.raises(NotMigrated):
        await Ledger.open(database.service_url, ledger_id=7)


async def test_one_role_for_both_logins_works_without_grants(postgres: Cluster) -> None:
    async with postgres.fresh(template="template1") as empty:
        await migrate(empty.owner_url, empty.owner_url)
        async with await Ledger.open(empty.owner_url) as ledger:
            assert await ledger.head() == 0


@pytest.mark.parametrize("template", ["template1", TEMPLATE], ids=["empty", "migrated"])
async def test_logins_of_two_databases_are_refused_and_nothing_is_changed(
    postgres: Cluster, template: str
) -> None:
    async with postgres.fresh(template="template1") as one, postgres.fresh(template=template) as other:
        with pytest.raises(NotOneDatabase, match="the same database"):
            await migrate(one.owner_url, other.service_url)

        assert not await exists(one, "ledger.migrations")


async def test_logins_that_are_exchanged_are_told_so(postgres: Cluster) -> None:
    async with postgres.fresh(template="template1") as empty:
        with pytest.raises(NotTheOwner, match="may be exchanged"):
            await migrate(empty.service_url, empty.owner_url)


async def test_an_old_server_is_refused(database: Database) -> None:
    conn = await connect(database.owner_url)
    with pytest.raises(ServerTooOld):
        await check_server(conn, oldest=990000)
    await conn.close()


@pytest.mark.parametrize("url", ["postgresql://x@127.0.0.1:9/x", "postgresql://x@/x?host=/nonexistent"])
async def test_a_server_that_is_not_there_is_named_unreachable(url: str) -> None:
    with pytest.raises(DatabaseUnreachable):
        await Ledger.open(url)


async def test_every_index_and_constraint_is_named_in_its_migration(database: Database) -> None:
    """A name that PostgreSQL made up cannot be relied on; NOT NULL has no name worth choosing."""
    conn = await asyncpg.connect(database.owner_url)
    rows = await conn.fetch(
        """
        select conname as name from pg_constraint c join pg_namespace n on n.oid = c.connamespace
        where n.nspname in ('ledger', 'views', 'work') and contype <> 'n'
        union
        select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('ledger', 'views', 'work') and relkind = 'i'
        """
    )
    await conn.close()
    written = " ".join([BOOTSTRAP, BOOTSTRAP_SERVICE, *(one.sql for one in all_migrations())])

    assert len(rows) >= 8
    assert [row["name"] for row in rows if row["name"] not in written] == []


async def test_the_ledger_leads_every_key(database: Database) -> None:
    """So that one schema serves one machine or many (docs/adr/0003)."""
    conn = await asyncpg.connect(database.owner_url)
    rows = await conn.fetch(
        """
        select i.indexrelid::regclass::text as index,
               (select attname from pg_attribute a where a.attrelid = i.indrelid and a.attnum = i.indkey[0]) as first
        from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('ledger', 'views', 'work') and c.relname not like '%migrations'
        """
    )
    await conn.close()

    assert len(rows) >= 5
    assert [row["index"] for row in rows if row["first"] != "ledger_id"] == []

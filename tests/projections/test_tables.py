"""A copy of a projection's tables is named like the original in everything, and takes its place."""

from collections.abc import AsyncIterator

import pytest

from ledger.projections import tables
from ledger.projections.catalog import ALL
from ledger.projections.projection import Feed
from ledger.projections.views.directory import DIRECTORY
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import Connection
from tests.projections.counting import Counting

SHAPE = """
select c.relname, i.relname as name, replace(pg_get_indexdef(x.indexrelid), $1 || '.', '') as definition
from pg_index x
join pg_class c on c.oid = x.indrelid
join pg_class i on i.oid = x.indexrelid
where c.relnamespace = $1::text::regnamespace and c.relname = any($2)
union all
select c.relname, k.conname, pg_get_constraintdef(k.oid)
from pg_constraint k
join pg_class c on c.oid = k.conrelid
where c.relnamespace = $1::text::regnamespace and c.relname = any($2)
union all
select c.relname, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attcollation, a.attnotnull)
from pg_attribute a
join pg_class c on c.oid = a.attrelid
where a.attnum > 0 and c.relnamespace = $1::text::regnamespace and c.relname = any($2)
union all
select c.relname, 'options', concat_ws(' ', c.reloptions, c.relacl)
from pg_class c
where c.relnamespace = $1::text::regnamespace and c.relname = any($2)
order by 1, 2, 3
"""


@pytest.fixture
async def conn(ledger: Ledger) -> AsyncIterator[Connection]:
    async with ledger.pool.acquire() as found:
        yield found


async def shape(conn: Connection, feed: Feed, schema: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await conn.fetch(SHAPE, schema, list(feed.tables))]


@pytest.mark.parametrize("feed", ALL, ids=lambda feed: feed.name)
async def test_a_copy_has_every_name_of_its_original(conn: Connection, feed: Feed) -> None:
    await tables.copy_empty(conn, feed)
    await tables.make_readable(conn, feed)

    original = await shape(conn, feed, "views")
    assert await shape(conn, feed, "views_build") == original
    assert len(original) > 5


async def test_a_copy_has_the_options_and_rights_of_its_original(conn: Connection) -> None:
    await conn.execute("alter table views.queue_v2 set (fillfactor = 70, autovacuum_enabled = false)")
    await conn.execute("grant select on views.queue_v2 to public")
    await conn.execute("grant update on views.queue_v2 to pg_monitor with grant option")

    await tables.copy_empty(conn, QUEUE)
    await tables.make_readable(conn, QUEUE)

    assert await shape(conn, QUEUE, "views_build") == await shape(conn, QUEUE, "views")


async def test_indexes_whose_made_up_names_cross_get_the_right_ones(conn: Connection) -> None:
    await conn.execute("create unique index queue_v2_stream_level_idx on views.queue_v2 (stream, version)")
    await conn.execute("create unique index queue_v2_stream_version_idx on views.queue_v2 (stream, level)")
    await conn.execute(
        "create index queue_v2_rare_idx on views.queue_v2 (ledger_id, lower(priority) desc) include (level)"
        " where level > 1"
    )

    await tables.copy_empty(conn, QUEUE)
    await tables.make_readable(conn, QUEUE)

    assert await shape(conn, QUEUE, "views_build") == await shape(conn, QUEUE, "views")


async def test_indexes_for_reading_come_last_and_once(conn: Connection) -> None:
    await tables.copy_empty(conn, QUEUE)
    names = [name for _, name, _ in await shape(conn, QUEUE, "views_build")]
    assert "queue_v2_order_idx" not in names
    assert "queue_v2_pkey" in names

    await tables.make_readable(conn, QUEUE)
    await tables.make_readable(conn, QUEUE)
    names = [name for _, name, _ in await shape(conn, QUEUE, "views_build")]
    assert names.count("queue_v2_order_idx") == 1


async def test_a_copy_replaces_one_that_was_left_behind(conn: Connection) -> None:
    await tables.copy_empty(conn, DIRECTORY)
    await tables.copy_empty(conn, DIRECTORY)

    assert await tables.are_in(conn, DIRECTORY, schema="views_build")


async def test_a_projection_without_tables_is_not_copied(conn: Connection) -> None:
    with pytest.raises(tables.NoTables):
        await tables.copy_empty(conn, Counting().projection)


async def test_tables_change_places_with_everything_that_belongs_to_them(conn: Connection) -> None:
    before = await shape(conn, QUEUE, "views")
    await tables.copy_empty(conn, QUEUE)
    await tables.make_readable(conn, QUEUE)
    async with conn.transaction():
        await tables.lock(conn, QUEUE, schema="views")
        await tables.move(conn, QUEUE, origin="views", to="views_old")
        await tables.move(conn, QUEUE, origin="views_build", to="views")

    assert await shape(conn, QUEUE, "views") == await shape(conn, QUEUE, "views_old") == before
    assert not await tables.are_in(conn, QUEUE, schema="views_build")


async def test_tables_that_another_ledger_uses_too_are_not_exchanged(conn: Connection) -> None:
    await tables.require_own(conn, LEDGER_ID, DIRECTORY)
    await conn.execute(
        "insert into views.directory_v2 values"
        " (2, 's', gen_random_uuid(), 'admin', now(), true, false, '{}', 0, null, false)"
    )

    with pytest.raises(tables.SharedTables):
        await tables.require_own(conn, LEDGER_ID, DIRECTORY)

"""What differs between two sets of rows is counted and named: rows missing, rows too many, columns changed."""

from collections.abc import AsyncIterator

import pytest

from ledger.domain.operations.events import TableDiff
from ledger.projections import tables
from ledger.projections.comparing import SAMPLE, Comparison, Difference, NoKey, compare
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import Connection
from tests.projections.counting import Counting, make_table

FILL = """
insert into {schema}.queue_v2 (
    ledger_id, stream, analysis_id, kind, kind_version, asked_priority, priority, rank, position, submission,
    subject_digest, created_at, submitted_by, submitted_at, four_eyes, level, groups, escalators, voters,
    information_seconds, version)
select $1, 'decision-' || lpad(n::text, 3, '0'), 'a' || n, 'threat_analysis', 1, 'high', 'high', 1, n, 'text', '',
       '2026-01-01Z', '00000000-0000-0000-0000-000000000001', '2026-01-01Z', false, 0, '', '{{}}', '{{}}', 60, 1
from generate_series(1, $2::integer) n
"""


@pytest.fixture
async def conn(ledger: Ledger) -> AsyncIterator[Connection]:
    async with ledger.pool.acquire() as found:
        await tables.copy_empty(found, QUEUE)
        for schema in ("views", "views_build"):
            await found.execute(FILL.format(schema=schema), LEDGER_ID, 30)
        yield found


async def compared(conn: Connection, **choice: object) -> Comparison:
    return await compare(conn, LEDGER_ID, QUEUE, before="views", after="views_build", **choice)


def diff(**facts: int) -> tuple[TableDiff]:
    plain = {"rows_before": 30, "rows_after": 30, "only_before": 0, "only_after": 0, "differing": 0}
    return (TableDiff(table="queue_v2", **plain | facts),)


def difference(kind: str, stream: str, *columns: str) -> Difference:
    return Difference(table="queue_v2", kind=kind, key={"ledger_id": "1", "stream": stream}, columns=columns)


async def test_equal_rows_do_not_differ(conn: Connection) -> None:
    found = await compared(conn)

    assert found.is_equal()
    assert (found.tables, found.sample) == (diff(), ())


async def test_a_changed_row_is_named_with_the_columns_that_changed(conn: Connection) -> None:
    await conn.execute("update views.queue_v2 set level = 2, priority = 'low' where stream = 'decision-007'")

    found = await compared(conn)

    assert found.tables == diff(differing=1)
    assert found.sample == (difference("differs", "decision-007", "priority", "level"),)
    assert not found.is_equal()


async def test_an_absent_value_differs_from_a_present_one(conn: Connection) -> None:
    await conn.execute(
        "update views_build.queue_v2 set lease_id = gen_random_uuid(), holder = gen_random_uuid(),"
        " session = gen_random_uuid(), fencing_token = 1, expires_at = now() where stream = 'decision-007'"
    )

    assert (await compared(conn)).sample == (
        difference(
            *("differs", "decision-007", "lease_id", "holder", "session", "fencing_token", "expires_at"),
            "ready_at",
        ),
    )


async def test_rows_missing_and_rows_too_many_are_named(conn: Connection) -> None:
    await conn.execute("delete from views.queue_v2 where stream = 'decision-003'")
    await conn.execute("delete from views_build.queue_v2 where stream in ('decision-001', 'decision-002')")

    found = await compared(conn)

    assert found.tables == diff(rows_before=29, rows_after=28, only_before=2, only_after=1)
    assert found.sample == (
        difference("only before", "decision-001"),
        difference("only before", "decision-002"),
        difference("only after", "decision-003"),
    )


async def test_only_the_first_differences_are_named(conn: Connection) -> None:
    await conn.execute("update views.queue_v2 set version = 2")

    found = await compared(conn)

    assert found.tables == diff(differing=30)
    assert len(found.sample) == SAMPLE


async def test_some_streams_can_be_compared_and_some_left_out(conn: Connection) -> None:
    await conn.execute("update views.queue_v2 set version = 2 where position <= 3")
    streams = ["decision-002", "decision-003", "decision-029"]

    found = await compared(conn, streams=streams, without=["decision-003"])

    assert found.tables == diff(rows_before=2, rows_after=2, differing=1)
    assert [one.key["stream"] for one in found.sample] == ["decision-002"]


async def test_another_ledgers_rows_are_nobodys_difference(conn: Connection) -> None:
    await conn.execute(FILL.format(schema="views"), LEDGER_ID + 1, 3)

    assert (await compared(conn)).is_equal()


async def test_a_table_without_a_key_is_not_compared(ledger: Ledger) -> None:
    await make_table(ledger)
    async with ledger.pool.acquire() as conn:
        with pytest.raises(NoKey):
            await compare(conn, LEDGER_ID, Counting().projection, before="views", after="views")

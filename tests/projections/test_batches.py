"""What a batch asks of the database: nothing that it knows already, and each row once."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest

from ledger.domain.event import Event
from ledger.domain.ids import DecisionId, StreamName
from ledger.projections.batch import Poisoned, run_singly
from ledger.projections.checkpoints import lock, read_checkpoint, read_position
from ledger.projections.projection import Feed, columns_of
from ledger.projections.views import decisions, queue
from ledger.projections.views.decisions import DECISIONS
from ledger.projections.views.queue import QUEUE
from ledger.projections.views.statistics import STATISTICS
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.streams import Stored
from tests.builders import ANA, BEN, claimed, escalated, released, submitted, voted
from tests.projections.given import as_stored, bring_level
from tests.support.databases import Database
from tests.support.recorded import happened

ONE, TWO, THREE = (StreamName(f"decision-{number}") for number in ("one", "two", "three"))
VIEWS = pytest.mark.parametrize("feed", [QUEUE, DECISIONS, STATISTICS], ids=lambda feed: feed.name)
# $1 table
WRITTEN = """
select n_tup_ins as added, n_tup_upd as changed from pg_stat_xact_user_tables
where schemaname = 'views' and relname = $1
"""


def asked(stream: StreamName) -> tuple[StreamName, Event]:
    return stream, submitted(decision_id=DecisionId(stream))


LOG = as_stored([asked(ONE), asked(TWO), asked(THREE), (THREE, claimed()), (ONE, claimed()), (ONE, voted())])


@pytest.fixture
async def conn(database: Database, ledger: Ledger) -> AsyncIterator[asyncpg.Connection]:
    conn = await asyncpg.connect(database.service_url)
    for feed in (QUEUE, DECISIONS, STATISTICS):
        await read_checkpoint(conn, ledger.ledger_id, feed)
    yield conn
    await conn.close()


async def lookups(conn: asyncpg.Connection, feed: Feed, log: Sequence[Stored]) -> list[list[StreamName]]:
    """Apply a piece of a log; give the streams whose rows were looked for, a look-up each."""
    told: list[asyncpg.LoggedQuery] = []
    async with conn.transaction():
        await lock(conn, LEDGER_ID, feed, is_lazy=True)
        with conn.query_logger(told.append):
            await feed.feed(conn, LEDGER_ID, [stored for stored in log if stored.type in feed.wanted()])
    return [list(query.args[1]) for query in told if query.query.lstrip().startswith("select")]


@VIEWS
async def test_rows_are_looked_for_only_where_a_stream_began_before_the_batch(
    conn: asyncpg.Connection, feed: Feed
) -> None:
    assert await lookups(conn, feed, LOG[:2]) == []
    assert await lookups(conn, feed, LOG[2:]) == [[ONE]]


@VIEWS
async def test_all_that_became_of_an_item_in_one_batch_is_one_row_written_once(
    conn: asyncpg.Connection, feed: Feed
) -> None:
    events = (submitted(), claimed(), voted(), escalated(), claimed(token=2), voted(BEN))
    async with conn.transaction():
        await lock(conn, LEDGER_ID, feed, is_lazy=True)
        await feed.feed(conn, LEDGER_ID, as_stored([(ONE, event) for event in events]))
        written = await conn.fetchrow(WRITTEN, feed.tables[0])

    assert written is not None
    assert (written["added"], written["changed"]) == (1, 0)


@pytest.mark.parametrize("move", [queue.MOVE, decisions.MOVE], ids=["queue", "decisions"])
@pytest.mark.parametrize("before", ["select 1", "vacuum analyze"], ids=["unknown", "known-to-be-empty"])
async def test_what_is_moved_is_found_by_its_key_and_compared_with_nothing_else(
    conn: asyncpg.Connection, move: str, before: str
) -> None:
    await conn.execute(before)
    await conn.execute(
        "set search_path = views; set enable_seqscan = off; set plan_cache_mode = force_generic_plan"
    )
    binds = len((await conn.prepare(move)).get_parameters())
    await conn.execute(f"prepare moving as {move}")
    plan = await conn.fetch(f"explain (costs off) execute moving({', '.join(['null'] * binds)})")
    lines = "\n".join(line for (line,) in plan)

    assert "Join Filter" not in lines
    assert "Tid Scan" in lines


@VIEWS
async def test_a_beginning_is_never_written_over_a_row_that_is_there(ledger: Ledger, feed: Feed) -> None:
    await happened(ledger, ONE, submitted())
    await bring_level(ledger, feed)
    await ledger.pool.execute("delete from views.checkpoints")

    with pytest.raises(Poisoned) as failure:
        await bring_level(ledger, feed)

    assert isinstance(failure.value.__cause__, asyncpg.UniqueViolationError)


async def test_what_the_driver_cannot_write_parks_its_sequence_and_no_other(ledger: Ledger) -> None:
    await happened(ledger, ONE, submitted(), claimed(token=2**40))
    await happened(ledger, TWO, submitted(decision_id=DecisionId("two")), claimed())
    with pytest.raises(Poisoned):
        await bring_level(ledger, QUEUE)

    async with ledger.pool.acquire() as conn:
        at = await read_position(conn, LEDGER_ID, QUEUE)
        step = await run_singly(conn, LEDGER_ID, QUEUE, after=at, limit=50)

    assert step is not None
    assert (step.applied, step.parked) == (3, 1)
    rows = await ledger.pool.fetch("select stream, holder from views.queue_v2")
    assert {row["stream"]: row["holder"] for row in rows} == {ONE: None, TWO: ANA}


def test_rows_become_columns_and_arrays_in_them_texts() -> None:
    columns = columns_of([("one", None, (1, 2)), ("two", 3, ())])

    assert [list(column or ()) for column in columns] == [["one", "two"], [None, 3], ["1,2", ""]]


def test_a_column_of_nothing_is_not_sent() -> None:
    assert columns_of([("one", None), ("two", None)]) == [("one", "two"), None]


async def test_what_is_not_sent_is_written_as_nothing(ledger: Ledger) -> None:
    await happened(ledger, ONE, submitted(), claimed())
    await bring_level(ledger, QUEUE, DECISIONS)
    await happened(ledger, ONE, released())
    await bring_level(ledger, QUEUE, DECISIONS)

    for table in ("queue_v2", "decisions_v2"):
        row = await ledger.pool.fetchrow(f"select lease_id, holder, expires_at from views.{table}")  # noqa: S608
        assert row is not None
        assert set(row.values()) == {None}

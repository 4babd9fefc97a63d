"""Whatever happened, and whatever somebody did to the rows, a rebuild gives what a clean fold gives."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from ledger.operations.rebuilder import Rebuilder
from ledger.operations.rebuilding import ask
from ledger.projections import rebuild
from ledger.projections.catalog import ALL
from ledger.projections.projection import Feed
from ledger.projections.rebuilds import Kind, RebuildState
from ledger.projections.verifying import verify
from ledger.store.ledger import LEDGER_ID, Ledger
from tests.operations.rebuilt import progress_of, the_operator, told
from tests.projections.given import as_stored, bring_level, rows_of, views_undone
from tests.projections.histories import History, histories
from tests.support.databases import Database
from tests.support.examples import thorough

DAMAGES = (
    "select 1",
    "delete from views.{table}",
    "delete from views.{table} where stream > 'decision-00000000-0000-0000-0000-000000000001'",
    "update views.{table} set stream = stream || 'x'",
)


class Washed:
    """A ledger that every example finds empty."""

    def __init__(self, ledger: Ledger, owner: asyncpg.Connection) -> None:
        self.ledger, self._owner = ledger, owner

    async def wash(self) -> Ledger:
        await self._owner.execute("truncate ledger.events")
        for schema in ("views", "views_old"):
            for row in await self._owner.fetch(
                "select tablename from pg_tables where schemaname = $1", schema
            ):
                await self.ledger.pool.execute(f"truncate {schema}.{row['tablename']}")
        return self.ledger


@pytest.fixture
async def washed(database: Database, ledger: Ledger) -> AsyncIterator[Washed]:
    owner = await asyncpg.connect(database.owner_url)
    yield Washed(ledger, owner)
    await owner.close()


async def clean_fold(ledger: Ledger, feed: Feed, history: History) -> list[tuple[object, ...]]:
    async with views_undone(ledger) as conn:
        for table in feed.tables:
            await conn.execute(f"delete from {table}")  # noqa: S608 - a name of ours
        await feed.feed(conn, LEDGER_ID, as_stored(history.events))
        return await rows_of(conn, feed)


@pytest.mark.slow
@thorough(12, suppress=(HealthCheck.function_scoped_fixture, HealthCheck.too_slow))
@given(
    history=histories,
    feed=st.sampled_from(ALL),
    damage=st.sampled_from(DAMAGES),
    kind=st.sampled_from([Kind.REBUILD, Kind.RESET]),
    batch=st.integers(1, 20),
)
async def test_a_rebuild_gives_what_a_clean_fold_gives(
    washed: Washed, *, history: History, feed: Feed, damage: str, kind: Kind, batch: int
) -> None:
    ledger = await washed.wash()
    for stream, event in history.events:
        await told(ledger, stream, [event])
    await bring_level(ledger, feed)
    expected = await clean_fold(ledger, feed, history)
    for table in feed.tables:
        await ledger.pool.execute(damage.format(table=table))

    await ask(ledger, feed, the_operator(), kind)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rebuild, "BATCH", batch)
        assert await Rebuilder(ledger, [feed]).work_once()

    assert (await progress_of(ledger, feed)).state is RebuildState.SWITCHED
    async with ledger.pool.acquire() as conn:
        assert await rows_of(conn, feed) == expected
    assert (await verify(ledger.url, LEDGER_ID, feed, sample=None)).is_clean()

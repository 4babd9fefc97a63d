"""A changed shape is a new version beside the old one: the new release fills its tables while the old one serves."""

import asyncio
from collections.abc import Sequence

import pytest

from ledger.domain.session.events import SessionEnded
from ledger.operations.rebuilder import Rebuilder
from ledger.operations.rebuilding import ask
from ledger.projections.projection import Projection
from ledger.projections.rebuilds import Kind, RebuildState
from ledger.projections.verifying import verify
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import Connection
from ledger.store.streams import Recorded
from tests.operations.rebuilt import progress_of, the_operator
from tests.projections.counting import ends
from tests.projections.given import service, until
from tests.support.databases import Database

MIGRATION = """
create table views.endings_v1 (
    ledger_id integer not null, stream text not null, constraint endings_v1_pkey primary key (ledger_id, stream));
create table views.endings_v2 (
    ledger_id integer not null, stream text not null, cause text not null, at timestamptz not null,
    constraint endings_v2_pkey primary key (ledger_id, stream));
"""


class Release:
    """A release of this service, with its version of one projection."""

    def __init__(self, version: int) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.projection = Projection[SessionEnded](
            name="endings",
            version=version,
            event_types=(SessionEnded,),
            tables=(f"endings_v{version}",),
            apply=self.apply_1 if version == 1 else self.apply_2,
        )

    async def apply_1(
        self, conn: Connection, ledger_id: int, batch: Sequence[Recorded[SessionEnded]]
    ) -> None:
        await self.gate.wait()
        streams = [item.stream for item in batch]
        await conn.execute("insert into endings_v1 select $1, unnest($2::text[])", ledger_id, streams)

    async def apply_2(
        self, conn: Connection, ledger_id: int, batch: Sequence[Recorded[SessionEnded]]
    ) -> None:
        await self.gate.wait()
        await conn.execute(
            "insert into endings_v2 select $1, * from unnest($2::text[], $3::text[], $4::timestamptz[])",
            ledger_id,
            [item.stream for item in batch],
            [item.event.cause.value for item in batch],
            [item.event.at for item in batch],
        )


@pytest.fixture
async def migrated(ledger: Ledger) -> Ledger:
    await ledger.pool.execute(MIGRATION)
    return ledger


async def count(ledger: Ledger, version: int) -> int:
    table = f"views.endings_v{version}"
    return int(await ledger.pool.fetchval(f"select count(*) from {table}"))  # noqa: S608 - a name of ours


async def test_a_new_release_fills_its_version_while_the_old_one_goes_on(
    database: Database, migrated: Ledger
) -> None:
    old, new = Release(1), Release(2)
    await ends(migrated, 20)
    async with service(database, [old.projection]) as serving:
        await serving.level(await migrated.head(), "endings")
        new.gate.clear()
        async with service(database, [new.projection]) as starting:
            head = await ends(migrated, 5)
            await serving.level(head, "endings")
            assert await count(migrated, 1) == 25
            assert serving.runner.is_ready()
            assert not starting.runner.is_ready(), "not before it is level"
            assert await count(migrated, 2) == 0

            new.gate.set()
            await until(starting.runner.is_ready)
            await starting.level(head, "endings")
            assert await count(migrated, 2) == 25

            head = await ends(migrated, 5)
            await serving.level(head, "endings")
            await starting.level(head, "endings")

    assert (await count(migrated, 1), await count(migrated, 2)) == (30, 30)
    for release in (old, new):
        found = await verify(migrated.url, LEDGER_ID, release.projection, sample=None)
        assert found.is_clean()
        assert (found.version, found.completeness.applied) == (release.projection.version, 30)


async def test_a_version_is_rebuilt_without_the_other(database: Database, migrated: Ledger) -> None:
    old, new = Release(1), Release(2)
    await ends(migrated, 10)
    async with (
        service(database, [old.projection]) as serving,
        service(database, [new.projection]) as starting,
    ):
        await serving.level(await migrated.head(), "endings")
        await starting.level(await migrated.head(), "endings")
        await migrated.pool.execute("delete from views.endings_v1; delete from views.endings_v2")
        await ask(migrated, new.projection, the_operator(), Kind.REBUILD)

        assert not await Rebuilder(migrated, [old.projection]).work_once(), "another release's"
        assert await Rebuilder(migrated, [new.projection]).work_once()

    assert (await progress_of(migrated, new.projection)).state is RebuildState.SWITCHED
    assert (await count(migrated, 1), await count(migrated, 2)) == (0, 10)

"""A dump, loaded into a cluster that knows nothing: the log verifies, its readers resume, its writers go on."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from ledger.domain.ids import StreamName
from ledger.projections.catalog import ALL
from ledger.store.ledger import Ledger
from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.programs import find_programs
from ledger.store.local_postgres.server import LocalPostgres
from ledger.store.migrate import migrate
from ledger.store.streams import read_stream
from tests.gates.desk import Desk, claimed_submission, submission
from tests.projections.given import service
from tests.support.databases import Database
from tests.support.torture import head_of
from tests.support.torture_log import TAIL, LogCheck
from tests.support.torture_repeater import keyed

HANG = 120.0
NAMES = [feed.name for feed in ALL]
CHECKPOINTS = "select projection, version, position, events_applied from views.checkpoints order by 1, 2"
VIEWS = (
    "queue_v2",
    "decisions_v2",
    "statistics_v2",
    "statistics_acts_v2",
    "sessions_v1",
    "directory_v2",
    "timers_v1",
)


class Copied(msgspec.Struct, frozen=True):
    """A ledger and its restored copy, and what was known of it when it was dumped."""

    original: Database
    copy: Database
    desk: Desk
    voted: StreamName
    digest: str
    head: int


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copied]:
    folder = tmp_path_factory.mktemp("copied")
    with asyncio.Runner() as runner:
        original = runner.run(_started(folder / "original"))
        restored = runner.run(_started(folder / "copy"))
        try:
            yield runner.run(_copied(original, restored, folder / "dump"))
        finally:
            for server in (original, restored):
                runner.run(server.stop())


async def _copied(original: LocalPostgres, restored: LocalPostgres, file: Path) -> Copied:
    async with asyncio.timeout(HANG):
        await migrate(original.owner_url, original.service_url)
        source = _database(original)
        desk, voted = await _a_day_at_work(source)
        head = await head_of(source.service_url)
        digest = await _digest(source, head)
        await asyncio.to_thread(_dump_and_restore, original.owner_url, restored.owner_url, file)
    return Copied(source, _database(restored), desk, voted, digest, head)


async def _started(folder: Path) -> LocalPostgres:
    return await local_postgres.start(folder, fsync=False)


def _database(server: LocalPostgres) -> Database:
    return Database(name="ledger", owner_url=server.owner_url, service_url=server.service_url)


async def _a_day_at_work(database: Database) -> tuple[Desk, StreamName]:
    """Some of it in the views already, some of it not yet."""
    async with service(database) as running:
        desk = await Desk.opened(running.ledger)
        for _ in range(20):
            await claimed_submission(running.ledger, desk)
        voted = await submission(running.ledger)
        await desk.votes(running.ledger, voted, keyed())
        await running.level(await running.ledger.head(), *NAMES)
    async with await Ledger.open(database.service_url) as ledger:
        for _ in range(20):
            await desk.votes(ledger, await submission(ledger))
    return desk, voted


def _dump_and_restore(source: str, target: str, file: Path) -> None:
    programs = find_programs(None).folder
    dump = (programs / "pg_dump", "--format=custom", f"--file={file}", f"--dbname={source}")
    restore = (programs / "pg_restore", "--exit-on-error", f"--dbname={target}", file)
    for command in (dump, restore):
        subprocess.run(command, check=True, timeout=HANG)


async def _digest(database: Database, head: int) -> str:
    """Check the first ``head`` positions; what they are."""
    conn = await asyncpg.connect(database.service_url)
    check = LogCheck()
    for row in await conn.fetch(TAIL, 0, head):
        check.take(row)
    await conn.close()
    assert check.position == head
    return check.digest()


async def rows_of(database: Database, statement: str) -> list[tuple[object, ...]]:
    conn = await asyncpg.connect(database.service_url)
    rows = await conn.fetch(statement)
    await conn.close()
    return [tuple(row) for row in rows]


async def test_positions_chains_and_hashes_verify(copied: Copied) -> None:
    assert copied.head > 100
    assert await _digest(copied.copy, copied.head) == copied.digest


async def test_the_copy_is_append_only_too(copied: Copied) -> None:
    conn = await asyncpg.connect(copied.copy.service_url)
    for statement in (
        "delete from ledger.events",
        "update ledger.events set version = 1",
        "truncate ledger.events",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(statement)
    await conn.close()


async def test_a_command_of_before_gets_its_answer_of_then(copied: Copied) -> None:
    async with await Ledger.open(copied.copy.service_url) as ledger:
        handled = await copied.desk.votes(ledger, copied.voted, keyed())
        stored = (await read_stream(ledger, copied.voted)).events

    assert [one.leaf for one in handled.events] == [one.leaf for one in stored[1:]]


async def test_consumers_resume_where_they_were_and_appends_go_on(copied: Copied) -> None:
    """The views of original and copy come to the same rows; the copy's did not begin anew."""
    before = await rows_of(copied.copy, CHECKPOINTS)
    assert before == await rows_of(copied.original, CHECKPOINTS)
    assert all(0 < row[2] < copied.head for row in before)
    async with service(copied.original) as running:
        await running.level(copied.head, *NAMES)
    async with service(copied.copy) as running:
        await running.level(copied.head, *NAMES)
        assert await rows_of(copied.copy, CHECKPOINTS) == await rows_of(copied.original, CHECKPOINTS)
        for view in VIEWS:
            everything = f"select * from views.{view} order by ledger_id, stream"  # noqa: S608 - names from above
            assert await rows_of(copied.copy, everything) == await rows_of(copied.original, everything)

        handled = await copied.desk.votes(running.ledger, await submission(running.ledger))
        assert handled.position == copied.head + 3
        await running.level(handled.position, *NAMES)
    assert await _digest(copied.copy, copied.head + 3) != copied.digest

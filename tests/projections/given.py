"""Projections in sentences: given these events, when they are applied, then these rows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import msgspec

from ledger.domain.event import Event, type_name
from ledger.domain.ids import START, CommandId, EventId, Position, StreamName, Version
from ledger.projections.batch import run_batch
from ledger.projections.catalog import ALL
from ledger.projections.checkpoints import read_position
from ledger.projections.progress import Progress
from ledger.projections.projection import Feed
from ledger.projections.runner import Runner
from ledger.store.codec import encode
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection
from ledger.store.streams import Stored
from tests.support.databases import Database

QUEUE_COLUMNS = (
    "analysis_id, kind, kind_version, asked_priority, priority, rank, position, submission, subject_digest,"
    " created_at, submitted_by, on_behalf_of, submitted_at, four_eyes, level, groups, escalators, voters,"
    " assigned_to, lease_id, holder, session, fencing_token, expires_at, information_seconds, asked_at, waits_until,"
    " deadline_at, target_at, version"
)
"""All that is written to the queue, behind ledger and stream."""
VIEWS_ONLY = "set local synchronous_commit = off; set local search_path = views"
HANG = 60.0
"""Seconds after which a test that waits has hung."""


class Service(msgspec.Struct, frozen=True):
    """What one process of the service runs."""

    ledger: Ledger
    progress: Progress
    runner: Runner

    def kill(self) -> None:
        """Stop working at once, without giving anything back."""
        for task in [*self.runner._loops.values(), self.runner._voting]:
            assert task is not None
            task.cancel()

    async def level(self, position: Position, *names: str) -> None:
        """Wait until these views have come to ``position``."""
        await until(lambda: all(self.progress.position(name) >= position for name in names))


@asynccontextmanager
async def service(database: Database, projections: Sequence[Feed] = ALL) -> AsyncIterator[Service]:
    """Run one process's worth of projections."""
    ledger = await Ledger.open(database.service_url)
    progress = Progress(ledger, projections)
    runner = Runner(ledger, progress, projections)
    async with ledger:
        progress.start()
        runner.start()
        try:
            yield Service(ledger, progress, runner)
        finally:
            await runner.stop()
            await progress.stop()


async def until(condition: Callable[[], bool], within: float = HANG) -> None:
    """Wait for a condition; the limit only keeps a broken test from hanging."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)


async def bring_level(ledger: Ledger, *feeds: Feed) -> None:
    """Apply everything that has happened, without a runner."""
    async with ledger.pool.acquire() as conn:
        for feed in feeds:
            position = await read_position(conn, ledger.ledger_id, feed)
            while step := await run_batch(conn, ledger.ledger_id, feed, after=position, limit=500):
                position = step.position


def as_stored(events: Sequence[tuple[StreamName, Event]]) -> list[Stored]:
    """Lay events out as the log would hold them."""
    versions: dict[StreamName, int] = {}
    log = []
    for position, (stream, event) in enumerate(events, start=START + 1):
        versions[stream] = versions.get(stream, 0) + 1
        log.append(
            Stored(
                position=Position(position),
                stream=stream,
                version=Version(versions[stream]),
                type=type_name(type(event)),
                schema_version=event.schema_version,
                event_id=EventId(UUID(int=position)),
                command_id=CommandId(uuid4()),
                recorded_at=datetime.now(UTC),
                actor="system",
                leaf=b"",
                payload=encode(event),
            )
        )
    return log


@asynccontextmanager
async def views_undone(ledger: Ledger) -> AsyncIterator[Connection]:
    """A transaction on the views that is rolled back."""
    async with ledger.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        try:
            await conn.execute(VIEWS_ONLY)
            yield conn
        finally:
            await transaction.rollback()


async def rows_of(conn: Connection, feed: Feed) -> list[tuple[object, ...]]:
    """Every row of a projection, as it lies there."""
    rows: list[tuple[object, ...]] = []
    for table in feed.tables:
        every_row = f"select * from views.{table} order by 1, 2, 3"  # noqa: S608 - a name of ours
        fetched: list[asyncpg.Record] = await conn.fetch(every_row)
        rows += [tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row) for row in fetched]
    return rows

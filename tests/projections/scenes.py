"""Small scenes of decisions in the log, and how a view stands beside them."""

from collections.abc import Sequence
from uuid import UUID

from ledger.domain.event import Event
from ledger.domain.ids import START, Position, StreamName
from ledger.projections.projection import Feed
from ledger.projections.views.decisions import DECISIONS
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.streams import append, draft, read_log, read_stream
from tests.api.answers import as_owner
from tests.projections.given import rows_of, views_undone
from tests.projections.histories import History, Move
from tests.support.databases import Database
from tests.support.events import by_somebody

ONE, TWO, THREE = (StreamName(f"decision-{UUID(int=number)}") for number in range(3))
SUBMIT, CLAIM, ESCALATE, APPROVE = 0, 1, 5, 7


def moves(*tried: tuple[int, int]) -> list[tuple[StreamName, Event]]:
    """Events of decisions, each ``(what, which)`` by somebody else than the submitter."""
    played = [Move(what, which, 0 if what == SUBMIT else 1, 1) for what, which in tried]
    return History(played).events


async def happen(ledger: Ledger, events: Sequence[tuple[StreamName, Event]]) -> Position:
    """Append events one by one, so that their positions are their order; return the last one."""
    head = START
    for name, event in events:
        stream = await read_stream(ledger, name)
        landed = await append(ledger, draft(stream, [event], by_somebody()))
        head = Position(landed.first_position)
    return head


async def changed(database: Database, position: int) -> None:
    """Change what an event says, as only the log's owner can."""
    await as_owner(
        database, "update ledger.events set payload = payload || ' ' where position = $1", position
    )


async def happened_at(database: Database, position: int, moment: str) -> None:
    """Change when an event was recorded, as only the log's owner can; to what no program can hold, too."""
    change = "update ledger.events set recorded_at = $2::text::timestamptz where position = $1"
    await as_owner(database, change, position, moment)


async def removed(database: Database, position: int) -> None:
    """Remove an event, as only the log's owner can."""
    await as_owner(database, "delete from ledger.events where position = $1", position)


async def written_by_a_newer_release(database: Database, position: int) -> None:
    """Give an event a version that this release does not know; not its envelope, which nothing here looks into for that."""
    await as_owner(database, "update ledger.events set schema_version = 99 where position = $1", position)


async def counted(ledger: Ledger, name: str) -> tuple[int, ...]:
    """Position, applied, not wanted, parked, skipped."""
    row = await ledger.pool.fetchrow(
        "select position, events_applied, events_not_wanted, events_parked, events_skipped"
        " from views.checkpoints where projection = $1",
        name,
    )
    assert row is not None
    return tuple(row)


async def versions(ledger: Ledger) -> dict[StreamName, int]:
    """How far each decision has come in the view."""
    rows = await ledger.pool.fetch("select stream, version from views.decisions_v2 order by stream")
    return {row["stream"]: row["version"] for row in rows}


IMPOSSIBLE = ("infinity", "20000-01-01 00:00+00")
"""Times that PostgreSQL can hold and no program."""


async def rows(ledger: Ledger, feed: Feed = DECISIONS) -> list[tuple[object, ...]]:
    """What the view holds."""
    async with ledger.pool.acquire() as conn:
        return await rows_of(conn, feed)


async def clean_rows(ledger: Ledger, feed: Feed = DECISIONS) -> list[tuple[object, ...]]:
    """What a clean rebuild gives."""
    async with views_undone(ledger) as conn:
        for table in feed.tables:
            await conn.execute(f"delete from {table}")  # noqa: S608 - a name of ours
        log = await read_log(conn, LEDGER_ID, after=START, wanted=feed.wanted(), limit=100_000)
        await feed.feed(conn, LEDGER_ID, [one for one in log if one.type in feed.wanted()])
        return await rows_of(conn, feed)


THREE_ITEMS = moves((SUBMIT, 0), (SUBMIT, 1), (CLAIM, 0), (CLAIM, 1), (ESCALATE, 0), (SUBMIT, 2), (CLAIM, 2))

"""A projection for tests of the runner: it writes down every position it is given, as often as it is given it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from ledger.domain.ids import Position
from ledger.domain.session.events import SessionEnded
from ledger.projections.projection import Projection
from ledger.store.appends import NewEvent
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection
from ledger.store.streams import Append, Recorded, append, draft
from tests.support.events import an_event, by_somebody, new_stream

MAKE: Final = "create table views.seen_v1 (ledger_id integer, position bigint, stream text)"
SEE: Final = "insert into seen_v1 (ledger_id, position) select $1, unnest($2::bigint[])"
SEEN: Final = "select position from views.seen_v1 order by position"


class Counting:
    """Counts, and fails, hangs or dies when a test tells it to."""

    def __init__(self, name: str = "counting") -> None:
        self.trouble: Callable[[Connection, Sequence[Position]], object] | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.tries = 0
        self.projection = Projection[SessionEnded](
            name=name, version=1, event_types=(SessionEnded,), tables=("seen_v1",), apply=self.apply
        )

    async def apply(self, conn: Connection, ledger_id: int, batch: Sequence[Recorded[SessionEnded]]) -> None:
        self.tries += 1
        await self.gate.wait()
        positions = [item.position for item in batch]
        await conn.execute(SEE, ledger_id, positions)
        if self.trouble is not None:
            answer = self.trouble(conn, positions)
            if asyncio.iscoroutine(answer):
                await answer


async def make_table(ledger: Ledger) -> None:
    await ledger.pool.execute(MAKE)


async def seen(ledger: Ledger) -> list[int]:
    """Every position that was written down, in order."""
    return [row["position"] for row in await ledger.pool.fetch(SEEN)]


async def ends(ledger: Ledger, count: int = 1) -> Position:
    """Append this many events, each in a stream of its own; return the last position."""
    drafts = [draft(new_stream(), [an_event()], by_somebody()) for _ in range(count)]
    landed = await asyncio.gather(*(append(ledger, drafted) for drafted in drafts))
    return max(Position(item.first_position) for item in landed)


async def stored_as(ledger: Ledger, type_name: str, schema_version: int) -> Position:
    """Append something as a newer release would."""
    drafted = draft(new_stream(), [an_event()], by_somebody())
    event = NewEvent(
        event_id=drafted.events[0].event_id,
        type=type_name,
        schema_version=schema_version,
        payload=b'{"later":true}',
    )
    landed = await append(
        ledger,
        Append(
            stream=drafted.stream,
            expected=drafted.expected,
            prev=b"",
            events=(event,),
            provenance=drafted.provenance,
        ),
    )
    return Position(landed.first_position)

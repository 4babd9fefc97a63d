"""What tests of rebuilds share: something to rebuild, somebody who asks, and a look at what came of it."""

from collections.abc import Sequence
from uuid import UUID

from ledger.domain.event import Event
from ledger.domain.ids import DecisionId, StreamName
from ledger.domain.operations.decide import OPERATIONS
from ledger.domain.operations.events import OperationsEvent
from ledger.identity.identity import utc_now
from ledger.operations.acting import Actor
from ledger.operations.rebuilder import Rebuilder
from ledger.projections import rebuilds
from ledger.projections.projection import Feed
from ledger.projections.rebuilds import RebuildProgress
from ledger.store.ledger import Ledger
from ledger.store.streams import Stream, append, draft, read_stream, recorded
from tests.builders import claimed, resolved, submitted
from tests.identity.house import by_operator
from tests.projections.given import bring_level
from tests.support.events import by_somebody


def the_operator() -> Actor:
    return Actor(principal=None, provenance=by_operator(), clock=utc_now)


async def told(ledger: Ledger, stream: StreamName, events: Sequence[Event]) -> None:
    """Append these events to a stream as they are."""
    found = await read_stream(ledger, stream)
    await append(ledger, draft(found, events, by_somebody()))


async def submissions(ledger: Ledger, count: int, *, start: int = 0) -> list[StreamName]:
    """Append this many submitted decisions; every third is claimed, every fifth resolved."""
    streams = []
    for number in range(start, start + count):
        stream = StreamName(f"decision-{UUID(int=number)}")
        events: list[Event] = [submitted(decision_id=DecisionId(f"analysis-{number}"))]
        if number % 3 == 0:
            events.append(claimed())
        if number % 5 == 0:
            events.append(resolved())
        await append(ledger, draft(Stream(name=stream, events=()), events, by_somebody()))
        streams.append(stream)
    return streams


async def history(ledger: Ledger, feed: Feed) -> list[OperationsEvent]:
    stream = await read_stream(ledger, ledger.operations_stream(feed.name, feed.version))
    return [recorded(stored, OPERATIONS.event_types).event for stored in stream.events]


async def progress_of(ledger: Ledger, feed: Feed) -> RebuildProgress:
    async with ledger.pool.acquire() as conn:
        found = await rebuilds.find(conn, ledger.ledger_id, feed)
    assert found is not None
    return found


async def work(ledger: Ledger, feed: Feed) -> RebuildProgress:
    """Bring the projection level, then carry out what was asked of it."""
    await bring_level(ledger, feed)
    assert await Rebuilder(ledger, [feed]).work_once()
    return await progress_of(ledger, feed)

"""Events put into a real log, for whoever reads it."""

from collections.abc import Sequence

from ledger.domain.event import Event
from ledger.domain.ids import Position, StreamName
from ledger.store.ledger import Ledger
from ledger.store.streams import append, draft, read_stream
from tests.support.events import by_somebody


async def happened(ledger: Ledger, stream: StreamName, *events: Event) -> Position:
    """Append ``events`` to a stream, whatever it holds; return the position of the last one."""
    landed = await append(ledger, draft(await read_stream(ledger, stream), events, by_somebody()))
    return Position(landed.first_position + len(events) - 1)


async def all_happened(ledger: Ledger, events: Sequence[tuple[StreamName, Event]]) -> Position:
    """Append events of many streams one by one, in this order."""
    position = Position(0)
    for stream, event in events:
        position = await happened(ledger, stream, event)
    return position

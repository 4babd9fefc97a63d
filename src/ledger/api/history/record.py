"""That somebody reads the history is recorded before they are given any of it."""

from ledger.api.call import Call
from ledger.domain.reading.events import Extent, Query
from ledger.history import readings


async def record(call: Call, query: Query, extent: Extent) -> None:
    """Record a reading of this caller; see ``readings.record`` for what it raises."""
    services = call.services
    await readings.record(
        services.identity, services.readings, call.principal, query, extent, trace=call.trace_id()
    )

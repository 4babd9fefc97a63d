"""Reading the past: a stream as it was, the log page by page, and a subscription that follows it."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from ledger.domain.ids import Position, StreamName, Version
from ledger.store.ledger import Ledger
from ledger.store.pool import DatabaseUnreachable, reading
from ledger.store.streams import MAX_LOG_BYTES, Stored, Stream, read_log, read_stream, read_until

PAGE: Final = 500
POLL_EVERY: Final = 0.5
"""Seconds: how long a follower waits before it looks for itself, whatever it has heard."""

CLOCKS_AGREE_WITHIN: Final = timedelta(minutes=10)
"""How far the clocks of the ledger's writers may be apart for ``position_at`` to be exact."""

# $1 ledger, $2 moment, $3 how far the clocks of writers may be apart
POSITION_AT: Final = """
select coalesce(max(e.position), 0)
from ledger.events e
where e.ledger_id = $1 and e.recorded_at <= $2
  and e.recorded_at >= (
      select last.recorded_at - $3::interval from ledger.events last
      where last.ledger_id = $1 and last.recorded_at <= $2
      order by last.recorded_at desc limit 1)
"""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The wanted events among the next positions; go on ``after`` this one, unless it is the last page."""

    events: tuple[Stored, ...]
    after: Position
    is_last: bool


async def position_at(ledger: Ledger, moment: datetime) -> Position:
    """Find the last position recorded at or before ``moment``; 0 when nothing was.

    Order is position, never time: what another process recorded a little later may have a lower position, so the
    state at a time is everything up to the highest position of that time.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    async with reading(ledger.source) as conn:
        return Position(await conn.fetchval(POSITION_AT, ledger.ledger_id, moment, CLOCKS_AGREE_WITHIN))


async def read_stream_until(
    ledger: Ledger, name: StreamName, *, version: Version | None = None, position: Position | None = None
) -> Stream:
    """Read a stream as it was at a version of its own or at a position of the ledger, whichever came first."""
    if version is None:
        found = (await read_stream(ledger, name)).events
    else:
        async with reading(ledger.source) as conn:
            found = await read_until(conn, ledger.ledger_id, name, version)
    events = tuple(stored for stored in found if position is None or stored.position <= position)
    return Stream(name=name, events=events)


async def read_page(ledger: Ledger, *, after: Position, types: Sequence[str], limit: int = PAGE) -> Page:
    """Look through the next positions, at most ``limit``, for events of ``types``; see ``read_log``.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    async with reading(ledger.source) as conn:
        log = await read_log(conn, ledger.ledger_id, after=after, wanted=types, limit=limit)
    size = sum(len(stored.payload or b"") for stored in log)
    return Page(
        events=tuple(stored for stored in log if stored.payload is not None),
        after=log[-1].position if log else after,
        is_last=len(log) < limit and size < MAX_LOG_BYTES,
    )


async def follow(ledger: Ledger, *, after: Position, types: Sequence[str]) -> AsyncGenerator[Stored, None]:
    """Give every event of ``types`` behind ``after``, those to come as well; never ends by itself.

    It reads on only when its consumer has taken what was read before: a slow one costs a page of memory and
    nobody else's time. To resume, begin after the position of the last event dealt with. A lost connection
    delays: a notification that never came is made up for within half a second.
    """
    while True:
        rings = ledger.appended.rings()
        try:
            page = await read_page(ledger, after=after, types=types)
        except DatabaseUnreachable:
            await ledger.appended.wait_past(rings, POLL_EVERY)
            continue
        for stored in page.events:
            yield stored
        after = page.after
        if page.is_last:
            await ledger.appended.wait_past(rings, POLL_EVERY)

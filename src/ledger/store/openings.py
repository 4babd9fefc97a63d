"""What opens the hashes in envelopes: salts and payloads, page by page, for those who take the ledger with them.

No connection is held while the reader takes its time, and no page is larger than memory can bear.
"""

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from ledger.domain.ids import Position
from ledger.store.pool import Source, reading

PAGE: Final = 500
PAGE_BYTES: Final = 1024 * 1024

# $1 ledger, $2 from this position, $3 to this one, $4 at most this many, $5 none behind this many bytes
OPENINGS: Final = """
select position, salt, payload
from (
    select position, salt, payload, sum(octet_length(payload)) over (
        order by position rows between unbounded preceding and 1 preceding) as bytes_before
    from (
        select position, salt, payload from ledger.events
        where ledger_id = $1 and position between $2 and $3
        order by position
        limit $4
    ) page
) sized
where coalesce(bytes_before, 0) < $5
order by position
"""


class Opening(msgspec.Struct, frozen=True, gc=False):
    """A payload as it is stored and its salt in hexadecimal: SHA-256(salt ‖ payload) is ``data`` of the envelope."""

    position: Position
    salt: str
    payload: str


async def openings(
    source: Source, ledger_id: int, *, first: Position, last: Position
) -> AsyncIterator[tuple[Opening, ...]]:
    """Give what opens the positions from ``first`` to ``last``, in order, in pages of about a mebibyte.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    begin = first
    while page := await opening_page(source, ledger_id, first=begin, last=last):
        yield page
        begin = Position(page[-1].position + 1)


async def opening_page(
    source: Source, ledger_id: int, *, first: Position, last: Position
) -> tuple[Opening, ...]:
    """Give what opens the first positions of these; nothing where there are none."""
    async with reading(source) as conn:
        rows = await conn.fetch(OPENINGS, ledger_id, first, last, PAGE, PAGE_BYTES)
    return tuple(
        Opening(Position(row["position"]), row["salt"].hex(), row["payload"].decode()) for row in rows
    )


def lines_of(page: tuple[msgspec.Struct, ...]) -> bytes:
    """Write a page as lines of JSON."""
    return b"".join(msgspec.json.encode(one) + b"\n" for one in page)

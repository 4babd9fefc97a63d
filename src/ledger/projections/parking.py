"""Which events are parked: a culprit, and behind it in order the later events of its sequence."""

from collections.abc import Collection, Sequence
from typing import Final

from ledger.domain.ids import FailureId, Position, StreamName
from ledger.projections.projection import Feed
from ledger.store.pool import Connection
from ledger.store.streams import Stored

# $1 ledger, $2 projection, $3 version, $4 sequences
HELD: Final = """
select distinct sequence from views.parked
where ledger_id = $1 and projection = $2 and version = $3 and sequence = any($4)
"""
# $1 ledger, $2 projection, $3 version; arrays, an event each: $4 position, $5 sequence, $6 stream
PARK: Final = """
insert into views.parked (ledger_id, projection, version, position, sequence, stream)
select $1, $2, $3, p.position, p.sequence, p.stream
from unnest($4::bigint[], $5::text[], $6::text[]) as p(position, sequence, stream)
"""
# $1 ledger, $2 projection, $3 version, $4 sequence
WAITING: Final = """
select position from views.parked
where ledger_id = $1 and projection = $2 and version = $3 and sequence = $4
order by position
"""
# $1 ledger, $2 projection, $3 version, $4 positions
RELEASE: Final = """
delete from views.parked
where ledger_id = $1 and projection = $2 and version = $3 and position = any($4)
"""
# $1 ledger, $2 projection, $3 version, $4 position, $5 stream, $6 failure
SKIP: Final = """
insert into views.skipped (ledger_id, projection, version, position, stream, failure_id)
values ($1, $2, $3, $4, $5, $6)
"""
# $1 ledger, $2 stream, arrays: $3 projections, $4 their versions
PARKED_IN: Final = """
select distinct p.projection
from views.parked p
join unnest($3::text[], $4::integer[]) as asked(projection, version)
  on p.projection = asked.projection and p.version = asked.version
where p.ledger_id = $1 and p.stream = $2
"""


async def held_among(conn: Connection, ledger_id: int, feed: Feed, log: Collection[Stored]) -> frozenset[str]:
    """Tell which of the sequences of ``log`` are parked."""
    sequences = sorted({feed.sequence(stored) for stored in log})
    rows = await conn.fetch(HELD, ledger_id, feed.name, feed.version, sequences)
    return frozenset(row["sequence"] for row in rows)


async def park(conn: Connection, ledger_id: int, feed: Feed, events: Sequence[Stored]) -> None:
    """Let ``events`` wait until their sequence is mended."""
    if not events:
        return
    await conn.execute(
        PARK,
        ledger_id,
        feed.name,
        feed.version,
        [stored.position for stored in events],
        [feed.sequence(stored) for stored in events],
        [stored.stream for stored in events],
    )


async def waiting_in(conn: Connection, ledger_id: int, feed: Feed, sequence: str) -> list[Position]:
    """List the positions of a parked sequence, the culprit's first."""
    rows = await conn.fetch(WAITING, ledger_id, feed.name, feed.version, sequence)
    return [Position(row["position"]) for row in rows]


async def release(conn: Connection, ledger_id: int, feed: Feed, positions: Sequence[Position]) -> None:
    """Let events wait no longer: they have been applied, or given up."""
    await conn.execute(RELEASE, ledger_id, feed.name, feed.version, list(positions))


async def skip(conn: Connection, ledger_id: int, feed: Feed, culprit: Stored, failure: FailureId) -> None:
    """Note that ``culprit`` will never be applied."""
    await conn.execute(SKIP, ledger_id, feed.name, feed.version, culprit.position, culprit.stream, failure)


async def parked_in(
    conn: Connection, ledger_id: int, stream: StreamName, feeds: Sequence[Feed]
) -> frozenset[str]:
    """Name those of ``feeds`` in which events of a stream are parked."""
    names, versions = [feed.name for feed in feeds], [feed.version for feed in feeds]
    rows = await conn.fetch(PARKED_IN, ledger_id, stream, names, versions)
    return frozenset(row["projection"] for row in rows)

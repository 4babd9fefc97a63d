"""A walk over the sealed part of the log, again and again: is every event still what was sealed?

The notary looks at the end of the log alone, and so does the sealing of what comes. What was changed or removed further
back nobody would notice before the next verification. Rows are held against tiles, and tiles against the root that was signed,
so that only whoever has the key as well can deceive it. It is a help for operators and no proof: nobody else looks on. What it
finds is named as a verification names it.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import asyncpg
import msgspec
import structlog
from uuid_utils.compat import uuid7

from ledger.domain.errors import LedgerError
from ledger.sealing.climbing import Way, signed_root, tile_of, way_up, wrong_on_the_way
from ledger.sealing.rows import Sealed, last_checkpoint, read_tiles
from ledger.sealing.tampering import tell
from ledger.sealing.tree import FULL_WIDTH, HASH_BYTES, Tile, TileMissing, leaf_hash
from ledger.store.envelope import Envelope, open_envelope
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, Connection, reading

log = structlog.get_logger()

LOOK_EVERY: Final = 1.0
"""Seconds between two looks."""
REST: Final = 10
"""After the end of the log it pauses for so many looks."""
EVENTS: Final = 2 * FULL_WIDTH
MOST_BYTES: Final = 4 * 1024 * 1024
"""What one look hashes at most, but for one event: their number, and their payloads together."""
ADDED: Final = "rows-added"
MOST_FINDINGS: Final = 100
"""More are not kept, nor told: whoever comes to look reads the whole log anyway."""

# The database hashes payloads itself, so that none of them travels; those behind $4 bytes are left to the next look.
# Whoever changed a row may have changed the table too: nothing that can be read there may end the walk.
# $1 ledger, $2 after this position, $3 up to this one, $4 bytes
READ_STORED: Final = """
select position, stream, version, type, schema_version, event_id::text as event_id,
       to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
           || case when recorded_at < '0001-01-01 00:00Z' then ' BC' else '' end as recorded_at, actor,
       command_id::text as command_id, coalesce(causation_id::text, '') as causation_id, correlation_id,
       coalesce(envelope, '') as envelope, leaf_hash, coalesce(bytes_before, 0) >= $4 as is_left,
       case when coalesce(bytes_before, 0) < $4 then encode(sha256(salt || payload), 'hex') end as data
from (
    select *, sum(octet_length(payload)) over (
        order by position rows between unbounded preceding and 1 preceding) as bytes_before
    from ledger.events
    where ledger_id = $1 and position > $2 and position <= $3
) sized
order by position
"""
# No event lies there, and whoever reads its stream would read it all the same.
# $1 ledger, $2 at most this many
READ_BEFORE_THE_FIRST: Final = """
select position, stream from ledger.events where ledger_id = $1 and position < 1 order by position limit $2
"""
REPEATED: Final = (
    "stream",
    "version",
    "type",
    "schema_version",
    "event_id",
    "recorded_at",
    "actor",
    "command_id",
    "causation_id",
    "correlation_id",
)
"""Columns that say the same as the envelope beside them, in the same spelling."""


class Finding(msgspec.Struct, frozen=True):
    """An event that is not what was sealed: where, of which stream (``None``: its row is gone), and what is wrong."""

    position: int
    stream: str | None
    check: str


class Patrol:
    """Walks in this process, from somewhere on: restarts must not look at the same events only."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        begin: int | None = None,
        events: int = EVENTS,
        most_bytes: int = MOST_BYTES,
        every: float = LOOK_EVERY,
    ) -> None:
        """Prepare to look at so many ``events`` at a time, first at those after ``begin`` (anywhere)."""
        self.position = 0
        """The last event that was looked at."""
        self._ledger, self._events, self._most_bytes, self._every = ledger, events, most_bytes, every
        self._after = begin
        self._owner = uuid7()
        self._findings: dict[int, Finding] = {}
        self._fails = self._has_told = False
        self._is_whole = False
        """Whether the round that is under way began at the beginning and left nothing out."""
        self._looked_at = self._came_round_at = time.monotonic()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is not as it was sealed, as far as was seen since the start, in the order of the log."""
        return tuple(finding for _, finding in sorted(self._findings.items()))

    def look_age(self) -> float:
        """Give the seconds since the last look that came to its end, or since it was made."""
        return time.monotonic() - self._looked_at

    def round_age(self) -> float:
        """Give the seconds since every event had been looked at in one round, or since it was made."""
        return time.monotonic() - self._came_round_at

    async def run_forever(self) -> None:
        """Look about once a second until cancelled; trouble is logged, once until it is over, and waited out."""
        wait = self._every
        while True:
            await asyncio.sleep(wait)
            wait = self._every
            try:
                if await self.look():
                    wait = self._every * REST
                await self._tell_others()
            except (*LOST, LedgerError) as failed:
                self._tell_trouble(failed)
            except asyncpg.PostgresError as failed:
                self._tell_trouble(failed)
                self._after = (self._after or 0) + self._events  # it may be these that cannot be read
                self._is_whole = False
            else:
                self._fails = False

    async def look(self) -> bool:
        """Compare the next events with what was sealed; say whether they were the last.

        Raises:
            DatabaseUnreachable: the database does not answer.
        """
        ledger_id = self._ledger.ledger_id
        async with reading(self._ledger.pool) as conn:
            sealed = await last_checkpoint(conn, ledger_id)
            size = 0 if sealed is None else sealed.size
            after = self._begin(size)
            until = min(after + self._events, size)
            part = await _part(conn, ledger_id, sealed, after=after, until=until)
            rows = await conn.fetch(READ_STORED, ledger_id, after, until, self._most_bytes)
            before = [] if after else await conn.fetch(READ_BEFORE_THE_FIRST, ledger_id, MOST_FINDINGS)
        until = min((row["position"] - 1 for row in rows if row["is_left"]), default=until)
        found = await asyncio.to_thread(_compare, rows, part, ledger_id=ledger_id, after=after, until=until)
        found |= {row["position"]: Finding(row["position"], row["stream"], ADDED) for row in before}
        is_end = until >= size
        self._take(found, after=after, until=until, is_end=is_end)
        self._looked(after, is_end=is_end)
        self.position, self._after = until, 0 if is_end else until
        return is_end

    def _begin(self, size: int) -> int:
        if self._after is None:
            self._after = secrets.randbelow(size // FULL_WIDTH + 1) * FULL_WIDTH
        return self._after if self._after < size else 0

    def _take(self, found: Mapping[int, Finding], *, after: int, until: int, is_end: bool) -> None:
        """Keep what was found, and drop what is well again or, after a restore, behind the end."""
        for position, known in tuple(self._findings.items()):
            is_seen = (
                after < position <= until or (is_end and position > until) or (not after and position < 1)
            )
            if is_seen and position not in found:
                del self._findings[position]
                log.warning("sealing.patrol.well_again", **_told(known))
        for position, finding in found.items():
            is_new = self._findings.get(position) != finding
            if is_new and (position in self._findings or len(self._findings) < MOST_FINDINGS):
                self._findings[position] = finding
                log.error("sealing.patrol.tampered", **_told(finding))

    def _looked(self, after: int, *, is_end: bool) -> None:
        """Note that a look came to its end, and with it perhaps a whole round."""
        self._looked_at = time.monotonic()
        self._is_whole = self._is_whole or after == 0
        if is_end and self._is_whole:
            self._came_round_at, self._is_whole = self._looked_at, False

    async def _tell_others(self) -> None:
        """Say what is known to processes that do not walk themselves; of nothing it is said once."""
        if not self._findings and not self._has_told:
            return
        with suppress(*LOST, asyncpg.PostgresError, LedgerError):  # it is said again after the next look
            async with reading(self._ledger.pool) as conn:
                await tell(conn, self._ledger.ledger_id, self._owner, len(self._findings))
            self._has_told = bool(self._findings)

    def _tell_trouble(self, failed: Exception) -> None:
        if not self._fails:
            log.warning("sealing.patrol.failed", error=type(failed).__name__, after=self._after)
        self._fails = True


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """What was sealed of the events of one look: their hashes, and what leads from these to the root of the tree.

    By the index of a tile; ``None``: it is not there, or too narrow.
    """

    size: int
    root: bytes | None
    tiles: Mapping[int, bytes | None]
    ways: Mapping[int, Way | None]


async def _part(conn: Connection, ledger_id: int, sealed: Sealed | None, *, after: int, until: int) -> _Part:
    if sealed is None:
        return _Part(size=0, root=None, tiles={}, ways={})
    tiles, ways = dict[int, bytes | None](), dict[int, Way | None]()
    for index in range(after // FULL_WIDTH, -(-until // FULL_WIDTH)):
        tile = tile_of(0, index, sealed.size)
        way = ways[index] = await way_up(conn, ledger_id, index, sealed.size)
        tiles[index] = way[tile] if way is not None else await _tile(conn, ledger_id, tile)
    return _Part(size=sealed.size, root=signed_root(sealed), tiles=tiles, ways=ways)


async def _tile(conn: Connection, ledger_id: int, tile: Tile) -> bytes | None:
    try:
        return (await read_tiles(conn, ledger_id, [tile]))[tile]
    except TileMissing:
        return None


def _compare(
    rows: Sequence[asyncpg.Record], part: _Part, *, ledger_id: int, after: int, until: int
) -> dict[int, Finding]:
    """Compare what is stored with what was sealed, position by position, and each tile that begins here with the tree above it."""
    found = dict[int, Finding]()
    stored = dict[int, asyncpg.Record]()
    for one in rows:
        if one["position"] in stored:
            found[one["position"]] = Finding(one["position"], one["stream"], ADDED)
        stored[one["position"]] = one
    for position in range(after + 1, until + 1):
        index, slot = divmod(position - 1, FULL_WIDTH)
        tile, row = part.tiles[index], stored.get(position)
        if row is None:
            found[position] = Finding(position, None, "rows-missing")
            continue
        sealed = None if tile is None else tile[slot * HASH_BYTES : (slot + 1) * HASH_BYTES]
        wrong = None if position in found else _wrong_with(row, sealed, ledger_id)
        if wrong is not None:
            found[position] = Finding(position, row["stream"], wrong)
    for index, way in part.ways.items():
        first = index * FULL_WIDTH + 1
        if not after < first <= until or _is_known(found, first):
            continue
        wrong = wrong_on_the_way(index, way, size=part.size, root=part.root)
        if wrong is not None:
            found[first] = Finding(first, stored[first]["stream"], wrong)
    return found


def _is_known(found: Mapping[int, Finding], first: int) -> bool:
    """Say whether it is told already that something is wrong with the first of a tile, or with a hash in the tile."""
    of_tile = (found.get(position) for position in range(first, first + FULL_WIDTH))
    return first in found or any(one is not None and one.check == "entry-differs" for one in of_tile)


def _wrong_with(row: asyncpg.Record, sealed: bytes | None, ledger_id: int) -> str | None:
    leaf = leaf_hash(row["envelope"])
    if sealed is not None and leaf != sealed:
        return "entry-differs"
    try:
        envelope = open_envelope(row["envelope"])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "entry-differs"
    if row["data"] != envelope.data:
        return "payload-differs"
    return None if row["leaf_hash"] == leaf and _repeats(row, envelope, ledger_id) else "column-differs"


def _repeats(row: asyncpg.Record, envelope: Envelope, ledger_id: int) -> bool:
    return envelope.ledger == ledger_id and all(
        row[column] == getattr(envelope, column) for column in REPEATED
    )


def _told(finding: Finding) -> dict[str, int | str | None]:
    return {"position": finding.position, "stream": finding.stream, "check": finding.check}

"""A walk over the sealed part of the log, again and again: is every event still what was sealed?

The notary looks at the end of the log alone, and so does the sealing of what comes. What was changed or removed further
back nobody would notice before the next verification. This is a help for operators and no proof: it believes the tiles in
the same database, and whoever may write to both can deceive it. What it finds is named as a verification names it.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
import msgspec
import structlog

from ledger.domain.errors import LedgerError
from ledger.sealing.rows import last_checkpoint, read_tiles
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
MOST_FINDINGS: Final = 100
"""More are not kept, nor told: whoever comes to look reads the whole log anyway."""

# The database hashes payloads itself, so that none of them travels; those behind $4 bytes are left to the next look.
# Whoever changed a row may have changed the table too: nothing that can be read there may end the walk.
# $1 ledger, $2 after this position, $3 up to this one, $4 bytes
READ_STORED: Final = """
select position, stream, version, type, schema_version, event_id::text as event_id,
       to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as recorded_at, actor,
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
        self._findings: dict[int, Finding] = {}
        self._fails = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is not as it was sealed, as far as was seen since the start, in the order of the log."""
        return tuple(finding for _, finding in sorted(self._findings.items()))

    async def run_forever(self) -> None:
        """Look about once a second until cancelled; trouble is logged, once until it is over, and waited out."""
        wait = self._every
        while True:
            await asyncio.sleep(wait)
            wait = self._every
            try:
                if await self.look():
                    wait = self._every * REST
            except (*LOST, LedgerError) as failed:
                self._tell_trouble(failed)
            except asyncpg.PostgresError as failed:
                self._tell_trouble(failed)
                self._after = (self._after or 0) + self._events  # it may be these that cannot be read
            else:
                self._fails = False

    async def look(self) -> bool:
        """Compare the next events with what was sealed; say whether they were the last.

        Raises:
            DatabaseUnreachable: the database does not answer.
        """
        async with reading(self._ledger.pool) as conn:
            sealed = await last_checkpoint(conn, self._ledger.ledger_id)
            size = 0 if sealed is None else sealed.size
            after = self._begin(size)
            until = min(after + self._events, size)
            tiles = await _tiles(conn, self._ledger.ledger_id, after=after, until=until, size=size)
            rows = await conn.fetch(READ_STORED, self._ledger.ledger_id, after, until, self._most_bytes)
        until = min((row["position"] - 1 for row in rows if row["is_left"]), default=until)
        found = await asyncio.to_thread(
            _compare, rows, tiles, ledger_id=self._ledger.ledger_id, after=after, until=until
        )
        is_end = until >= size
        self._take(found, after=after, until=until, is_end=is_end)
        self.position, self._after = until, 0 if is_end else until
        return is_end

    def _begin(self, size: int) -> int:
        if self._after is None:
            self._after = secrets.randbelow(size // FULL_WIDTH + 1) * FULL_WIDTH
        return self._after if self._after < size else 0

    def _take(self, found: Mapping[int, Finding], *, after: int, until: int, is_end: bool) -> None:
        """Keep what was found, and drop what is well again or, after a restore, behind the end."""
        for position, known in tuple(self._findings.items()):
            is_seen = after < position <= until or (is_end and position > until)
            if is_seen and position not in found:
                del self._findings[position]
                log.warning("sealing.patrol.well_again", **_told(known))
        for position, finding in found.items():
            is_new = self._findings.get(position) != finding
            if is_new and (position in self._findings or len(self._findings) < MOST_FINDINGS):
                self._findings[position] = finding
                log.error("sealing.patrol.tampered", **_told(finding))

    def _tell_trouble(self, failed: Exception) -> None:
        if not self._fails:
            log.warning("sealing.patrol.failed", error=type(failed).__name__, after=self._after)
        self._fails = True


async def _tiles(
    conn: Connection, ledger_id: int, *, after: int, until: int, size: int
) -> dict[int, bytes | None]:
    """Read the sealed hashes of these events, by the index of their tile; ``None``: there are none, or too few."""
    tiles = dict[int, bytes | None]()
    for index in range(after // FULL_WIDTH, -(-until // FULL_WIDTH)):
        tile = Tile(0, index, min(FULL_WIDTH, size - index * FULL_WIDTH))
        try:
            tiles[index] = (await read_tiles(conn, ledger_id, [tile]))[tile]
        except TileMissing:
            tiles[index] = None
    return tiles


def _compare(
    rows: Sequence[asyncpg.Record],
    tiles: Mapping[int, bytes | None],
    *,
    ledger_id: int,
    after: int,
    until: int,
) -> dict[int, Finding]:
    """Compare what is stored with what was sealed, position by position."""
    found = list[Finding]()
    stored = {row["position"]: row for row in rows}
    for position in range(after + 1, until + 1):
        index, slot = divmod(position - 1, FULL_WIDTH)
        tile, row = tiles[index], stored.get(position)
        if row is None:
            found.append(Finding(position, None, "rows-missing"))
            continue
        sealed = None if tile is None else tile[slot * HASH_BYTES : (slot + 1) * HASH_BYTES]
        wrong = _wrong_with(row, sealed, ledger_id)
        if wrong is not None:
            found.append(Finding(position, row["stream"], wrong))
        elif tile is None and slot == 0:
            found.append(Finding(position, row["stream"], "tile-missing"))
    return {finding.position: finding for finding in found}


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

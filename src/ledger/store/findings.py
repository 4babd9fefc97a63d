"""Looking for events by what they are: type, stream, actor, trace, command, time, words; page by page.

A page looks through windows of positions that grow while they hold little, so that a common filter reads little more
than it gives, and a rare one goes fast through what it does not want (the index skips it). A page that has looked
through as much as one may ends there, with or without events, and says so: whoever asks goes on behind it. Positions
never change, so pages neither overlap nor leave anything out, whatever is appended meanwhile (ADR 0030).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import uuid5

import asyncpg
import msgspec

from ledger.domain.errors import Corrupt
from ledger.domain.ids import CommandId, Position, StreamName
from ledger.store.history import CLOCKS_AGREE_WITHIN, POSITION_AT
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection, reading
from ledger.store.streams import Stored, stored_in

MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
FIRST_WINDOW: Final = 2_000
GROWTH: Final = 8
WIDEST_WINDOW: Final = 250_000
WINDOW_OF_WORDS: Final = 10_000
MOST_LOOKED_THROUGH: Final = 1_000_000
MOST_READ: Final = 100_000
"""How many positions a page may look through for words, which no index knows."""

WORDED: Final = ("notes", "reason", "text", "question", "answer", "details", "escalation_reason")
"""The fields of payloads that hold what people wrote: notes, reasons, comments, questions and their answers."""

# Planned for the filters that are given: a plan for any of them could use no index but that of positions.
# no binds
PLAN_ANEW: Final = "set local plan_cache_mode = force_custom_plan"
# $1 ledger, $2 behind this position, $3 up to this one, $4 types, $5 stream, $6 actor, $7 correlation, $8 command,
# $9 recorded from, $10 recorded before, $11 words and $12 the fields they may be in (each null: any), $13 at most this
# many, $14 none behind this many bytes, $15 the words as they stand in JSON: most payloads need not be taken apart
ASCENDING: Final = r"""
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, causation_id,
       correlation_id, envelope, leaf_hash, payload
from (
    select *, sum(octet_length(payload) + octet_length(envelope)) over (
        order by position rows between unbounded preceding and 1 preceding) as bytes_before
    from (
        select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id,
               causation_id, correlation_id, envelope, leaf_hash, payload
        from ledger.events
        where ledger_id = $1 and position > $2 and position <= $3
          and ($4::text[] is null or type = any($4)) and ($5::text is null or stream = $5)
          and ($6::text is null or actor = $6) and ($7::text is null or correlation_id = $7)
          and ($8::uuid is null or command_id = $8)
          and ($9::timestamptz is null or recorded_at >= $9) and ($10::timestamptz is null or recorded_at < $10)
          and ($11::text is null or case
              when position(lower($15) in lower(convert_from(payload, 'UTF8'))) > 0
              then exists (
                  select from jsonb_each_text(replace(convert_from(payload, 'UTF8'), '\u0000', '\ufffd')::jsonb) field
                  where field.key = any($12::text[]) and position(lower($11) in lower(field.value)) > 0)
              else false
          end)
        order by position
        limit $13
    ) page
) sized
where coalesce(bytes_before, 0) < $14
order by position
"""
# The same from the end: $2 and $3 as in ASCENDING
DESCENDING: Final = ASCENDING.replace("order by position", "order by position desc")
# $1 ledger, $2 moment, $3 how far the clocks of writers may be apart
FIRST_FROM: Final = """
select min(e.position)
from ledger.events e
where e.ledger_id = $1 and e.recorded_at >= $2
  and e.recorded_at <= (
      select first.recorded_at + $3::interval from ledger.events first
      where first.ledger_id = $1 and first.recorded_at >= $2
      order by first.recorded_at limit 1)
"""
# $1 ledger, $2 ids that the command's first event may have, $3 command
STREAM_OF_COMMAND: Final = """
select stream from ledger.events
where ledger_id = $1 and event_id = any($2) and command_id = $3
order by event_id
limit 1
"""


class UnreadablePayload(Corrupt):
    """A stored payload is not what it says, so that nothing can be looked for in it."""

    code = "unreadable-payload"
    advice = "Somebody has changed the database: narrow the positions down, and have the ledger verified."


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted; ``None``: whatever that is.

    ``first`` and ``last`` are positions, both included; times are those of recording, ``since`` included and ``until``
    not. ``words`` stand in what people wrote, capitals or not.
    """

    types: tuple[str, ...] | None = None
    stream: StreamName | None = None
    actor: str | None = None
    correlation: str | None = None
    command: CommandId | None = None
    since: datetime | None = None
    until: datetime | None = None
    first: Position | None = None
    last: Position | None = None
    words: str | None = None
    is_descending: bool = False


class Bounds(msgspec.Struct, frozen=True):
    """Positions to look through: behind ``after``, up to ``upto``."""

    after: Position
    upto: Position

    def is_empty(self) -> bool:
        """Say whether nothing lies between."""
        return self.after >= self.upto


class FoundPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the events, in their order; go on from ``next``, unless there is nothing more (``None``)."""

    events: tuple[Stored, ...]
    next: Position | None


class Aim(msgspec.Struct, frozen=True):
    """What is sought, and the bounds in which all of it lies."""

    sought: Sought
    bounds: Bounds


async def aim(ledger: Ledger, sought: Sought, head: Position) -> Aim:
    """Say where all that is sought lies, of what lies up to ``head``.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    after, upto = Position((sought.first or 1) - 1), min(sought.last or head, head)
    async with reading(ledger.source) as conn:
        if sought.since is not None:
            first = await conn.fetchval(FIRST_FROM, ledger.ledger_id, sought.since, CLOCKS_AGREE_WITHIN)
            after = max(after, head if first is None else Position(first - 1))
        if sought.until is not None:
            last = await conn.fetchval(POSITION_AT, ledger.ledger_id, sought.until, CLOCKS_AGREE_WITHIN)
            upto = min(upto, last)
        if sought.command is not None:
            stream = await _stream_of(conn, ledger.ledger_id, sought.command)
            if stream is None or sought.stream not in {None, stream}:
                return Aim(sought, Bounds(upto, upto))
            sought = msgspec.structs.replace(sought, stream=stream)
    return Aim(sought, Bounds(after, upto))


async def find_page(ledger: Ledger, aimed: Aim, *, behind: Position | None, limit: int) -> FoundPage:
    """Find up to ``limit`` events, going on ``behind`` a position (``None``: from the beginning).

    They are fewer where 4 MiB are full, or where a page has looked through as much as one may. With a descending
    search ``behind`` means before that position.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    sought = aimed.sought
    search = _Search(sought, _rest(aimed, behind))
    found: list[Stored] = []
    size = 0
    while search.goes_on() and len(found) < limit and size < MAX_PAGE_BYTES:
        window = search.window()
        async with reading(ledger.source) as conn:
            some = await _look(
                conn, ledger.ledger_id, sought, window, limit=limit - len(found), most=MAX_PAGE_BYTES - size
            )
        found += some
        weight = sum(len(one.payload or b"") + len(one.envelope or b"") for one in some)
        size += weight
        is_cut = len(found) >= limit or size >= MAX_PAGE_BYTES
        search.move(window, some[-1].position if is_cut else None)
    return FoundPage(events=tuple(found), next=search.resume())


class _Search:
    """How far a page has looked."""

    def __init__(self, sought: Sought, rest: Bounds) -> None:
        self._rest, self._is_descending = rest, sought.is_descending
        self._looked = 0
        by_words = sought.words is not None
        self._most = MOST_READ if by_words else MOST_LOOKED_THROUGH
        self._widest = WINDOW_OF_WORDS if by_words else WIDEST_WINDOW
        whole = sought.stream is not None  # which its own index finds
        self._width = rest.upto - rest.after if whole and not by_words else FIRST_WINDOW

    def goes_on(self) -> bool:
        return not self._rest.is_empty() and self._looked < self._most

    def window(self) -> Bounds:
        rest = self._rest
        if self._is_descending:
            return Bounds(Position(max(rest.after, rest.upto - self._width)), rest.upto)
        return Bounds(rest.after, Position(min(rest.upto, rest.after + self._width)))

    def move(self, window: Bounds, cut_at: Position | None) -> None:
        """Go behind a window, or behind the last event that fitted."""
        rest = self._rest
        if self._is_descending:
            upto = window.after if cut_at is None else Position(cut_at - 1)
            self._rest = Bounds(rest.after, upto)
        else:
            self._rest = Bounds(window.upto if cut_at is None else cut_at, rest.upto)
        self._looked += window.upto - window.after
        self._width = min(self._width * GROWTH, self._widest)

    def resume(self) -> Position | None:
        """Say behind which position to go on; ``None``: there is nothing there."""
        if self._rest.is_empty():
            return None
        return Position(self._rest.upto + 1) if self._is_descending else self._rest.after


def _rest(aimed: Aim, behind: Position | None) -> Bounds:
    bounds = aimed.bounds
    if behind is None:
        return bounds
    if aimed.sought.is_descending:
        return Bounds(bounds.after, min(bounds.upto, Position(behind - 1)))
    return Bounds(max(bounds.after, behind), bounds.upto)


@asynccontextmanager
async def looking(conn: Connection) -> AsyncIterator[None]:
    """Open a short transaction for one look at events, whose statement is planned for what it asks.

    Raises:
        UnreadablePayload: what it takes apart is no JSON.
    """
    try:
        async with conn.transaction(readonly=True):
            await conn.execute(PLAN_ANEW)
            yield
    except asyncpg.DataError as broken:
        raise UnreadablePayload(reason=str(broken).splitlines()[0]) from broken


async def _look(
    conn: Connection, ledger_id: int, sought: Sought, window: Bounds, *, limit: int, most: int
) -> tuple[Stored, ...]:
    async with looking(conn):
        rows = await conn.fetch(
            DESCENDING if sought.is_descending else ASCENDING,
            ledger_id,
            window.after,
            window.upto,
            None if sought.types is None else list(sought.types),
            sought.stream,
            sought.actor,
            sought.correlation,
            sought.command,
            sought.since,
            sought.until,
            sought.words,
            list(WORDED),
            limit,
            most,
            None if sought.words is None else msgspec.json.encode(sought.words)[1:-1].decode(),
        )
    return tuple(stored_in(row) for row in rows)


async def _stream_of(conn: Connection, ledger_id: int, command: CommandId) -> StreamName | None:
    """Find where a command took effect; its first event has its own id, or one made of it."""
    first = [command, uuid5(command, "1")]
    found = await conn.fetchval(STREAM_OF_COMMAND, ledger_id, first, command)
    return None if found is None else StreamName(found)

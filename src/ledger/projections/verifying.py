"""Proving a read model: every position is accounted for, and its rows are what a fresh fold of the streams gives.

All of it is seen in one picture (repeatable read), so that what happens meanwhile makes no false difference.
The fold runs through the same statements, into temporary tables that nobody else sees.
"""

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

import asyncpg
import msgspec

from ledger.domain.errors import NotFound, Unavailable
from ledger.domain.ids import Position
from ledger.projections.comparing import Comparison, compare
from ledger.projections.isolation import apply_singly
from ledger.projections.projection import Feed
from ledger.projections.tables import LIVE
from ledger.store.codec import UnknownSchemaVersion
from ledger.store.excerpts import read_log_of
from ledger.store.pool import DirectConnection, Lent, connect, reading
from ledger.store.streams import Stored, read_log

WHOLE: Final = 10_000
"""Up to so many positions, everything is compared, whatever the size of the sample."""
SAMPLE: Final = 1_000
"""Streams that are compared unless more are asked for."""
BATCH: Final = 1_000
STREAMS_AT_ONCE: Final = 200
NO_FAULT: Final[frozenset[str]] = frozenset()
FRESH: Final = "pg_temp"

MAY_MAKE_TABLES: Final = "select has_database_privilege(current_database(), 'temporary')"
BEGIN: Final = "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0"
FOLD_ALONE: Final = "set local search_path = pg_temp"
# $1 tables
HOLD: Final = """
select format('lock table views.%I in access share mode', tablename) as statement
from pg_tables where schemaname = 'views' and tablename = any($1)
order by tablename
"""
# $1 tables
MAKE: Final = """
select format('create temporary table %1$I (like views.%1$I including all) on commit drop', tablename) as statement
from pg_tables where schemaname = 'views' and tablename = any($1)
order by tablename
"""
# $1 ledger, $2 projection, $3 version, $4 wanted types
ACCOUNT: Final = """
select c.position, c.events_applied as applied, c.events_not_wanted as not_wanted, c.events_parked as parked,
       c.events_skipped as skipped, log.events, log.head, log.wanted,
       (select count(*) from views.parked p
        where p.ledger_id = $1 and p.projection = $2 and p.version = $3) as parked_rows,
       (select count(*) from views.skipped s
        where s.ledger_id = $1 and s.projection = $2 and s.version = $3) as skipped_rows
from views.checkpoints c
cross join lateral (
    select count(*) as events, coalesce(max(e.position), 0) as head,
           count(*) filter (where e.position <= c.position and e.type = any($4)) as wanted
    from ledger.events e where e.ledger_id = $1
) log
where c.ledger_id = $1 and c.projection = $2 and c.version = $3
"""
# $1 ledger, $2 projection, $3 version
HELD_BACK: Final = """
select stream from views.parked where ledger_id = $1 and projection = $2 and version = $3
union
select stream from views.skipped where ledger_id = $1 and projection = $2 and version = $3
"""
# $1 ledger, $2 positions, $3 wanted types
STREAMS_AT: Final = """
select distinct stream from ledger.events where ledger_id = $1 and position = any($2) and type = any($3)
"""
# $1 ledger, $2 at most this many a table, $3 tables
STREAMS_WITH_ROWS: Final = """
select format('select stream from views.%I where ledger_id = %s order by random() limit %s',
              tablename, $1::integer, $2::integer) as statement
from pg_tables where schemaname = 'views' and tablename = any($3)
"""


class NeverRun(NotFound):
    """The projection has not begun to follow the log: not found."""

    code = "projection-never-run"


class NoTemporaryTables(Unavailable):
    """The service's login may not make temporary tables, which a verification folds into."""

    code = "no-temporary-tables"
    advice = (
        "'ledger migrate' grants them where the owner's login owns the database: GRANT TEMPORARY ON DATABASE."
    )


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every position up to ``position``, of a log that ends at ``head``; and what does not add up."""

    position: Position
    head: Position
    applied: int
    not_wanted: int
    parked: int
    skipped: int
    problems: tuple[str, ...]


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at and what was found.

    So many ``streams`` (``None``: all there are) with so many ``events`` were folded and their rows compared, but for
    those ``left_out``: parked or skipped events keep their rows from being a fold, and are accounted for. ``unfoldable``
    streams are those that this release cannot apply. In ``comparison`` *before* is the read model, *after* the fresh fold.
    """

    projection: str
    version: int
    completeness: Completeness
    streams: int | None
    events: int
    left_out: int
    unfoldable: tuple[str, ...]
    comparison: Comparison

    def is_clean(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.completeness.problems and not self.unfoldable and self.comparison.is_equal()


class _Folded(msgspec.Struct, kw_only=True):
    """What has been folded so far."""

    events: int
    unfoldable: set[str]


async def verify(url: str, ledger_id: int, feed: Feed, *, sample: int | None = SAMPLE) -> Verification:
    """Verify a projection at ``url``: the rows of ``sample`` streams chosen at random, or all of them (``None``).

    Raises:
        NeverRun: it has no checkpoint.
        NoTemporaryTables: the login may not make any.
        DatabaseUnreachable: nothing answers there, the line is lost, or its rows are locked for too long.
        ImpossibleTime: an event in the log has a time that no program can hold.
        UnknownSchemaVersion: a newer release wrote one of the events, and has applied it.
    """
    conn = await connect(url)
    try:
        async with reading(Lent(conn)):
            found = await _look(conn, ledger_id, feed, sample)
            await conn.close()
            return found
    finally:
        conn.terminate()


async def _look(conn: DirectConnection, ledger_id: int, feed: Feed, sample: int | None) -> Verification:
    if not await conn.fetchval(MAY_MAKE_TABLES):
        raise NoTemporaryTables
    holds = await conn.fetch(HOLD, list(feed.tables))
    async with conn.transaction(isolation="repeatable_read"):
        await conn.execute(BEGIN)
        await _run(conn, holds)  # before the picture is taken: the tables must be those of the picture
        return await _verify(conn, ledger_id, feed, sample)


async def _verify(conn: DirectConnection, ledger_id: int, feed: Feed, sample: int | None) -> Verification:
    completeness = await _completeness(conn, ledger_id, feed)
    rows = await conn.fetch(HELD_BACK, ledger_id, feed.name, feed.version)
    held_back = frozenset(str(row["stream"]) for row in rows)
    chosen = await _chosen(conn, ledger_id, feed, completeness.position, sample)
    await _run(conn, await conn.fetch(MAKE, list(feed.tables)))
    await conn.execute(FOLD_ALONE)
    folded = await _fold(
        conn, ledger_id, feed, upto=completeness.position, chosen=chosen, held_back=held_back
    )
    compared = await compare(
        conn,
        ledger_id,
        feed,
        before=LIVE,
        after=FRESH,
        streams=chosen,
        without=sorted(held_back | folded.unfoldable),
    )
    return Verification(
        projection=feed.name,
        version=feed.version,
        completeness=completeness,
        streams=None if chosen is None else len(chosen),
        events=folded.events,
        left_out=len(held_back if chosen is None else held_back.intersection(chosen)),
        unfoldable=tuple(sorted(folded.unfoldable)),
        comparison=compared,
    )


async def _completeness(conn: DirectConnection, ledger_id: int, feed: Feed) -> Completeness:
    row = await conn.fetchrow(ACCOUNT, ledger_id, feed.name, feed.version, list(feed.wanted()))
    if row is None:
        raise NeverRun(projection=feed.name)
    return Completeness(
        position=row["position"],
        head=row["head"],
        applied=row["applied"],
        not_wanted=row["not_wanted"],
        parked=row["parked"],
        skipped=row["skipped"],
        problems=tuple(_problems(row)),
    )


def _problems(row: asyncpg.Record) -> Iterable[str]:
    accounted = row["applied"] + row["parked"] + row["skipped"]
    checks = (
        (row["events"] == row["head"], "the log has holes: its events are fewer than its last position"),
        (row["position"] <= row["head"], "the checkpoint lies beyond the end of the log"),
        (
            accounted + row["not_wanted"] == row["position"],
            "applied, not wanted, parked and skipped do not add up to the checkpoint",
        ),
        (
            accounted == row["wanted"],
            "applied, parked and skipped are not the events in the log that it wants",
        ),
        (row["parked"] == row["parked_rows"], "the parked events are not those that are counted"),
        (row["skipped"] == row["skipped_rows"], "the skipped events are not those that are counted"),
    )
    return (problem for holds, problem in checks if not holds)


async def _chosen(
    conn: DirectConnection, ledger_id: int, feed: Feed, position: Position, sample: int | None
) -> list[str] | None:
    """Choose streams from the log and, for rows that belong to none, from the read model; ``None``: all."""
    if sample is None or position <= WHOLE or not feed.is_keyed_by_stream:
        return None
    places = random.sample(range(1, position + 1), min(position, 2 * sample))
    found = await conn.fetch(STREAMS_AT, ledger_id, places, list(feed.wanted()))
    streams = {str(row["stream"]) for row in found[:sample]}
    for query in await conn.fetch(STREAMS_WITH_ROWS, ledger_id, sample, list(feed.tables)):
        streams |= {str(row["stream"]) for row in await conn.fetch(query["statement"])}
    return sorted(streams)


async def _fold(
    conn: DirectConnection,
    ledger_id: int,
    feed: Feed,
    *,
    upto: Position,
    chosen: Sequence[str] | None,
    held_back: frozenset[str],
) -> _Folded:
    folded = _Folded(events=0, unfoldable=set())
    types = frozenset(feed.wanted())
    async for log in _pages(conn, ledger_id, feed, upto, chosen):
        batch = [stored for stored in log if stored.type in types and stored.stream not in held_back]
        folded.events += len(batch)
        foldable = [stored for stored in batch if stored.stream not in folded.unfoldable]
        folded.unfoldable |= await _apply(conn, ledger_id, feed, foldable)
    return folded


async def _pages(
    conn: DirectConnection, ledger_id: int, feed: Feed, upto: Position, chosen: Sequence[str] | None
) -> AsyncIterator[Sequence[Stored]]:
    if chosen is not None:
        for first in range(0, len(chosen), STREAMS_AT_ONCE):
            yield await read_log_of(
                conn, ledger_id, chosen[first : first + STREAMS_AT_ONCE], upto=upto, wanted=feed.wanted()
            )
        return
    after = Position(0)
    while after < upto:
        log = await read_log(
            conn, ledger_id, after=after, wanted=feed.wanted(), limit=min(BATCH, upto - after)
        )
        if not log:
            return
        yield [stored for stored in log if stored.position <= upto]
        after = log[-1].position


async def _apply(
    conn: DirectConnection, ledger_id: int, feed: Feed, batch: Sequence[Stored]
) -> frozenset[str]:
    """Apply a batch to the temporary tables; name the streams of which some event cannot be."""
    try:
        async with conn.transaction():
            await feed.feed(conn, ledger_id, batch)
    except Exception:  # noqa: BLE001 - what is no event's fault is raised again by applying them one by one
        outcome = await apply_singly(conn, ledger_id, feed, batch, NO_FAULT)
        if outcome.stopped_at is not None:
            raise UnknownSchemaVersion(position=outcome.stopped_at) from None
        return frozenset(str(stored.stream) for stored in outcome.parked)
    return NO_FAULT


async def _run(conn: DirectConnection, rows: Iterable[asyncpg.Record]) -> None:
    for row in rows:
        await conn.execute(row["statement"])

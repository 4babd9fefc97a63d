"""Making a projection anew beside its rows: the same statements, on tables of the same names in another schema.

Begin, advance batch by batch, compare at one position, exchange. Each step is one transaction, so that a process
that dies leaves the work at a step's end, for whoever takes it up (ADR 0015).
"""

from contextlib import suppress
from typing import Final

import asyncpg
import msgspec

from ledger.domain.errors import RuleViolation
from ledger.domain.ids import Position
from ledger.projections import accounts, checkpoints, tables
from ledger.projections.batch import Poisoned, run_batch, run_singly
from ledger.projections.checkpoints import Step, read_checkpoint
from ledger.projections.comparing import Comparison, compare
from ledger.projections.projection import Feed
from ledger.projections.rebuilds import Kind
from ledger.store.pool import Connection, Pool

BATCH: Final = 1_000
"""Positions in one transaction. More are hardly faster, and keep the loop of a service longer from its requests."""
MAX_SINGLY: Final = 500
"""How many events are applied one by one in a transaction while a culprit is looked for."""
MOST_BEHIND: Final = 1_000
"""Events that may be applied to the new rows while the projection stands still: well under a second."""

PATIENCE: Final = """
set local lock_timeout = '300ms'; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0
"""
"""Whoever reads waits behind us while we wait for a lock: not for long, rather again."""
ALONE: Final = "set local lock_timeout = '10s'; set local statement_timeout = 0"
BRIEFLY: Final = "set local lock_timeout = '1s'"
"""Indexes are made, and rows compared, for as long as that takes: whoever cancels does not wait for it."""


# $1 ledger, $2 version, $3 name of the rows that serve, $4 of those that are built
STAND: Final = """
select live.position as serving, build.position, build.events_applied as applied, build.events_parked as parked
from views.checkpoints live
join views.checkpoints build on build.ledger_id = $1 and build.version = $2 and build.projection = $4
where live.ledger_id = $1 and live.version = $2 and live.projection = $3
"""


class NotLevel(Exception):
    """Rows that serve and rows that are built are not at one position (any more)."""


class NotApplied(Exception):
    """Some events could not be applied to the new rows."""

    def __init__(self, parked: int) -> None:
        """Say how many are ``parked``."""
        super().__init__(f"events that cannot be applied, and those behind them: {parked}")


class NothingKept(RuleViolation):
    """The rows of before the rebuild are not there any more."""

    code = "nothing-kept"


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """Where the rows that serve are, where those that are built, and what these account for."""

    serving: Position
    position: Position
    applied: int
    parked: int


class Exchanged(msgspec.Struct, frozen=True, kw_only=True):
    """What the new rows account for at the moment of the exchange."""

    position: Position
    applied: int
    parked: int


async def begin(conn: Connection, ledger_id: int, feed: Feed, kind: Kind) -> None:
    """Prepare empty tables, or the kept ones for a rollback, in the caller's transaction; what was left behind goes.

    Raises:
        SharedTables: another ledger's rows are in the projection's tables.
        NothingKept: a rollback finds no rows.
    """
    await conn.execute(ALONE)
    build = accounts.built(feed)
    await accounts.forget(conn, ledger_id, build)
    await accounts.forget_failures(conn, ledger_id, build)
    await tables.require_own(conn, ledger_id, feed)
    await read_checkpoint(conn, ledger_id, feed)
    if kind is Kind.ROLLBACK:
        await _take_back(conn, ledger_id, feed)
        return
    await tables.drop(conn, feed, schema=tables.OLD)
    await accounts.retire(conn, ledger_id, feed)
    await tables.copy_empty(conn, feed)
    await read_checkpoint(conn, ledger_id, build)


async def _take_back(conn: Connection, ledger_id: int, feed: Feed) -> None:
    if not await tables.are_in(conn, feed, schema=tables.OLD):
        raise NothingKept(projection=feed.name)
    await tables.drop(conn, feed, schema=tables.BUILD)
    await tables.move(conn, feed, origin=tables.OLD, to=tables.BUILD)
    await accounts.rename(conn, ledger_id, accounts.kept(feed), accounts.built(feed))


async def advance(
    conn: Connection, ledger_id: int, feed: Feed, *, after: Position, upto: Position
) -> Step | None:
    """Apply the next batch of up to 1,000 positions to the new rows, none beyond ``upto``; ``None``: none is left.

    Events that cannot be applied are parked for the new rows.

    Raises:
        PayloadChanged: an event is not what was recorded; nothing is applied.
        CheckpointMoved: another process has done so, or the rebuild is over.
        Exception: what is no event's fault.
    """
    limit = min(BATCH, upto - after)
    if limit <= 0:
        return None
    build = accounts.built(feed)
    try:
        return await run_batch(conn, ledger_id, build, after=after, limit=limit, is_anew=True)
    except (Poisoned, asyncpg.QueryCanceledError):  # the latter: one of them may take too long
        fewer = min(limit, MAX_SINGLY)
        return await run_singly(conn, ledger_id, build, after=after, limit=fewer, is_anew=True)


async def make_readable(conn: Connection, feed: Feed) -> None:
    """Prepare the filled new rows for readers, in the caller's transaction; nobody waits for that but the rebuild."""
    await conn.execute(ALONE)
    await tables.make_readable(conn, feed)


async def stand(conn: Connection, ledger_id: int, feed: Feed) -> Stand:
    """Read where the rows that serve are, and those that are built.

    Raises:
        NotLevel: one of them is nowhere.
    """
    row = await conn.fetchrow(STAND, ledger_id, feed.version, feed.name, accounts.built(feed).name)
    if row is None:
        raise NotLevel
    return msgspec.convert(dict(row), Stand)


async def compare_level(pool: Pool, ledger_id: int, feed: Feed) -> Comparison:
    """Compare old and new rows at one position.

    The projection stands still for as long as the new rows need to come to where it is and a picture of both
    is taken. Comparing takes its time after that, and holds nobody up.

    Raises:
        NotLevel: the new rows are too far behind for that.
    """
    async with pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        await conn.execute("set local statement_timeout = 0")
        await _take_picture(pool, conn, ledger_id, feed)
        return await compare(conn, ledger_id, feed, before=tables.LIVE, after=tables.BUILD)


async def _take_picture(pool: Pool, conn: Connection, ledger_id: int, feed: Feed) -> None:
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute(PATIENCE)
        live = await checkpoints.lock(holder, ledger_id, feed)
        async with pool.acquire() as builder:
            await _catch_up(builder, ledger_id, feed, live.position)
        seen = await stand(conn, ledger_id, feed)  # the first query of a transaction takes the picture
    if seen.position != seen.serving:
        raise NotLevel


async def exchange(conn: Connection, ledger_id: int, feed: Feed, *, accept_failures: bool) -> Exchanged:
    """Let the new rows serve and keep the old ones, in the caller's transaction.

    Everything that changes the projection waits from here on; who reads it, only for the exchange itself.

    Raises:
        NotLevel: the new rows are too far behind.
        NotApplied: events could not be applied to them, and that was not accepted.
        LockNotAvailable: somebody read for too long; try again.
    """
    await conn.execute(PATIENCE)
    live = await checkpoints.lock(conn, ledger_id, feed)
    build = await _catch_up(conn, ledger_id, feed, live.position)
    if build.parked and not accept_failures:
        raise NotApplied(build.parked)
    await tables.lock(conn, feed, schema=tables.LIVE)
    await tables.move(conn, feed, origin=tables.LIVE, to=tables.OLD)
    await tables.move(conn, feed, origin=tables.BUILD, to=tables.LIVE)
    await accounts.exchange(conn, ledger_id, feed)
    await checkpoints.lock(conn, ledger_id, feed)  # and have the commit wait for the disk again
    await checkpoints.reckon(conn, ledger_id, feed)  # tells those who wait
    return Exchanged(position=build.position, applied=build.applied, parked=build.parked)


async def _catch_up(conn: Connection, ledger_id: int, feed: Feed, upto: Position) -> Stand:
    build = await stand(conn, ledger_id, feed)
    if not 0 <= upto - build.position <= MOST_BEHIND:
        raise NotLevel
    while await advance(conn, ledger_id, feed, after=build.position, upto=upto):
        build = await stand(conn, ledger_id, feed)
    return build


async def leave_off(conn: Connection, ledger_id: int, feed: Feed, kind: Kind, *, with_failures: bool) -> None:
    """End without an exchange, in the caller's transaction: what was built goes, rows that were kept are kept again.

    Failures of what was built stay to be looked at, or go too.
    """
    await conn.execute(ALONE)
    if kind is Kind.ROLLBACK:
        await _put_back(conn, ledger_id, feed)
    else:
        await _throw_away(conn, ledger_id, feed, with_failures=with_failures)


async def _put_back(conn: Connection, ledger_id: int, feed: Feed) -> None:
    """Keep the rows as far as they have come; a rollback that nobody has begun has not touched them."""
    await accounts.rename(conn, ledger_id, accounts.built(feed), accounts.kept(feed))
    await tables.move(conn, feed, origin=tables.BUILD, to=tables.OLD)


async def _throw_away(conn: Connection, ledger_id: int, feed: Feed, *, with_failures: bool) -> None:
    await accounts.forget(
        conn, ledger_id, accounts.built(feed)
    )  # first: a batch locks its checkpoint, then rows
    with suppress(asyncpg.LockNotAvailableError):  # whoever works on them throws them away when it leaves off
        async with conn.transaction():
            await conn.execute(BRIEFLY)
            await tables.drop(conn, feed, schema=tables.BUILD)
    if with_failures:
        await accounts.forget_failures(conn, ledger_id, accounts.built(feed))

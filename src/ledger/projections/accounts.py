"""What a projection's rows account for, under the name of the rows: those that serve, are built, or are kept.

Checkpoint, parked and skipped events and active failures belong to rows. While rows are built they go by
``NAME.build``, when they have been replaced by ``NAME.old``: so the runner's own statements serve for them too.
"""

from typing import Final

from ledger.projections.projection import Feed
from ledger.projections.tables import BUILD, OLD
from ledger.store.pool import Connection

BUILT: Final = ".build"
KEPT: Final = ".old"

# Each: $1 ledger, $2 version, $3 name, $4 new name
RENAME: Final = (
    "update views.checkpoints set projection = $4 where ledger_id = $1 and version = $2 and projection = $3",
    "update views.parked set projection = $4 where ledger_id = $1 and version = $2 and projection = $3",
    "update views.skipped set projection = $4 where ledger_id = $1 and version = $2 and projection = $3",
    """
    update views.failures set projection = $4
    where ledger_id = $1 and version = $2 and projection = $3 and state <> 'resolved'
    """,
)
# Each: $1 ledger, $2 version, $3 name
FORGET: Final = (
    "delete from views.checkpoints where ledger_id = $1 and version = $2 and projection = $3",
    "delete from views.parked where ledger_id = $1 and version = $2 and projection = $3",
    "delete from views.skipped where ledger_id = $1 and version = $2 and projection = $3",
)
# $1 ledger, $2 version, $3 name
FORGET_FAILURES: Final = (
    "delete from views.failures where ledger_id = $1 and version = $2 and projection = $3"
)
# $1 ledger, $2 version, $3 name of the rows that are gone, $4 the projection's
REPLACED: Final = """
update views.failures
set projection = $4, state = 'resolved', resolution = 'manual_replay', reason = 'replaced by a rebuild',
    resolved_by = 'system', resolved_at = clock_timestamp(), next_retry_at = null
where ledger_id = $1 and version = $2 and projection = $3
"""
# $1 ledger, $2 version, $3 name, $4 paused since (null: it is not)
PAUSE: Final = """
update views.checkpoints set paused_at = $4 where ledger_id = $1 and version = $2 and projection = $3
"""
# $1 ledger, $2 version, $3 name
PAUSED: Final = """
select paused_at from views.checkpoints where ledger_id = $1 and version = $2 and projection = $3
"""


def built(feed: Feed) -> Feed:
    """Give a projection as it is accounted for while its rows are built."""
    return feed.under(feed.name + BUILT, BUILD)


def kept(feed: Feed) -> Feed:
    """Give a projection as its replaced rows are accounted for."""
    return feed.under(feed.name + KEPT, OLD)


async def exchange(conn: Connection, ledger_id: int, feed: Feed) -> None:
    """Let what was built account for the projection, and keep what did so before; a pause stays."""
    paused_at = await conn.fetchval(PAUSED, ledger_id, feed.version, feed.name)
    await rename(conn, ledger_id, feed, kept(feed))
    await rename(conn, ledger_id, built(feed), feed)
    await conn.execute(PAUSE, ledger_id, feed.version, kept(feed).name, None)
    await conn.execute(PAUSE, ledger_id, feed.version, feed.name, paused_at)


async def rename(conn: Connection, ledger_id: int, feed: Feed, to: Feed) -> None:
    """Account for ``feed``'s rows as ``to``, which must not be in use."""
    for statement in RENAME:
        await conn.execute(statement, ledger_id, feed.version, feed.name, to.name)


async def forget(conn: Connection, ledger_id: int, feed: Feed) -> None:
    """Forget everything but the failures of rows that are no more."""
    for statement in FORGET:
        await conn.execute(statement, ledger_id, feed.version, feed.name)


async def forget_failures(conn: Connection, ledger_id: int, feed: Feed) -> None:
    """Forget the failures of rows that never served."""
    await conn.execute(FORGET_FAILURES, ledger_id, feed.version, feed.name)


async def retire(conn: Connection, ledger_id: int, feed: Feed) -> None:
    """Forget the kept rows; what had failed in them becomes history of the projection."""
    old = kept(feed)
    await forget(conn, ledger_id, old)
    await conn.execute(REPLACED, ledger_id, feed.version, old.name, feed.name)

"""One batch: read, apply, move the checkpoint, all in one transaction."""

from collections.abc import Sequence
from typing import Final

from ledger.domain.errors import Corrupt
from ledger.domain.ids import Position
from ledger.projections.checkpoints import Step, move
from ledger.projections.projection import Feed
from ledger.store.pool import Connection
from ledger.store.streams import Stored, read_log

VIEWS_ONLY: Final = "set local synchronous_commit = off; set local search_path = views"
"""Rows and checkpoint are lost together in a crash and made again; a table that is no view is not found."""


class GapInLog(Corrupt):
    """The log does not go on where a projection's checkpoint stands."""

    code = "gap-in-log"


async def run_batch(
    conn: Connection, ledger_id: int, feed: Feed, *, after: Position, limit: int
) -> Step | None:
    """Account for the next positions, up to ``limit``, after ``after``; ``None``: there are none.

    Raises:
        GapInLog: a position is missing.
        CheckpointMoved: another process has accounted for some of them.
        Corrupt: a wanted event cannot be read, or its row is missing.
    """
    log = await read_log(conn, ledger_id, after=after, wanted=feed.wanted(), limit=limit)
    if not log:
        return None
    _must_be_contiguous(log, after)
    async with conn.transaction():
        await conn.execute(VIEWS_ONLY)
        applied = await feed.feed(conn, ledger_id, log)
        step = Step(
            previous=after,
            position=log[-1].position,
            applied=applied,
            not_wanted=len(log) - applied,
            last_event_id=log[-1].event_id,
            last_event_type=log[-1].type,
        )
        await move(conn, ledger_id, feed, step)
    return step


def _must_be_contiguous(log: Sequence[Stored], after: Position) -> None:
    for expected, stored in enumerate(log, start=after + 1):
        if stored.position != expected:
            raise GapInLog(expected=expected, found=stored.position)

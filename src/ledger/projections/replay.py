"""Folding sequences anew: their rows are removed and made again from the log, in full, in one transaction."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from ledger.domain.ids import Position, StreamName
from ledger.domain.operations.decide import ProjectionState
from ledger.projections import failures
from ledger.projections.checkpoints import lock, read_checkpoint, reckon
from ledger.projections.failures import Ending
from ledger.projections.faults import is_transient
from ledger.projections.isolation import Blocked, Outcome, apply_singly, tell
from ledger.projections.parking import park
from ledger.projections.projection import Feed
from ledger.store.codec import UnknownSchemaVersion
from ledger.store.excerpts import streams_between
from ledger.store.pool import Connection
from ledger.store.streams import Stored
from ledger.store.true_log import read_true_log_of

AT_ONCE: Final = 200
MOST_STREAMS: Final = 20_000

# $1 ledger, $2 projection, $3 version, $4 streams
UNPARK: Final = """
delete from views.parked where ledger_id = $1 and projection = $2 and version = $3 and stream = any($4)
returning position
"""
# $1 ledger, $2 projection, $3 version, $4 streams
SKIPPED: Final = """
select position from views.skipped
where ledger_id = $1 and projection = $2 and version = $3 and stream = any($4)
"""
# $1 ledger, $2 projection, $3 version, $4 positions
UNSKIP: Final = """
delete from views.skipped
where ledger_id = $1 and projection = $2 and version = $3 and position = any($4)
"""

Told: TypeAlias = Callable[[int, int], None]
"""Hears how many sequences have been folded, and of how many."""


class UseRebuild(ProjectionState):
    """This cannot be replayed, only rebuilt."""

    code = "use-rebuild"
    advice = "'ledger projections rebuild' makes the projection anew beside its rows."


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did: ``skipped`` stays given up, ``failed`` could not be applied and is parked."""

    sequences: int = 0
    replayed: int = 0
    skipped: int = 0
    failed: int = 0


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Positions to replay, both included; ``skip_failed``: what was given up stays so."""

    first: Position
    last: Position
    skip_failed: bool = True


def unheard(_done: int, _of: int) -> None:
    """Tell nobody how far it is."""


async def streams_in(conn: Connection, ledger_id: int, feed: Feed, asked: Range) -> list[StreamName]:
    """Name the sequences that a replay of this range folds anew.

    Raises:
        UseRebuild: the projection's rows do not belong to one stream each, or there are too many.
    """
    if not feed.is_keyed_by_stream:
        raise UseRebuild(projection=feed.name)
    streams = await streams_between(
        conn,
        ledger_id,
        first=asked.first,
        last=asked.last,
        types=feed.wanted(),
        limit=MOST_STREAMS + 1,
    )
    if len(streams) > MOST_STREAMS:
        raise UseRebuild(projection=feed.name, most=MOST_STREAMS)
    return streams


async def replay(
    conn: Connection, ledger_id: int, feed: Feed, asked: Range, *, ending: Ending, told: Told = unheard
) -> Replay:
    """Remove and refold, in the caller's transaction, every sequence with an event in the range.

    What comes after the checkpoint is left to the runner. Failures that the replay mends are resolved by ``ending``.

    Raises:
        UseRebuild: see ``streams_in``.
        PayloadChanged: one of the events is not what was recorded.
        UnknownSchemaVersion: a newer release wrote one of the events.
    """
    await read_checkpoint(conn, ledger_id, feed)  # which nobody may have begun yet
    at = await lock(conn, ledger_id, feed)
    streams = await streams_in(conn, ledger_id, feed, asked)
    refolding = _Refolding(conn, ledger_id, feed, ending)
    done = Replay()
    for start in range(0, len(streams), AT_ONCE):
        some = streams[start : start + AT_ONCE]
        events = await read_true_log_of(conn, ledger_id, some, upto=at.position, wanted=feed.wanted())
        done = _sum(done, await refolding.of(some, events, skip_failed=asked.skip_failed))
        told(done.sequences, len(streams))
    return done


class _Refolding:
    """What folding anew works with, for as long as its transaction lasts."""

    def __init__(self, conn: Connection, ledger_id: int, feed: Feed, ending: Ending) -> None:
        self._conn, self._ledger_id, self._feed, self._ending = conn, ledger_id, feed, ending

    async def of(
        self, streams: Sequence[StreamName], events: Sequence[Stored], *, skip_failed: bool
    ) -> Replay:
        """Fold ``streams``, which hold ``events``, anew."""
        conn, key = self._conn, (self._ledger_id, self._feed.name, self._feed.version)
        unparked = len(await conn.fetch(UNPARK, *key, streams))
        skipped = {row["position"] for row in await conn.fetch(SKIPPED, *key, streams)}
        kept = skipped if skip_failed else set[Position]()
        await conn.execute(UNSKIP, *key, list(skipped - kept))
        await self._remove(streams)
        outcome = await self._fold([one for one in events if one.position not in kept])
        await park(conn, self._ledger_id, self._feed, outcome.parked)
        await self._settle(streams, outcome)
        await reckon(
            conn,
            self._ledger_id,
            self._feed,
            applied=outcome.applied - (len(events) - unparked - len(skipped)),
            parked=len(outcome.parked) - unparked,
            skipped=len(kept) - len(skipped),
        )
        return Replay(
            sequences=len(streams),
            replayed=outcome.applied,
            skipped=len(kept),
            failed=len(outcome.parked),
        )

    async def _remove(self, streams: Sequence[StreamName]) -> None:
        for table in self._feed.tables:
            remove = f"delete from {table} where ledger_id = $1 and stream = any($2)"  # noqa: S608 - a name of ours
            await self._conn.execute(remove, self._ledger_id, streams)

    async def _fold(self, events: Sequence[Stored]) -> Outcome:
        conn, feed = self._conn, self._feed
        try:
            async with conn.transaction():
                return Outcome(applied=await feed.feed(conn, self._ledger_id, events))
        except Exception as error:
            if is_transient(error):
                raise
        outcome = await apply_singly(conn, self._ledger_id, feed, events, frozenset())
        if outcome.stopped_at is not None:
            raise UnknownSchemaVersion(position=outcome.stopped_at)
        return outcome

    async def _settle(self, streams: Sequence[StreamName], outcome: Outcome) -> None:
        """Bring the records of failures level with what is parked now."""
        conn, ledger_id, feed = self._conn, self._ledger_id, self._feed
        active = await failures.active_of(conn, ledger_id, feed, streams)
        fresh: list[Blocked] = []
        for blocked in outcome.culprits:
            known = active.get(feed.sequence(blocked.culprit))
            if known is None or known.position != blocked.culprit.position:
                fresh.append(blocked)
                continue
            del active[known.sequence]
            await failures.failed_again(conn, ledger_id, known, blocked.fault)
            tell(feed, blocked, failure=str(known.failure_id))
        for mended in active.values():
            await failures.resolve(conn, ledger_id, mended.failure_id, self._ending)
        for blocked in fresh:
            failure = await failures.record(conn, ledger_id, feed, blocked.culprit, blocked.fault)
            tell(feed, blocked, failure=str(failure))


def _sum(one: Replay, other: Replay) -> Replay:
    return Replay(
        sequences=one.sequences + other.sequences,
        replayed=one.replayed + other.replayed,
        skipped=one.skipped + other.skipped,
        failed=one.failed + other.failed,
    )

"""One batch: read, apply, park what cannot be applied, move the checkpoint, all in one transaction."""

from collections.abc import Sequence

import msgspec

from ledger.domain.errors import Corrupt
from ledger.domain.ids import Position
from ledger.projections.checkpoints import Checkpoint, CheckpointMoved, Paused, Step, lock, move
from ledger.projections.faults import is_transient
from ledger.projections.isolation import Outcome, apply_singly, be_quick, park_outcome
from ledger.projections.parking import held_among
from ledger.projections.projection import Feed
from ledger.store.codec import UnknownSchemaVersion
from ledger.store.pool import Connection
from ledger.store.streams import Stored, read_log
from ledger.store.true_log import read_true_log


class GapInLog(Corrupt):
    """The log does not go on where a projection's checkpoint stands."""

    code = "gap-in-log"


class Poisoned(Exception):
    """Some event of a batch cannot be applied; which one, ``run_singly`` finds out."""


class _Portion(msgspec.Struct, frozen=True, kw_only=True):
    """A contiguous piece of the log after a checkpoint: what is wanted of it, and the sequences that are parked."""

    checkpoint: Checkpoint
    log: Sequence[Stored]
    wanted: Sequence[Stored]
    held: frozenset[str]


async def run_batch(
    conn: Connection, ledger_id: int, feed: Feed, *, after: Position, limit: int, is_anew: bool = False
) -> Step | None:
    """Account for the next positions, up to ``limit``, after ``after``; ``None``: there are none.

    ``is_anew``: rows are made again that may hold what is true, so that what is read is held against its hashes.

    Raises:
        GapInLog: a position is missing.
        PayloadChanged: one of them is not what was recorded, where ``is_anew``.
        CheckpointMoved: another process has accounted for some of them.
        Paused: somebody has paused the projection.
        Poisoned: an event cannot be applied, and nothing was.
    """
    log = await _read(conn, ledger_id, feed, after, limit, is_anew=is_anew)
    if not log:
        return None
    async with conn.transaction():
        portion = await _portion(conn, ledger_id, feed, log, await _begin(conn, ledger_id, feed, after))
        outcome = await _apply_at_once(conn, ledger_id, feed, portion)
        await park_outcome(conn, ledger_id, feed, outcome)
        return await _end(conn, ledger_id, feed, portion, outcome)


async def run_singly(
    conn: Connection, ledger_id: int, feed: Feed, *, after: Position, limit: int, is_anew: bool = False
) -> Step | None:
    """As ``run_batch``, event by event: what cannot be applied is parked, and the rest goes on.

    Raises:
        GapInLog, PayloadChanged, CheckpointMoved, Paused: as ``run_batch``.
        UnknownSchemaVersion: the next position can only be read by a newer release.
    """
    log = await _read(conn, ledger_id, feed, after, limit, is_anew=is_anew)
    if not log:
        return None
    async with conn.transaction():
        portion = await _portion(conn, ledger_id, feed, log, await _begin(conn, ledger_id, feed, after))
        await be_quick(conn)
        outcome = await apply_singly(conn, ledger_id, feed, portion.wanted, portion.held)
        if outcome.stopped_at is not None:
            portion = _before(portion, outcome.stopped_at)
        if not portion.log:
            raise UnknownSchemaVersion(position=outcome.stopped_at)
        await park_outcome(conn, ledger_id, feed, outcome)
        return await _end(conn, ledger_id, feed, portion, outcome)


async def _read(
    conn: Connection, ledger_id: int, feed: Feed, after: Position, limit: int, *, is_anew: bool
) -> Sequence[Stored]:
    read = read_true_log if is_anew else read_log
    log = await read(conn, ledger_id, after=after, wanted=feed.wanted(), limit=limit)
    for expected, stored in enumerate(log, start=after + 1):
        if stored.position != expected:
            raise GapInLog(expected=expected, found=stored.position)
    return log


async def _begin(conn: Connection, ledger_id: int, feed: Feed, after: Position) -> Checkpoint:
    checkpoint = await lock(conn, ledger_id, feed, is_lazy=True)
    if checkpoint.is_paused:
        raise Paused
    if checkpoint.position != after:
        raise CheckpointMoved
    return checkpoint


async def _portion(
    conn: Connection, ledger_id: int, feed: Feed, log: Sequence[Stored], checkpoint: Checkpoint
) -> _Portion:
    types = frozenset(feed.wanted())
    wanted = [stored for stored in log if stored.type in types]
    held = await held_among(conn, ledger_id, feed, wanted) if checkpoint.parked else frozenset[str]()
    return _Portion(checkpoint=checkpoint, log=log, wanted=wanted, held=held)


async def _apply_at_once(conn: Connection, ledger_id: int, feed: Feed, portion: _Portion) -> Outcome:
    behind, free = _parted(feed, portion)
    try:
        for stored in behind:
            feed.check(stored)
        applied = await feed.feed(conn, ledger_id, free)
    except Exception as error:
        if is_transient(error):
            raise
        raise Poisoned from error
    return Outcome(applied=applied, parked=tuple(behind))


def _parted(feed: Feed, portion: _Portion) -> tuple[Sequence[Stored], Sequence[Stored]]:
    """Part what has to wait behind what is parked from what need not."""
    if not portion.held:
        return (), portion.wanted
    behind = [stored for stored in portion.wanted if feed.sequence(stored) in portion.held]
    free = [stored for stored in portion.wanted if feed.sequence(stored) not in portion.held]
    return behind, free


def _before(portion: _Portion, position: Position) -> _Portion:
    return _Portion(
        checkpoint=portion.checkpoint,
        log=[stored for stored in portion.log if stored.position < position],
        wanted=[stored for stored in portion.wanted if stored.position < position],
        held=portion.held,
    )


async def _end(conn: Connection, ledger_id: int, feed: Feed, portion: _Portion, outcome: Outcome) -> Step:
    last = portion.log[-1]
    step = Step(
        previous=portion.checkpoint.position,
        position=last.position,
        applied=outcome.applied,
        not_wanted=len(portion.log) - len(portion.wanted),
        parked=len(outcome.parked),
        parked_before=portion.checkpoint.parked,
        last_event_id=last.event_id,
        last_event_type=last.type,
        wanted=portion.wanted,
    )
    await move(conn, ledger_id, feed, step)
    return step

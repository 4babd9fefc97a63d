"""Replaying a range of positions: its sequences are folded anew, and that is on the record."""

import msgspec

from ledger.command_handling.answering import Handled
from ledger.domain.event import Utc
from ledger.domain.ids import Position, StreamName
from ledger.domain.operations.commands import ReplayRange
from ledger.domain.operations.decide import require_range
from ledger.domain.operations.events import OperationsEvent, RangeReplayed
from ledger.operations.acting import Actor, Asked, about, act_and_tell
from ledger.projections.failures import Ending, Resolution
from ledger.projections.projection import Feed
from ledger.projections.rehearsal import Rehearsed, rehearse
from ledger.projections.replay import Range, Replay, Told, replay, streams_in, unheard
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did, as its event tells it."""

    handled: Handled[OperationsEvent]
    projection: str
    counts: Replay
    started_at: Utc
    completed_at: Utc


async def range_of(
    ledger: Ledger, *, first: int | None, last: int | None, skip_failed: bool
) -> tuple[Range, Position]:
    """Complete a range by the whole log, and say where that ends.

    Raises:
        BadRange: it does not lie in the log.
    """
    head = await ledger.head()
    begin = 1 if first is None else first
    end = head if last is None else last
    require_range(begin, end, head=head)
    return Range(first=Position(begin), last=Position(end), skip_failed=skip_failed), head


async def replay_range(
    ledger: Ledger,
    feed: Feed,
    asked: Range,
    *,
    head: Position,
    reason: str,
    actor: Actor,
    told: Told = unheard,
) -> Replayed:
    """Remove and refold every sequence with an event in a range.

    Raises:
        UseRebuild: this projection cannot be replayed, or not so much of it at once.
        PayloadChanged: an event is not what was recorded; nothing is changed.
    """

    async def effect(conn: Connection) -> Replay:
        ending = Ending(resolution=Resolution.MANUAL_REPLAY, by=actor.provenance.actor, reason=reason)
        return await replay(conn, ledger.ledger_id, feed, asked, ending=ending, told=told)

    def account(wanted: Asked, done: Replay) -> ReplayRange:
        return ReplayRange(
            **about(wanted),
            reason=reason,
            first=asked.first,
            last=asked.last,
            head=head,
            sequences=done.sequences,
            events_replayed=done.replayed,
            events_skipped=done.skipped,
            events_failed=done.failed,
        )

    handled = await act_and_tell(ledger, feed, effect, account, actor)
    return _replayed(handled)


async def rehearse_replay(ledger: Ledger, feed: Feed, asked: Range) -> Rehearsed[Replay]:
    """Show what ``replay_range`` would do, and undo it."""
    ending = Ending(resolution=Resolution.MANUAL_REPLAY, by="nobody")

    async def effect(conn: Connection) -> Replay:
        return await replay(conn, ledger.ledger_id, feed, asked, ending=ending)

    async def streams(conn: Connection) -> list[StreamName]:
        return await streams_in(conn, ledger.ledger_id, feed, asked)

    return await rehearse(ledger, feed, effect, streams)


def _replayed(handled: Handled[OperationsEvent]) -> Replayed:
    (recorded,) = handled.events
    done = recorded.event
    if not isinstance(done, RangeReplayed):
        raise TypeError(type(done))  # a fault of ours
    counts = Replay(
        sequences=done.sequences,
        replayed=done.events_replayed,
        skipped=done.events_skipped,
        failed=done.events_failed,
    )
    return Replayed(
        handled=handled,
        projection=done.projection,
        counts=counts,
        started_at=done.at,
        completed_at=recorded.recorded_at,
    )

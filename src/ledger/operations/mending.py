"""Mending a failure: try it again, give it up, or take it as mended by hand; each act is on the record."""

from typing import Final, TypeAlias

import msgspec

from ledger.command_handling.answering import Handled
from ledger.domain.errors import ReasonMissing
from ledger.domain.event import Utc
from ledger.domain.ids import EventId, FailureId, StreamName
from ledger.domain.operations.commands import (
    FixFailure,
    RetryFailure,
    SkipFailure,
)
from ledger.domain.operations.events import (
    FailureFixed,
    FailureRetried,
    FailureSkipped,
    OperationsEvent,
)
from ledger.operations.acting import Actor, Asked, about, act_and_tell
from ledger.projections import failures, retries
from ledger.projections.failures import Ending, Failure, Resolution
from ledger.projections.projection import Feed
from ledger.projections.rehearsal import Rehearsed, rehearse
from ledger.projections.reports import named
from ledger.projections.retries import FailureNotFound, Retried
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection, reading

WAYS: Final = {
    "retry": Resolution.MANUAL_REPLAY,
    "skip": Resolution.MANUAL_SKIP,
    "manual_fix": Resolution.MANUAL_FIX,
}
"""What may be done about a failure, and how that ends it."""

Repair: TypeAlias = FailureRetried | FailureSkipped | FailureFixed


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a failure, and why."""

    failure: FailureId
    way: Resolution
    reason: str


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a repair; ``resolved_at`` is ``None`` while it is not resolved."""

    handled: Handled[OperationsEvent]
    failure: FailureId
    projection: str
    way: Resolution
    resolved_at: Utc | None
    events_applied: int


async def mend(ledger: Ledger, wish: Wish, actor: Actor) -> Mended:
    """Do something about a failure, with what waits behind it.

    Raises:
        FailureNotFound: there is none with this id.
        FailureResolved: it is over.
        ReasonMissing: to skip and to mend by hand need one.
    """
    failure = await _find(ledger, wish.failure)
    feed = _feed_of(failure)

    async def effect(conn: Connection) -> Retried:
        return await _carry_out(conn, ledger, feed, wish, actor.provenance.actor)

    def account(asked: Asked, done: Retried) -> RetryFailure | SkipFailure | FixFailure:
        return _command(asked, wish, failure.event_id, done)

    handled = await act_and_tell(ledger, feed, effect, account, actor)
    return _mended(handled, wish)


async def rehearse_mend(ledger: Ledger, wish: Wish) -> Rehearsed[Retried]:
    """Show what ``mend`` would do, and undo it; the same refusals."""
    failure = await _find(ledger, wish.failure)
    feed = _feed_of(failure)

    async def effect(conn: Connection) -> Retried:
        return await _carry_out(conn, ledger, feed, wish, "nobody")

    async def streams(_conn: Connection) -> list[StreamName]:
        return [failure.stream]

    return await rehearse(ledger, feed, effect, streams)


async def _carry_out(conn: Connection, ledger: Ledger, feed: Feed, wish: Wish, by: str) -> Retried:
    ending = Ending(resolution=wish.way, by=by, reason=wish.reason or None)
    if wish.way is Resolution.MANUAL_REPLAY:
        return await retries.retry(conn, ledger.ledger_id, feed, wish.failure, ending)
    if not wish.reason.strip():
        raise ReasonMissing
    return await retries.give_up(conn, ledger.ledger_id, feed, wish.failure, ending)


async def _find(ledger: Ledger, failure: FailureId) -> Failure:
    async with reading(ledger.pool) as conn:
        found = await failures.find(conn, ledger.ledger_id, failure)
    if found is None:
        raise FailureNotFound(failure=failure)
    return found


def _feed_of(failure: Failure) -> Feed:
    """Find the projection of a failure; one of another release's version is not ours to mend."""
    feed = named(failure.projection)
    if feed.version != failure.version:
        raise FailureNotFound(failure=failure.failure_id)
    return feed


def _command(
    asked: Asked, wish: Wish, event: EventId, done: Retried
) -> RetryFailure | SkipFailure | FixFailure:
    if wish.way is Resolution.MANUAL_REPLAY:
        return RetryFailure(
            **about(asked),
            reason=wish.reason,
            failure=wish.failure,
            event=event,
            is_resolved=done.is_resolved,
            events_applied=done.applied,
        )
    kind = SkipFailure if wish.way is Resolution.MANUAL_SKIP else FixFailure
    return kind(
        **about(asked),
        reason=wish.reason,
        failure=wish.failure,
        event=event,
        events_applied=done.applied,
    )


def _mended(handled: Handled[OperationsEvent], wish: Wish) -> Mended:
    (recorded,) = handled.events
    done = recorded.event
    if not isinstance(done, Repair):
        raise TypeError(type(done))  # a fault of ours
    is_resolved = done.is_resolved if isinstance(done, FailureRetried) else True
    return Mended(
        handled=handled,
        failure=done.failure,
        projection=done.projection,
        way=wish.way,
        resolved_at=recorded.recorded_at if is_resolved else None,
        events_applied=done.events_applied,
    )

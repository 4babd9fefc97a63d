"""Trying a parked sequence again: its culprit, then in order what waits behind it; and giving a culprit up.

What was parked may have waited for long: an event that is not what was recorded is not applied, and keeps its sequence parked;
so does one that is gone.
"""

from collections.abc import Mapping, Sequence

import msgspec
import structlog

from ledger.domain.errors import Corrupt, NotFound
from ledger.domain.ids import FailureId, Position
from ledger.domain.operations.decide import ProjectionState
from ledger.projections import failures
from ledger.projections.checkpoints import Paused, lock, reckon
from ledger.projections.failures import UNASKED, Ending, Failure, FailureState
from ledger.projections.faults import fault_of
from ledger.projections.isolation import Blocked, attempt, be_quick, tell
from ledger.projections.parking import release, skip, waiting_in
from ledger.projections.projection import Feed
from ledger.store.codec import UnknownSchemaVersion
from ledger.store.pool import Connection
from ledger.store.streams import Stored
from ledger.store.true_log import read_held_against

log = structlog.get_logger()


class FailureNotFound(NotFound):
    """Failure not found."""

    code = "failure-not-found"
    advice = "'ledger projections failures' lists those there are."


class FailureResolved(ProjectionState):
    """This failure has been resolved."""

    code = "failure-resolved"


class ParkedEventGone(Corrupt):
    """A parked event is in the log no more: somebody removed it."""

    code = "parked-event-gone"
    advice = "Nothing of its stream is applied or given up; go on by docs/operations/tampered.md."


class _Waiting(msgspec.Struct, frozen=True):
    """The parked sequence of a failure: its events, and what is wrong with those that are not what was recorded."""

    failure: Failure
    events: Sequence[Stored]
    wrong: Mapping[Position, Corrupt]


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: ``is_resolved`` tells of the culprit that was asked for.

    ``applied`` counts what is in the view now, ``waiting`` what is parked still, ``blocked`` the event that keeps it so
    (``None``: the sequence is whole again).
    """

    failure: Failure
    is_resolved: bool
    applied: int
    waiting: int
    blocked: Blocked | None = None


async def retry_due(conn: Connection, ledger_id: int, feed: Feed) -> Retried | None:
    """Try again, in a transaction, the one that has waited longest; ``None``: nothing is due.

    Raises:
        Paused: somebody has paused the projection.
        Exception: what is no event's fault, such as a lost connection; then it counts as no attempt.
    """
    async with conn.transaction():
        if (await lock(conn, ledger_id, feed)).is_paused:
            raise Paused
        due = await failures.next_due(conn, ledger_id, feed)
        if due is None:
            return None
        try:
            waiting = await _waiting(conn, ledger_id, feed, due)
        except ParkedEventGone as gone:  # an alarm, but the other sequences need not stand still for it
            await failures.failed_again(conn, ledger_id, due, fault_of(gone))
            told = {"projection": feed.name, "failure": str(due.failure_id), **gone.context}
            log.error("projection.parked.gone", **told)  # noqa: TRY400 - no words
            return Retried(failure=due, is_resolved=False, applied=0, waiting=due.followers + 1)
        await be_quick(conn)
        return await _drain(conn, ledger_id, feed, waiting, UNASKED)


async def retry(conn: Connection, ledger_id: int, feed: Feed, failure: FailureId, ending: Ending) -> Retried:
    """Try a failure's sequence again in the caller's transaction, as far as it goes.

    Raises:
        FailureNotFound: this projection has none with this id.
        FailureResolved: it is over.
        PayloadChanged, ImpossibleTime: its culprit is not what was recorded; nothing is changed.
        ParkedEventGone: an event of it is gone; nothing is changed.
    """
    await lock(conn, ledger_id, feed)
    found = await _active(conn, ledger_id, feed, failure)
    waiting = await _waiting(conn, ledger_id, feed, found)
    wrong = waiting.wrong.get(waiting.events[0].position)
    if wrong is not None:
        raise wrong
    return await _drain(conn, ledger_id, feed, waiting, ending)


async def give_up(
    conn: Connection, ledger_id: int, feed: Feed, failure: FailureId, ending: Ending
) -> Retried:
    """Never apply a failure's culprit, and go on with those behind it in the caller's transaction.

    Raises:
        FailureNotFound: this projection has none with this id.
        FailureResolved: it is over.
        ParkedEventGone: an event of its sequence is gone; nothing is changed.
    """
    await lock(conn, ledger_id, feed)
    found = await _active(conn, ledger_id, feed, failure)
    waiting = await _waiting(conn, ledger_id, feed, found)
    culprit = waiting.events[0]
    await skip(conn, ledger_id, feed, culprit, failure)
    await release(conn, ledger_id, feed, [culprit.position])
    await reckon(conn, ledger_id, feed, parked=-1, skipped=1)
    await failures.resolve(conn, ledger_id, failure, ending)
    return await _go_on(conn, ledger_id, feed, waiting)


async def _active(conn: Connection, ledger_id: int, feed: Feed, failure: FailureId) -> Failure:
    found = await failures.find(conn, ledger_id, failure)
    if found is None or (found.projection, found.version) != (feed.name, feed.version):
        raise FailureNotFound(failure=failure)
    if found.state is FailureState.RESOLVED:
        raise FailureResolved(failure=failure, resolution=found.resolution)
    return found


async def _waiting(conn: Connection, ledger_id: int, feed: Feed, failure: Failure) -> _Waiting:
    positions = await waiting_in(conn, ledger_id, feed, failure.sequence)
    events, wrong = await read_held_against(conn, ledger_id, positions)
    gone = set(positions).difference(stored.position for stored in events)
    if gone:
        raise ParkedEventGone(position=min(gone), stream=failure.stream)
    return _Waiting(failure, events, wrong)


async def _attempt(
    conn: Connection, ledger_id: int, feed: Feed, stored: Stored, wrong: Corrupt | None
) -> Blocked | None:
    """Apply one event if it is what was recorded; ``None``: it went well.

    One that a newer release wrote, and parked before it was taken back, stops nobody: whatever comes later in the log may be
    readable.
    """
    if wrong is not None:
        return Blocked(stored, fault_of(wrong))
    try:
        return await attempt(conn, ledger_id, feed, stored)
    except UnknownSchemaVersion as newer:
        return Blocked(stored, fault_of(newer))


async def _drain(conn: Connection, ledger_id: int, feed: Feed, waiting: _Waiting, ending: Ending) -> Retried:
    found, culprit = waiting.failure, waiting.events[0]
    blocked = await _attempt(conn, ledger_id, feed, culprit, waiting.wrong.get(culprit.position))
    if blocked is not None:
        await failures.failed_again(conn, ledger_id, found, blocked.fault)
        tell(feed, blocked, failure=str(found.failure_id))
        left = len(waiting.events)
        return Retried(failure=found, is_resolved=False, applied=0, waiting=left, blocked=blocked)
    await _applied(conn, ledger_id, feed, [culprit.position])
    await failures.resolve(conn, ledger_id, found.failure_id, ending)
    behind = await _go_on(conn, ledger_id, feed, waiting)
    return msgspec.structs.replace(behind, applied=behind.applied + 1)


async def _go_on(conn: Connection, ledger_id: int, feed: Feed, waiting: _Waiting) -> Retried:
    """Apply those behind a culprit that is out of the way; the first that fails is the next culprit."""
    done: list[Position] = []
    blocked: Blocked | None = None
    behind = waiting.events[1:]
    for stored in behind:
        blocked = await _attempt(conn, ledger_id, feed, stored, waiting.wrong.get(stored.position))
        if blocked is not None:
            failure = await failures.record(conn, ledger_id, feed, stored, blocked.fault)
            tell(feed, blocked, failure=str(failure))
            break
        done.append(stored.position)
    await _applied(conn, ledger_id, feed, done)
    return Retried(
        failure=waiting.failure,
        is_resolved=True,
        applied=len(done),
        waiting=len(behind) - len(done),
        blocked=blocked,
    )


async def _applied(conn: Connection, ledger_id: int, feed: Feed, done: Sequence[Position]) -> None:
    if done:
        await release(conn, ledger_id, feed, done)
        await reckon(conn, ledger_id, feed, applied=len(done), parked=-len(done))

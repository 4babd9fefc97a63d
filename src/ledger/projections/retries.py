"""Trying a parked sequence again: its culprit, then in order what waits behind it; and giving a culprit up.

What was parked may have waited for long: an event that is not what was recorded is not applied, and keeps its sequence parked.
"""

from collections.abc import Sequence

import msgspec

from ledger.domain.errors import NotFound
from ledger.domain.ids import FailureId, Position
from ledger.domain.operations.decide import ProjectionState
from ledger.projections import failures
from ledger.projections.checkpoints import Paused, lock, reckon
from ledger.projections.failures import UNASKED, Ending, Failure, FailureState
from ledger.projections.faults import fault_of
from ledger.projections.isolation import Blocked, attempt, be_quick, tell
from ledger.projections.parking import release, skip, waiting_in
from ledger.projections.projection import Feed
from ledger.store.pool import Connection
from ledger.store.streams import Stored
from ledger.store.true_log import PayloadChanged, read_held_against


class FailureNotFound(NotFound):
    """Failure not found."""

    code = "failure-not-found"
    advice = "'ledger projections failures' lists those there are."


class FailureResolved(ProjectionState):
    """This failure has been resolved."""

    code = "failure-resolved"


class _Waiting(msgspec.Struct, frozen=True):
    """The parked sequence of a failure: its events, and which of them were changed after they were recorded."""

    failure: Failure
    events: Sequence[Stored]
    changed: frozenset[Position]


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
        waiting = await _waiting(conn, ledger_id, feed, due)
        await be_quick(conn)
        return await _drain(conn, ledger_id, feed, waiting, UNASKED)


async def retry(conn: Connection, ledger_id: int, feed: Feed, failure: FailureId, ending: Ending) -> Retried:
    """Try a failure's sequence again in the caller's transaction, as far as it goes.

    Raises:
        FailureNotFound: this projection has none with this id.
        FailureResolved: it is over.
        PayloadChanged: its culprit is not what was recorded; nothing is changed.
    """
    await lock(conn, ledger_id, feed)
    found = await _active(conn, ledger_id, feed, failure)
    waiting = await _waiting(conn, ledger_id, feed, found)
    if waiting.events[0].position in waiting.changed:
        raise _changed(waiting.events[0])
    return await _drain(conn, ledger_id, feed, waiting, ending)


async def give_up(
    conn: Connection, ledger_id: int, feed: Feed, failure: FailureId, ending: Ending
) -> Retried:
    """Never apply a failure's culprit, and go on with those behind it in the caller's transaction.

    Raises:
        FailureNotFound: this projection has none with this id.
        FailureResolved: it is over.
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
    return _Waiting(failure, *await read_held_against(conn, ledger_id, positions))


def _changed(stored: Stored) -> PayloadChanged:
    return PayloadChanged(position=stored.position, stream=stored.stream)


async def _attempt(
    conn: Connection, ledger_id: int, feed: Feed, stored: Stored, changed: frozenset[Position]
) -> Blocked | None:
    """Apply one event if it is what was recorded; ``None``: it went well."""
    if stored.position in changed:
        return Blocked(stored, fault_of(_changed(stored)))
    return await attempt(conn, ledger_id, feed, stored)


async def _drain(conn: Connection, ledger_id: int, feed: Feed, waiting: _Waiting, ending: Ending) -> Retried:
    found, culprit = waiting.failure, waiting.events[0]
    blocked = await _attempt(conn, ledger_id, feed, culprit, waiting.changed)
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
        blocked = await _attempt(conn, ledger_id, feed, stored, waiting.changed)
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

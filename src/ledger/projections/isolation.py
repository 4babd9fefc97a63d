"""Event by event, each in a savepoint of its own: finds the culprit and parks its sequence, and no other.

Later events of a parked sequence wait behind it, in order. Letting them through is how read models get
corrupted: a decision would be shown as pending after it was approved.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import asyncpg
import msgspec
import structlog

from ledger.domain.ids import Position
from ledger.projections.failures import record
from ledger.projections.faults import Fault, fault_of, stops_all
from ledger.projections.parking import park
from ledger.projections.projection import Feed
from ledger.store.codec import UnknownSchemaVersion
from ledger.store.pool import Connection
from ledger.store.streams import Stored

log = structlog.get_logger()

# More than a lock is waited for, which is nobody's fault, and half of what a loop gives a transaction.
BE_QUICK: Final = "set local statement_timeout = '15s'"


class Blocked(msgspec.Struct, frozen=True):
    """An event that could not be applied, and why."""

    culprit: Stored
    fault: Fault


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of events: how many were applied, which are parked, and the culprits among these.

    ``stopped_at`` is the first event that this release cannot read: neither it nor any later one was looked at.
    """

    applied: int
    parked: tuple[Stored, ...] = ()
    culprits: tuple[Blocked, ...] = ()
    stopped_at: Position | None = None


async def apply_singly(
    conn: Connection, ledger_id: int, feed: Feed, events: Iterable[Stored], held: frozenset[str]
) -> Outcome:
    """Apply each of ``events`` that its sequence allows; nothing is recorded yet.

    Raises:
        Exception: what is no event's fault, such as a lost connection.
    """
    applied, parked, culprits = 0, list[Stored](), list[Blocked]()
    shut = set(held)
    stopped_at: Position | None = None
    for stored in events:
        sequence = feed.sequence(stored)
        try:
            feed.check(stored)
            if sequence in shut:
                parked.append(stored)
                continue
            blocked = await attempt(conn, ledger_id, feed, stored)
        except UnknownSchemaVersion:
            stopped_at = stored.position
            break
        if blocked is None:
            applied += 1
            continue
        shut.add(sequence)
        parked.append(stored)
        culprits.append(blocked)
    return Outcome(applied=applied, parked=tuple(parked), culprits=tuple(culprits), stopped_at=stopped_at)


async def be_quick(conn: Connection) -> None:
    """Let no statement of the caller's transaction take longer than what a single event needs by far."""
    await conn.execute(BE_QUICK)


async def attempt(conn: Connection, ledger_id: int, feed: Feed, stored: Stored) -> Blocked | None:
    """Apply one event in a savepoint; ``None``: it went well. One that takes too long though it is alone is at fault.

    Raises:
        Exception: what is no event's fault, such as a lost connection.
    """
    try:
        async with conn.transaction():
            await feed.feed(conn, ledger_id, [stored])
    except Exception as error:
        if stops_all(error) and not isinstance(error, asyncpg.QueryCanceledError):
            raise
        return Blocked(stored, fault_of(error))
    return None


async def park_outcome(conn: Connection, ledger_id: int, feed: Feed, outcome: Outcome) -> None:
    """Write down what could not be applied, and let the rest of its sequence wait."""
    await park(conn, ledger_id, feed, outcome.parked)
    for blocked in outcome.culprits:
        failure = await record(conn, ledger_id, feed, blocked.culprit, blocked.fault)
        tell(feed, blocked, failure=str(failure))


FAILED: Final = "projection.event.parked"

_is_rehearsal: ContextVar[bool] = ContextVar("is_rehearsal", default=False)


@contextmanager
def rehearsing() -> Iterator[None]:
    """Log no failures in this block: it is rolled back, and their ids with it."""
    before = _is_rehearsal.set(True)
    try:
        yield
    finally:
        _is_rehearsal.reset(before)


def tell(feed: Feed, blocked: Blocked, *, failure: str) -> None:
    """Log a failure by its ids; the error's own words may quote a payload and stay in the record."""
    if _is_rehearsal.get():
        return
    log.warning(
        FAILED,
        projection=feed.name,
        version=feed.version,
        failure=failure,
        position=blocked.culprit.position,
        event_type=blocked.culprit.type,
        error=blocked.fault.error_type,
        category=blocked.fault.category.value,
        fingerprint=blocked.fault.fingerprint,
    )

"""How what a command has drafted comes into the log: by the appender, or in one transaction with rows of the caller's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from ledger.domain.event import Event
from ledger.domain.ids import Position, Version
from ledger.store.appends import Append, Appended, Duplicate, Landed
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, UNSETTLED, Connection, borrowed
from ledger.store.streams import Recorded, append, append_in

E = TypeVar("E", bound=Event)


class RunAgain(Exception):
    """The unit of work was rolled back, or nobody knows: look up, then run it again."""


class NothingToLand(Exception):
    """No event tells of the rows of this transaction: they are to be rolled back."""


async def land(
    ledger: Ledger, drafted: Append, alongside: Callable[[Connection], Awaitable[None]] | None
) -> Landed:
    """Append, with the rows that ``alongside`` writes if there are any; it may be called again after a rollback.

    Raises:
        VersionConflict: another writer got there first.
        RunAgain: the unit of work has to be run again.
        Overloaded, Unavailable, OutcomeUnknown: as ``Appender.append``.
    """
    if alongside is None:
        return await append(ledger, drafted)
    async with one_transaction(ledger) as conn:
        await alongside(conn)
        return await landed_in(conn, ledger, drafted)


@asynccontextmanager
async def one_transaction(ledger: Ledger) -> AsyncIterator[Connection]:
    """Open a transaction for rows and events; what it appended is announced once it has committed."""
    try:
        async with borrowed(ledger.pool) as conn, _uncancelled(conn), conn.transaction():
            yield conn
    except (*LOST, *UNSETTLED, asyncpg.UniqueViolationError) as unsettled:
        raise RunAgain from unsettled
    ledger.appended.ring()


@asynccontextmanager
async def _uncancelled(conn: Connection) -> AsyncIterator[None]:
    """Cut the line when the caller is cancelled, before the driver asks the server to give up what it is doing.

    That may be waiting for a synchronous standby: a commit that gives up waiting is seen by everybody, and may yet be lost.
    """
    try:
        yield
    except asyncio.CancelledError:
        conn.terminate()
        raise


async def landed_in(conn: Connection, ledger: Ledger, drafted: Append) -> Appended:
    """Append in the caller's transaction.

    Raises:
        RunAgain: the command had taken effect before; its rows are there already: these are to be rolled back.
        NothingToLand: nothing was drafted.
    """
    if not drafted.events:
        raise NothingToLand
    landed = await append_in(conn, ledger.ledger_id, drafted)
    if isinstance(landed, Duplicate):
        raise RunAgain
    return landed


def as_recorded(drafted: Append, landed: Appended, number: int, event: E) -> Recorded[E]:
    """Say what an event of a draft that has landed is, as it is read from the log."""
    return Recorded(
        position=Position(landed.first_position + number),
        stream=drafted.stream,
        version=Version(drafted.expected + number + 1),
        event_id=drafted.events[number].event_id,
        command_id=drafted.provenance.command_id,
        recorded_at=landed.recorded_at,
        actor=drafted.provenance.actor,
        leaf=landed.leaves[number],
        event=event,
    )

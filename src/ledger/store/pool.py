"""Connections to PostgreSQL; ``Pool`` and ``Connection`` are named here once for everybody else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg
import msgspec

from ledger.domain.errors import Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    DirectConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection
    DirectConnection = asyncpg.Connection

SESSION_SETTINGS: Final = {
    "application_name": "ledger",
    "timezone": "UTC",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "synchronous_commit": "on",  # whatever the database's own default is: success means flushed
}
READ_ONLY: Final = {**SESSION_SETTINGS, "default_transaction_read_only": "on"}

CONNECT_TIMEOUT: Final = 10.0

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""What a driver raises when the server is gone, going or full; the outcome of a write is unknown then."""

UNSETTLED: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
"""What a server raises when it rolled back for a reason that another try may not meet."""


class DatabaseUnreachable(Unavailable):
    """The database cannot be reached."""

    code = "database-unreachable"


class Lent(msgspec.Struct, frozen=True):
    """One connection in the place of a pool, for whoever reads from where somebody else has chosen."""

    conn: Connection


Source: TypeAlias = Pool | Lent
"""Where queries may be run: a pool, or one connection that somebody else has borrowed."""


async def _keep_session(_: object) -> None:
    """Skip the reset between users of a pooled connection: nobody changes a session, and it costs a round trip."""


async def open_pool(url: str, *, min_size: int, max_size: int, is_read_only: bool = False) -> Pool:
    """Open connections to ``url``, with time limits on every session; without a ``min_size`` none is opened yet.

    ``is_read_only`` where nothing may be written, whatever the server would let this login do.

    Raises:
        DatabaseUnreachable: nothing answers there, or it refuses this login.
    """
    try:
        return await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            server_settings=READ_ONLY if is_read_only else SESSION_SETTINGS,
            timeout=CONNECT_TIMEOUT,
            reset=_keep_session,
        )
    except (*LOST, asyncpg.PostgresError) as lost:
        raise DatabaseUnreachable(reason=str(lost)) from lost


async def close_pool(pool: Pool) -> None:
    """Close every connection once it is free; one that the server has cut is no trouble."""
    try:
        await pool.close()
    except LOST:
        pool.terminate()


async def connect(url: str) -> DirectConnection:
    """Open one connection outside any pool, for a listener, an appender or a migration.

    Raises:
        DatabaseUnreachable: nothing answers there, or it refuses this login.
    """
    try:
        return await asyncpg.connect(url, server_settings=SESSION_SETTINGS, timeout=CONNECT_TIMEOUT)
    except (*LOST, asyncpg.PostgresError) as lost:
        raise DatabaseUnreachable(reason=str(lost)) from lost


@asynccontextmanager
async def reading(source: Source, *, seconds: float = CONNECT_TIMEOUT) -> AsyncIterator[Connection]:
    """Borrow a connection for queries; wait at most so many ``seconds`` for a free one.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    try:
        if isinstance(source, Lent):
            yield source.conn
        else:
            async with source.acquire(timeout=seconds) as conn:
                yield conn
    except LOST as lost:
        raise DatabaseUnreachable(reason=type(lost).__name__) from lost

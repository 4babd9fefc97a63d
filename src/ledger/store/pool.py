"""Connections to PostgreSQL; ``Pool`` and ``Connection`` are named here once for everybody else."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias
from weakref import WeakSet

import asyncpg
import msgspec

from ledger.domain.errors import Corrupt, Unavailable
from ledger.store.addresses import each_host

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
    "tcp_keepalives_idle": "60",  # lines that are quiet for longer are dropped by what lies between, without a word
    # Whatever the database's own defaults are: success means flushed, and who waited for a lock sees what came before.
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
}
READ_ONLY: Final = {**SESSION_SETTINGS, "default_transaction_read_only": "on"}

CONNECT_TIMEOUT: Final = 10.0
HOST_TIMEOUT: Final = 3.0
"""Of an address of several hosts, each gets so many seconds at most: a machine that is gone does not even refuse."""
GONE_SECONDS: Final = 6.0
"""What all of them but one may take together, so that the one that is there is asked before a lost batch is given up."""

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""What a driver raises when the server is gone, going, full or a standby now; the outcome of a write is unknown then."""

UNSETTLED: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
"""What a server raises when it rolled back for a reason that another try may not meet."""


class DatabaseUnreachable(Unavailable):
    """The database cannot be reached."""

    code = "database-unreachable"


class ImpossibleTime(Corrupt):
    """A stored time is none that this service can hold, and none that it ever writes: somebody has changed the row."""

    code = "impossible-time"
    advice = "An operator finds the row with 'ledger audit verify --database'."


class Lent(msgspec.Struct, frozen=True):
    """One connection in the place of a pool, for whoever reads from where somebody else has chosen."""

    conn: Connection


Source: TypeAlias = Pool | Lent
"""Where queries may be run: a pool, or one connection that somebody else has borrowed."""


async def _keep_session(_: object) -> None:
    """Skip the reset between users of a pooled connection: nobody changes a session, and it costs a round trip."""


class Lines:
    """The connections of one pool, so that all can be given up at once, those in use too."""

    def __init__(self) -> None:
        """Begin without any."""
        self._open = WeakSet[DirectConnection]()

    async def take(self, conn: DirectConnection) -> None:
        """Know of one more."""
        self._open.add(conn)

    def give_up(self) -> None:
        """Cut every one: whoever waits for an answer is told that it is lost, and the pool makes new ones."""
        for conn in tuple(self._open):
            conn.terminate()


def seconds_for_each(hosts: int) -> float:
    """Say how long each of so many ``hosts`` of one address gets to answer."""
    return CONNECT_TIMEOUT if hosts == 1 else min(HOST_TIMEOUT, GONE_SECONDS / (hosts - 1))


class _Dial:
    """Opens connections to the hosts of one address, the one that answered last first."""

    def __init__(self, url: str, *, is_read_only: bool = False) -> None:
        self._urls = list(each_host(url))
        self._settings = READ_ONLY if is_read_only else SESSION_SETTINGS

    async def __call__(self, *_: object, **__: object) -> DirectConnection:
        """Connect to the first host that answers and is what the address asks for; a pool's own options are ours."""
        timeout = seconds_for_each(len(self._urls))
        failures: list[Exception] = []
        for url in tuple(self._urls):
            try:
                conn = await asyncpg.connect(url, server_settings=self._settings, timeout=timeout)
            except (*LOST, asyncpg.PostgresError) as lost:
                failures.append(lost)
            else:
                self._urls.remove(url)
                self._urls.insert(0, url)
                return conn
        raise failures[0]


async def open_pool(
    url: str, *, min_size: int, max_size: int, is_read_only: bool = False, lines: Lines | None = None
) -> Pool:
    """Open connections to ``url``, with time limits on every session; without a ``min_size`` none is opened yet.

    ``is_read_only`` where nothing may be written, whatever the server would let this login do; ``lines`` are to know of
    each.

    Raises:
        DatabaseUnreachable: nothing answers there, or it refuses this login.
    """
    try:
        return await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            connect=_Dial(url, is_read_only=is_read_only),
            init=None if lines is None else lines.take,
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
        return await _Dial(url)()
    except (*LOST, asyncpg.PostgresError) as lost:
        raise DatabaseUnreachable(reason=str(lost)) from lost


@asynccontextmanager
async def borrowed(pool: Pool, *, seconds: float = CONNECT_TIMEOUT) -> AsyncIterator[Connection]:
    """Borrow a connection to work with; what goes wrong with the work is raised as it is.

    Raises:
        DatabaseUnreachable: there is none to be had within so many ``seconds``.
        ImpossibleTime: a row of an answer has a time before the year 1 or after 9999.
    """
    try:
        conn = await pool.acquire(timeout=seconds)
    except (*LOST, asyncpg.PostgresError) as lost:
        raise DatabaseUnreachable(reason=type(lost).__name__) from lost
    try:
        with possible_times():
            yield conn
    finally:
        await pool.release(conn)


@contextmanager
def possible_times() -> Iterator[None]:
    """Tell the driver's complaint of a time that it cannot hold as what it is, where no pool lends the connection.

    Raises:
        ImpossibleTime: a row of an answer has a time before the year 1 or after 9999.
    """
    try:
        yield
    except OverflowError as beyond:
        raise ImpossibleTime from beyond


@asynccontextmanager
async def reading(source: Source, *, seconds: float = CONNECT_TIMEOUT) -> AsyncIterator[Connection]:
    """Borrow a connection for queries; wait at most so many ``seconds`` for a free one.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free, or what is asked for is locked for too long.
        ImpossibleTime: a row of an answer has a time before the year 1 or after 9999.
    """
    try:
        if isinstance(source, Lent):
            with possible_times():
                yield source.conn
        else:
            async with borrowed(source, seconds=seconds) as conn:
                yield conn
    except (*LOST, *UNSETTLED) as lost:
        raise DatabaseUnreachable(reason=type(lost).__name__) from lost

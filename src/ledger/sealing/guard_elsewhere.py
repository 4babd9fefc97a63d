"""A guard in a database of its own, which hosts that may seal in turn share."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from ledger.domain.errors import Unavailable
from ledger.sealing.guard import GuardUnreachable
from ledger.store.pool import LOST, DirectConnection, connect

ASK_SECONDS: Final = 10.0
"""On a dead line nobody says that nothing will come."""

# no binds
MAKE: Final = """
create table if not exists ledger_notary_state (
    origin text collate "C" not null,
    note text not null,
    changed_at timestamptz not null,
    constraint ledger_notary_state_pkey primary key (origin)
)
"""
# no binds
IS_THERE: Final = "select to_regclass('ledger_notary_state') is not null"
# $1 origin
READ: Final = "select note from ledger_notary_state where origin = $1"
# $1 origin, $2 note
FIRST: Final = """
insert into ledger_notary_state (origin, note, changed_at) values ($1, $2, clock_timestamp())
on conflict (origin) do nothing
returning origin
"""
# $1 origin, $2 note, $3 what it must hold
SWAP: Final = """
update ledger_notary_state set note = $2, changed_at = clock_timestamp()
where origin = $1 and note = $3
returning origin
"""


class DatabaseGuard:
    """A guard in a PostgreSQL that is not the ledger's; any number of processes may share it."""

    def __init__(self, url: str, origin: str) -> None:
        """Use the database at ``url``, for the log called ``origin``."""
        self._url, self._origin = url, origin
        self._conn: DirectConnection | None = None
        self._turn = asyncio.Lock()

    @property
    def place(self) -> str:
        """Say where it is."""
        split = urlsplit(self._url)
        return f"{split.hostname or 'a local socket'}{split.path}"

    async def read(self) -> str | None:
        """Read the note; ``None``: there is no row of this log."""
        found = await self._ask(READ, self._origin)
        return None if found is None else str(found)

    async def swap(self, expected: str | None, note: str) -> bool:
        """Write the row if it holds ``expected``, flushed."""
        if expected is None:
            return await self._ask(FIRST, self._origin, note) is not None
        return await self._ask(SWAP, self._origin, note, expected) is not None

    async def close(self) -> None:
        """Close the connection."""
        if self._conn is not None:
            self._conn.terminate()

    async def _ask(self, statement: str, *binds: str) -> object:
        """Run one statement on a connection that is kept; a lost one is replaced the next time."""
        async with self._turn:
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    if self._conn is None or self._conn.is_closed():
                        self._conn = await _opened(self._url)
                    return await self._conn.fetchval(statement, *binds)
            except (*LOST, asyncpg.PostgresError, Unavailable) as lost:
                if self._conn is not None:
                    self._conn.terminate()
                    self._conn = None
                raise GuardUnreachable(place=self.place, reason=type(lost).__name__) from lost


async def _opened(url: str) -> DirectConnection:
    conn = await connect(url)
    if not await conn.fetchval(IS_THERE):
        await conn.execute(MAKE)
    return conn

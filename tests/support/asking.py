"""What a process asks its database for: ``async with Statements(ledger.pool) as asked``."""

from typing import Self

from asyncpg.connection import LoggedQuery

from ledger.store.pool import Pool


class Statements:
    """What is asked over every connection of a pool, in its order."""

    def __init__(self, pool: Pool) -> None:
        self._pool, self.seen = pool, list[str]()

    async def __aenter__(self) -> Self:
        await self._each("add_query_logger")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._each("remove_query_logger")

    async def _each(self, act: str) -> None:
        held = [await self._pool.acquire() for _ in range(self._pool.get_max_size())]
        for conn in held:
            getattr(conn, act)(self._note)
        for conn in held:
            await self._pool.release(conn)

    def _note(self, record: LoggedQuery) -> None:
        self.seen.append(record.query)

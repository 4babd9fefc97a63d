"""Our store, through both of its doors: the appender, and one call of the SQL function per command."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self
from uuid import UUID

from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled
from benchmarks.workload import Sample, Texts, closed_loop, new_append
from ledger.domain.ids import Position
from ledger.store.appends import Append, Appended, Landed
from ledger.store.ledger import Ledger
from ledger.store.streams import append, append_in

POOL: Final = 8
# $1 ledger, $2 after this position
STORED: Final = """
select position, event_id, leaf_hash from ledger.events where ledger_id = $1 and position > $2 order by position
"""


class Account:
    """Everything acknowledged since the head was last looked at, to be found again in the log."""

    def __init__(self, after: Position) -> None:
        self._after = after
        self._acknowledged: dict[UUID, tuple[int, bytes]] = {}
        self._last: dict[int, int] = {}

    def note(self, client: int, asked: Append, landed: Landed) -> None:
        if not isinstance(landed, Appended):
            raise LostOrDoubled(asked.stream)
        if landed.first_position <= self._last.get(client, 0):
            raise LostOrDoubled(f"client {client} was overtaken by itself at {landed.first_position}")
        self._last[client] = landed.first_position
        self._acknowledged[asked.events[0].event_id] = (landed.first_position, landed.leaves[0])

    def acknowledged(self) -> int:
        return len(self._acknowledged)

    async def compare(self, ledger: Ledger, *, alone: bool = True) -> None:
        """Hold the log against what was acknowledged; ``alone`` says that nobody else has written."""
        rows = await ledger.pool.fetch(STORED, ledger.ledger_id, self._after)
        positions = [row["position"] for row in rows]
        if positions != list(range(self._after + 1, self._after + 1 + len(rows))):
            raise LostOrDoubled("the positions have holes")
        stored = {row["event_id"]: (row["position"], row["leaf_hash"]) for row in rows}
        if len(stored) != len(rows) or (alone and len(rows) != len(self._acknowledged)):
            raise LostOrDoubled(f"{len(rows)} stored, {len(self._acknowledged)} acknowledged")
        if any(stored.get(event) != where for event, where in self._acknowledged.items()):
            raise LostOrDoubled("an acknowledged event is not where the answer said")


class _Doors:
    name = ""
    configuration = ""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.database = await self._stack.enter_async_context(self._server.ledger())
        opened = await Ledger.open(self.database.service_url, min_size=POOL, max_size=POOL)
        self.ledger = await self._stack.enter_async_context(opened)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, in_flight: int, texts: Texts, seconds: float) -> Sample:
        account = Account(await self.ledger.head())

        async def once(client: int) -> None:
            asked = new_append(texts, client)
            account.note(client, asked, await self.append(asked))

        sample = await closed_loop(in_flight, seconds, once)
        await account.compare(self.ledger)
        return sample

    async def append(self, asked: Append) -> Landed:
        raise NotImplementedError


class GroupCommit(_Doors):
    """The appender: while one batch commits, the next one forms."""

    name = "decision-ledger"
    configuration = "the service's appender: one connection, batches of at most 256 appends"

    async def append(self, asked: Append) -> Landed:
        return await append(self.ledger, asked)


class OneCall(_Doors):
    """The same bytes by the same SQL, without the batch."""

    name = "one call per command"
    configuration = f"ledger.append_one through an asyncpg pool of {POOL} without reset"

    async def append(self, asked: Append) -> Landed:
        async with self.ledger.pool.acquire() as conn:
            return await append_in(conn, self.ledger.ledger_id, asked)

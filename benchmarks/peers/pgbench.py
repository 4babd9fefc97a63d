"""Single-row INSERTs by pgbench: what the server can take from a client in C that keeps no promises."""

import asyncio
import os
import re
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import asyncpg

from benchmarks.server import Database, Server, pgbench
from benchmarks.subject import LostOrDoubled, NotAvailable
from benchmarks.workload import Sample, Texts, new_append
from ledger.store.appends import stamp
from ledger.store.ledger import LEDGER_ID

BARE_TABLE: Final = (
    "create table bare (id bigint generated always as identity primary key, payload text not null)"
)
BARE_INSERT: Final = "insert into bare (payload) values (:payload);\n"
SEQUENCE: Final = "create sequence ledger.measured_position"
# An event as our append writes it, with ids that count up where the server can make such.
EVENT_INSERT: Final = """
insert into ledger.events (
    ledger_id, position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id,
    correlation_id, envelope, salt, payload)
values (
    1, nextval('ledger.measured_position'), concat('session-', gen_random_uuid()), 1, 'benchmark-measured', 1,
    {new_id}(), now(), gen_random_uuid()::text, {new_id}(), '', convert_to(:envelope, 'UTF8'),
    uuid_send(gen_random_uuid()), convert_to(:payload, 'UTF8'));
"""
FIRST_WITH_TIME_ORDERED_IDS: Final = 180000
DONE: Final = re.compile(r"number of transactions actually processed: (\d+)")
RATE: Final = re.compile(r"tps = ([\d.]+) \(without initial connection time\)")


class _Pgbench:
    """As many connections as there are clients, prepared statements, one thread a core."""

    name = ""
    row = ""
    count = ""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stack = AsyncExitStack()
        self._threads = os.cpu_count() or 1
        self._expected = 0

    @property
    def configuration(self) -> str:
        return f"a connection per client, {self._threads} threads, prepared; {self.row}"

    async def __aenter__(self) -> Self:
        program = pgbench()
        if program is None:
            raise NotAvailable("there is no pgbench beside this PostgreSQL")
        self._program = program
        self._database, insert = await self._prepared()
        self._script = self._server.folder / f"{self._database.name}.sql"
        self._script.write_text(insert)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, in_flight: int, texts: Texts, seconds: float) -> Sample:
        sealed = stamp(new_append(texts, 0), LEDGER_ID).events[0]
        values = {"payload": sealed.event.payload.decode(), "envelope": sealed.envelope.decode()}
        options = (
            *("--no-vacuum", "--protocol=prepared", f"--time={max(1, round(seconds))}"),
            *(f"--client={in_flight}", f"--jobs={min(in_flight, self._threads)}", f"--file={self._script}"),
            *(f"--define={name}={value}" for name, value in values.items()),
            *(f"--host={self._database.host()}", f"--port={self._database.port()}"),
            *(f"--username={self._database.owner()}", self._database.name),
        )
        process = await asyncio.create_subprocess_exec(
            self._program, *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        answer = (await process.communicate())[0].decode()
        done, rate = DONE.search(answer), RATE.search(answer)
        if (
            done is not None and done[1] == "0"
        ):  # it had not connected when its time was up, and names no rate
            return Sample(acknowledged=0, seconds=seconds)
        if process.returncode != 0 or done is None or rate is None:
            raise NotAvailable(f"pgbench failed: {answer.strip().splitlines()[-1]}")
        self._expected += int(done[1])
        await self._compare()
        return Sample(acknowledged=int(done[1]), seconds=int(done[1]) / float(rate[1]))

    async def _prepared(self) -> tuple[Database, str]:
        """Make the table; the database it is in, and the script."""
        raise NotImplementedError

    async def _compare(self) -> None:
        conn = await asyncpg.connect(self._database.owner_url)
        try:
            stored = await conn.fetchval(self.count)
        finally:
            await conn.close()
        if stored != self._expected:
            raise LostOrDoubled(f"{stored} stored, {self._expected} acknowledged")


class PgbenchEvent(_Pgbench):
    """The very row of ours into the very table of ours, but without order, versions or idempotency."""

    name = "pgbench INSERT"
    row = "one row of ours into our own table by INSERT, its position from a sequence"
    count = "select count(*) from ledger.events"

    async def _prepared(self) -> tuple[Database, str]:
        database = await self._stack.enter_async_context(self._server.ledger())
        await database.execute(SEQUENCE)
        has_time_ordered_ids = await database.version() >= FIRST_WITH_TIME_ORDERED_IDS
        new_id = "uuidv7" if has_time_ordered_ids else "gen_random_uuid"
        return database, EVENT_INSERT.format(new_id=new_id)


class PgbenchBare(_Pgbench):
    """The least a table can be: a key that counts up, and the payload; no second index, no hash, no ids."""

    name = "pgbench bare"
    row = "a table of an identity key and the payload, no other index, no ids, no hash"
    count = "select count(*) from bare"

    async def _prepared(self) -> tuple[Database, str]:
        database = await self._stack.enter_async_context(self._server.scratch())
        await database.execute(BARE_TABLE)
        return database, BARE_INSERT

"""A single-row INSERT by pgbench: what the server can take from a client in C that keeps no promises."""

import asyncio
import os
import re
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import asyncpg

from benchmarks.server import Server, pgbench
from benchmarks.subject import LostOrDoubled, NotAvailable
from benchmarks.workload import Sample, Texts

TABLE: Final = (
    "create table single_row (id bigint generated always as identity primary key, payload text not null)"
)
INSERT: Final = "insert into single_row (payload) values (:payload);\n"
DONE: Final = re.compile(r"number of transactions actually processed: (\d+)")
RATE: Final = re.compile(r"tps = ([\d.]+) \(without initial connection time\)")


class PgbenchInsert:
    """As many connections as there are clients, prepared statements, one thread a core."""

    name = "pgbench INSERT"

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stack = AsyncExitStack()
        self._threads = os.cpu_count() or 1
        self._expected = 0

    @property
    def configuration(self) -> str:
        return (
            f"a connection per client, {self._threads} threads, prepared; "
            "a table of an identity key and the payload, no other index, no hash"
        )

    async def __aenter__(self) -> Self:
        program = pgbench()
        if program is None:
            raise NotAvailable("there is no pgbench beside this PostgreSQL")
        self._program = program
        self._database = await self._stack.enter_async_context(self._server.scratch())
        await self._database.execute(TABLE)
        self._script = self._server.folder / "single_row.sql"
        self._script.write_text(INSERT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, in_flight: int, texts: Texts, seconds: float) -> Sample:
        payload = texts.payload(0).decode()
        options = (
            *("--no-vacuum", "--protocol=prepared", f"--time={max(1, round(seconds))}"),
            *(f"--client={in_flight}", f"--jobs={min(in_flight, self._threads)}"),
            *(f"--file={self._script}", f"--define=payload={payload}", f"--host={self._database.host()}"),
            *(f"--port={self._database.port()}", f"--username={self._database.owner()}", self._database.name),
        )
        process = await asyncio.create_subprocess_exec(
            self._program, *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        answer = (await process.communicate())[0].decode()
        done, rate = DONE.search(answer), RATE.search(answer)
        if process.returncode != 0 or done is None or rate is None:
            raise NotAvailable(f"pgbench failed: {answer.strip().splitlines()[-1]}")
        self._expected += int(done[1])
        await self._count()
        return Sample(acknowledged=int(done[1]), seconds=int(done[1]) / float(rate[1]))

    async def _count(self) -> None:
        conn = await asyncpg.connect(self._database.owner_url)
        try:
            stored = await conn.fetchval("select count(*) from single_row")
        finally:
            await conn.close()
        if stored != self._expected:
            raise LostOrDoubled(f"{stored} stored, {self._expected} acknowledged")

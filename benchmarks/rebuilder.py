"""A process that rebuilds a read model of a log: reads its job, takes turns with plain reading, prints what it took."""

import asyncio
import gc
import itertools
import sys
import time

import msgspec
import uvloop

from benchmarks.machine import resident
from benchmarks.subject import LostOrDoubled
from ledger.domain.ids import Position
from ledger.projections import rebuild
from ledger.projections.rebuilds import Kind
from ledger.projections.views.decisions import DECISIONS
from ledger.store.ledger import Ledger
from ledger.store.streams import read_log


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Which log, and in how many pieces it is read and rebuilt."""

    url: str
    rounds: int


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds for each piece, and the process's memory at its peak."""

    streaming: list[float]
    rebuilding: list[float]
    peak_bytes: int


async def work(job: Job) -> Done:
    streaming, rebuilding = [], []
    async with await Ledger.open(job.url, max_size=2) as ledger:
        gc.freeze()  # as the service does, once it has started
        head = await ledger.head()
        async with ledger.pool.acquire() as conn, conn.transaction():
            await rebuild.begin(conn, ledger.ledger_id, DECISIONS, Kind.REBUILD)
        ends = [Position(head * number // job.rounds) for number in range(job.rounds + 1)]
        for after, upto in itertools.pairwise(ends):
            streaming.append(await _streamed(ledger, after, upto))
            rebuilding.append(await _rebuilt(ledger, after, upto))
        rows = await ledger.pool.fetchval("select sum(version) from views_build.decisions_v2")
    if rows != head:
        raise LostOrDoubled(f"the rows account for {rows} events of {head}")
    return Done(streaming=streaming, rebuilding=rebuilding, peak_bytes=resident().get("peak", 0))


async def _streamed(ledger: Ledger, after: Position, upto: Position) -> float:
    began = time.perf_counter()
    async with ledger.pool.acquire() as conn:
        while after < upto:
            limit = min(rebuild.BATCH, upto - after)
            log = await read_log(conn, ledger.ledger_id, after=after, wanted=DECISIONS.wanted(), limit=limit)
            after = log[-1].position
    return time.perf_counter() - began


async def _rebuilt(ledger: Ledger, after: Position, upto: Position) -> float:
    began = time.perf_counter()
    async with ledger.pool.acquire() as conn:
        while step := await rebuild.advance(conn, ledger.ledger_id, DECISIONS, after=after, upto=upto):
            after = step.position
    return time.perf_counter() - began


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        done = runner.run(work(msgspec.json.decode(sys.stdin.readline(), type=Job)))
    print(msgspec.json.encode(done).decode(), flush=True)

"""What a second process on the same ledger costs: each has an appender of its own."""

import asyncio
import sys
from contextlib import AsyncExitStack
from statistics import median
from typing import Final

import asyncpg
import msgspec

from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, per_second, ratio
from benchmarks.scale import KB, Scale
from benchmarks.server import Database, Server
from benchmarks.subject import LostOrDoubled
from benchmarks.worker import Done, Job

IN_FLIGHT: Final = 64
STORED: Final = "select count(*), coalesce(max(position), 0) from ledger.events"


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Compare one process with two that share the same load, and with two that each bring as much."""
    in_flight = min(IN_FLIGHT, scale.in_flight[-1])
    crews = {
        f"1 process × {in_flight}": [in_flight],
        f"2 processes × {in_flight // 2}": [in_flight // 2] * 2,
        f"2 processes × {in_flight}": [in_flight] * 2,
    }
    rates: dict[str, list[float]] = {crew: [] for crew in crews}
    peaks: list[float] = []
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(server.ledger())
        for _ in range(scale.rounds):
            for crew, clients in crews.items():
                progress.say(f"append: {crew}")
                await server.checkpoint()
                done = await _together(database, clients, scale)
                rates[crew].append(sum(one.acknowledged / one.seconds for one in done))
                peaks += [one.peak_bytes for one in done]
    one, shared, doubled = rates
    row = [
        (crew, per_second(median(found)), f"{ratio(found, rates[one]):.2f}×") for crew, found in rates.items()
    ]
    columns = ("processes × in flight each", "appends a second", "against one process")
    bar = Bar(
        what="two processes on one ledger, same load as one",
        reached=ratio(rates[shared], rates[one]),
        direction="at least",
        bar=0.8,
    )
    title = f"Several processes on one ledger ({scale.payloads[0] / KB:g} kB)"
    return Part(
        name="processes",
        tables=(Table(title=title, columns=columns, rows=tuple(row)),),
        figures={
            "processes.one": median(rates[one]),
            "processes.two_shared": median(rates[shared]),
            "processes.two_doubled": median(rates[doubled]),
            "processes.peak_bytes": max(peaks),
        },
        bars=(bar,),
    )


async def _together(database: Database, clients: list[int], scale: Scale) -> list[Done]:
    """Start one worker for each entry, let them go at once, and hold the ledger against what they say."""
    before = await _stored(database)
    jobs = [
        Job(url=database.service_url, in_flight=count, payload=scale.payloads[0], seconds=scale.seconds)
        for count in clients
    ]
    workers = [await _start(job, is_alone=len(clients) == 1) for job in jobs]
    for worker in workers:
        await _line(worker)  # it is warm
    for worker in workers:
        _tell(worker, b"go\n")
    done = [msgspec.json.decode(await _line(worker), type=Done) for worker in workers]
    for worker in workers:
        _tell(worker, b"done\n")
        if await worker.wait() != 0:
            raise LostOrDoubled("a worker did not find what it was answered")
    after = await _stored(database)
    if after - before != sum(one.acknowledged + one.warmed_up for one in done):
        raise LostOrDoubled(f"{after - before} stored by {len(done)} processes")
    return done


async def _start(job: Job, *, is_alone: bool) -> asyncio.subprocess.Process:
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.worker", "alone" if is_alone else "together"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    _tell(worker, msgspec.json.encode(job) + b"\n")
    return worker


def _tell(worker: asyncio.subprocess.Process, line: bytes) -> None:
    if worker.stdin is None:
        raise AssertionError
    worker.stdin.write(line)


async def _line(worker: asyncio.subprocess.Process) -> bytes:
    if worker.stdout is None:
        raise AssertionError
    line = await worker.stdout.readline()
    if not line:
        raise LostOrDoubled("a worker ended early")
    return line


async def _stored(database: Database) -> int:
    conn = await asyncpg.connect(database.service_url)
    try:
        row = await conn.fetchrow(STORED)
    finally:
        await conn.close()
    if row is None or row["count"] != row["coalesce"]:
        raise LostOrDoubled("the positions have holes")
    return int(row["count"])

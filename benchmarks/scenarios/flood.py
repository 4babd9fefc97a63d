"""What a flood of logins costs those who only read."""

import asyncio
from statistics import median
from typing import Final

from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, milliseconds, percentile
from benchmarks.scale import Scale
from benchmarks.scenarios.http import Visit
from benchmarks.server import Server
from benchmarks.service import Service, serving
from benchmarks.workload import closed_loop, open_loop

AT_ONCE: Final = 100
READS: Final = 50  # a second
FLOODER: Final = "flooder"
MOST_TIMES: Final = 5


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Read at random moments, in turns alone and while logins of one account keep coming."""
    alone: list[list[float]] = []
    flooded: list[list[float]] = []
    logins: list[float] = []
    async with server.ledger() as database, serving(database, server.folder) as service:
        token = await service.login()
        await service.register(
            FLOODER, token
        )  # an account keeps so many sessions: the reader's must not be ended
        visit = Visit(service, token)
        await visit.submit()
        await _reads(visit, scale.http_load_seconds / 4)
        for _ in range(scale.decisive_rounds):
            progress.say(f"flood: {READS} reads a second")
            alone.append(await _reads(visit, scale.http_load_seconds / 2))
            progress.say(f"flood: the same with {AT_ONCE} logins at a time")
            waits, rate = await _reads_in_a_flood(service, visit, scale.http_load_seconds / 2)
            flooded.append(waits)
            logins.append(rate)
    return _part(alone, flooded, logins)


async def _reads(visit: Visit, seconds: float) -> list[float]:
    return await open_loop(READS, seconds, lambda _: visit.read(visit.submitted[0]))


async def _reads_in_a_flood(service: Service, visit: Visit, seconds: float) -> tuple[list[float], float]:
    async def login(_: int) -> None:
        await service.login(FLOODER)

    flood = asyncio.create_task(closed_loop(AT_ONCE, seconds, login))
    waits = await _reads(visit, seconds)
    return waits, (await flood).rate()


def _part(alone: list[list[float]], flooded: list[list[float]], logins: list[float]) -> Part:
    def typical(rounds: list[list[float]], share: float) -> float:
        return median(percentile(found, share) for found in rounds)

    rows = tuple(
        (name, milliseconds(typical(rounds, 0.5)), milliseconds(typical(rounds, 0.99)))
        for name, rounds in (
            ("a read, alone", alone),
            (f"a read, among {median(logins):.0f} logins a second", flooded),
        )
    )
    times = median(
        percentile(busy, 0.99) / percentile(idle, 0.99) for busy, idle in zip(flooded, alone, strict=True)
    )
    return Part(
        name="flood",
        tables=(
            Table(
                title=f"Milliseconds, {READS} reads a second in rounds that take turns",
                columns=("what", "p50", "p99"),
                rows=rows,
            ),
        ),
        figures={
            "flood.alone.p99_ms": typical(alone, 0.99) * 1000,
            "flood.flooded.p99_ms": typical(flooded, 0.99) * 1000,
            "flood.logins_per_second": median(logins),
        },
        bars=(
            Bar(
                what="p99 of a read during a flood of logins, against no flood",
                reached=times,
                direction="at most",
                bar=MOST_TIMES,
            ),
        ),
        notes=("The client that floods runs on the same cores.",),
    )

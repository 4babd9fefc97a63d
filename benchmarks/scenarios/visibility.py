"""How long after its commit an event shows in the read models."""

import asyncio
import time
from statistics import median
from typing import Final
from uuid import uuid4

from benchmarks.decisions import submission
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, milliseconds, percentile
from benchmarks.scale import Scale
from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled
from benchmarks.workload import open_loop
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Priority
from ledger.domain.ids import DecisionId
from ledger.projections.catalog import ALL
from ledger.projections.progress import Progress as Positions
from ledger.projections.runner import Runner
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.streams import Stream, append, draft, new_command_id

RATE: Final = 500
BAR: Final = 100.0  # ms
NAMES: Final = tuple(feed.name for feed in ALL)


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Submit decisions at random moments with every read model at work, as in the service's one process."""
    waits: list[list[float]] = []
    async with server.ledger() as database:
        ledger = await Ledger.open(database.service_url)
        positions = Positions(ledger)
        runner = Runner(ledger, positions)
        async with ledger:
            positions.start()
            runner.start()
            await _seen(ledger, positions)
            for _ in range(scale.decisive_rounds):
                progress.say(f"visibility: {RATE} submissions a second")
                await server.checkpoint()
                waits.append(await _round(ledger, positions, scale.seconds))
            await runner.stop()
            await positions.stop()
    return _part(waits)


async def _round(ledger: Ledger, positions: Positions, seconds: float) -> list[float]:
    waits: list[float] = []

    async def once(_: int) -> None:
        waits.append(await _seen(ledger, positions))

    await open_loop(RATE, seconds, once)
    return waits


async def _seen(ledger: Ledger, positions: Positions) -> float:
    """Submit a decision; seconds from the answer of the append until all read models show it."""
    command = submission(DecisionId(f"BENCH-{uuid4()}"), Priority.HIGH)
    stream = Stream(name=ledger.decision_stream(command.decision_id), events=())
    by_us = Provenance(actor=str(command.by.person), command_id=new_command_id())
    landed = await append(ledger, draft(stream, DECISION.decide(command, DECISION.initial), by_us))
    committed = time.perf_counter()
    async with asyncio.timeout(30):
        while await positions.wait_for(NAMES, landed.first_position):  # noqa: ASYNC110 - it is the event to wait for
            await asyncio.sleep(0.01)  # it gives up early on a view that has been behind for long
    if any(positions.position(name) < landed.first_position for name in NAMES):
        raise LostOrDoubled(f"position {landed.first_position} does not show")
    return time.perf_counter() - committed


def _part(waits: list[list[float]]) -> Part:
    everyday = median(percentile(found, 0.5) for found in waits)
    slowest = median(percentile(found, 0.99) for found in waits)
    return Part(
        name="visibility",
        tables=(
            Table(
                title=f"Milliseconds from commit until all {len(NAMES)} read models show it, {RATE} events a second",
                columns=("p50", "p99"),
                rows=((milliseconds(everyday), milliseconds(slowest)),),
            ),
        ),
        figures={"visibility.p50_ms": everyday * 1000, "visibility.p99_ms": slowest * 1000},
        bars=(
            Bar(
                what=f"p99 from commit to visible at {RATE} events a second",
                reached=slowest * 1000,
                direction="at most",
                bar=BAR,
                unit="ms",
            ),
        ),
    )

"""What a rebuild costs beside reading the same log, and how much memory it takes."""

import asyncio
import sys
from statistics import median
from typing import Final

import msgspec

from benchmarks.decisions import life
from benchmarks.filling import Recipe, fill
from benchmarks.progress import Progress
from benchmarks.rebuilder import Done, Job
from benchmarks.result import Bar, Part, Table, per_second, ratio
from benchmarks.scale import Scale
from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled
from ledger.domain.event import type_name
from ledger.domain.ids import DecisionId
from ledger.projections.rebuild import BATCH
from ledger.store.codec import encode

ROUNDS: Final = 5
MOST_TIMES: Final = 9
MOST_MEMORY: Final = 300  # MB
MB: Final = 1_000_000


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Fill a log with whole decisions; read and rebuild it piece by piece, in a process of its own."""
    async with server.ledger() as database:
        progress.say(f"rebuilding: filling a log with {scale.rebuilt:,} events")
        await fill(database, scale.rebuilt, _whole_decisions())
        await server.checkpoint()
        progress.say(f"rebuilding: {scale.rebuilt:,} events")
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.rebuilder"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        job = msgspec.json.encode(Job(url=database.service_url, rounds=ROUNDS))
        answer, _ = await worker.communicate(job + b"\n")
    if worker.returncode != 0:
        raise LostOrDoubled("the rebuild did not account for the log")
    return _part(msgspec.json.decode(answer, type=Done), scale.rebuilt)


def _whole_decisions() -> Recipe:
    events = life(DecisionId("BENCH-%"))
    return Recipe(
        types=tuple(type_name(type(event)) for event in events),
        schema_versions=tuple(event.schema_version for event in events),
        payloads=tuple(encode(event).decode() for event in events),
    )


def _part(done: Done, events: int) -> Part:
    times = ratio(done.rebuilding, done.streaming)
    rows = tuple(
        (name, f"{sum(took):.1f}", per_second(events / sum(took)), f"{median(took) * ROUNDS:.1f}")
        for name, took in (("reading the log", done.streaming), ("rebuilding from it", done.rebuilding))
    )
    return Part(
        name="rebuilding",
        tables=(
            Table(
                title=f"{events:,} events, four a decision, in batches of {BATCH:,}, in {ROUNDS} pieces that take turns",
                columns=(
                    "what",
                    "seconds in all",
                    "events a second",
                    f"{ROUNDS} × the median piece, seconds",
                ),
                rows=rows,
            ),
        ),
        figures={
            "rebuilding.stream_seconds": sum(done.streaming),
            "rebuilding.rebuild_seconds": sum(done.rebuilding),
            "rebuilding.peak_bytes": done.peak_bytes,
        },
        bars=(
            Bar(
                what=f"rebuilding {events:,} events, against reading them",
                reached=times,
                direction="at most",
                bar=MOST_TIMES,
            ),
            Bar(
                what="memory of the process that rebuilds, at its peak",
                reached=done.peak_bytes / MB,
                direction="at most",
                bar=MOST_MEMORY,
                unit="MB",
            ),
        ),
        notes=("The read model of decisions, into fresh tables beside those that serve.",),
    )

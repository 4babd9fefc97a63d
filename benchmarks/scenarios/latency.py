"""How long one append takes at half of the peak load, beside what the disk asks for one flush."""

import asyncio
import os
import time
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.peers.ours import Account, GroupCommit
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, milliseconds, per_second, percentile
from benchmarks.scale import Scale
from benchmarks.server import Server
from benchmarks.workload import Texts, new_append, open_loop

IN_FLIGHT: Final = 64
WAL_PAGE: Final = 8192
PAGES: Final = 256
ALLOWANCE: Final = 0.020  # seconds


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Take turns: the disk alone, then appends at random moments at half of the peak rate."""
    texts = Texts(scale.payloads[0])
    flushes: list[float] = []
    waits: list[list[float]] = []
    async with GroupCommit(server) as ours:
        progress.say("latency: the peak")
        await ours.run(IN_FLIGHT, texts, min(0.3, scale.seconds))
        peak = (await ours.run(IN_FLIGHT, texts, scale.seconds)).rate()
        for _ in range(scale.decisive_rounds):
            progress.say(f"latency: {per_second(peak / 2)} appends a second")
            await server.checkpoint()
            flushes += await asyncio.to_thread(flush, server.folder, scale.seconds / 4)
            waits.append(await _appends(ours, texts, peak / 2, scale.seconds))
    return _part(peak, waits, flushes)


def flush(folder: Path, seconds: float) -> list[float]:
    """Time flushes of one page, written over in place as the server does with its log."""
    took: list[float] = []
    clock = time.perf_counter
    place = folder / "flush.probe"
    page = os.urandom(WAL_PAGE)
    place.write_bytes(page * PAGES)
    descriptor = os.open(place, os.O_RDWR)
    try:
        os.fsync(descriptor)
        began = clock()
        while clock() - began < seconds:
            before = clock()
            os.pwrite(descriptor, page, WAL_PAGE * (len(took) % PAGES))
            os.fdatasync(descriptor)
            took.append(clock() - before)
    finally:
        os.close(descriptor)
        place.unlink()
    return took


async def _appends(ours: GroupCommit, texts: Texts, rate: float, seconds: float) -> list[float]:
    account = Account(await ours.ledger.head())

    async def once(number: int) -> None:
        asked = new_append(texts, number)
        account.note(number, asked, await ours.append(asked))

    waits = await open_loop(rate, seconds, once)
    await account.compare(ours.ledger)
    return waits


def _part(peak: float, waits: list[list[float]], flushes: list[float]) -> Part:
    median_flush = median(flushes)
    slowest = median(percentile(found, 0.99) for found in waits)
    everyday = median(percentile(found, 0.5) for found in waits)
    table = Table(
        title="Milliseconds, in rounds that take turns",
        columns=("what", "p50", "p99"),
        rows=(
            (
                f"an append, at {per_second(peak / 2)} a second (half of the peak)",
                milliseconds(everyday),
                milliseconds(slowest),
            ),
            (
                "a flush of one page, alone",
                milliseconds(median_flush),
                milliseconds(percentile(flushes, 0.99)),
            ),
        ),
    )
    bar = Bar(
        what="p99 of an append at half of the peak, against 10 × the median flush + 20 ms",
        reached=slowest * 1000,
        direction="at most",
        bar=round((10 * median_flush + ALLOWANCE) * 1000, 1),
        unit="ms",
    )
    figures = {
        "latency.peak_rate": peak,
        "latency.append.p50_ms": everyday * 1000,
        "latency.append.p99_ms": slowest * 1000,
        "latency.flush.p50_ms": median_flush * 1000,
        "latency.flush.p99_ms": percentile(flushes, 0.99) * 1000,
    }
    return Part(name="latency", tables=(table,), figures=figures, bars=(bar,))

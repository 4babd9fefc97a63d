"""How long it takes to read a stream and decode it, by its length."""

import time
from statistics import median
from typing import Final
from uuid import uuid4

from benchmarks.peers.ours import GroupCommit
from benchmarks.progress import Progress
from benchmarks.result import Part, Table, milliseconds, percentile
from benchmarks.scale import Scale
from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled
from benchmarks.workload import Measured, Texts
from ledger.domain.ids import SessionId, StreamName
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger, session_stream
from ledger.store.streams import append, draft, new_command_id, read_stream, recorded

PER_APPEND: Final = 100
MOST: Final = 500


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Write streams of every length, then read each alone, over and over."""
    texts = Texts(scale.payloads[0])
    took: dict[int, list[float]] = {}
    async with GroupCommit(server) as ours:
        for length in scale.lengths:
            progress.say(f"reading: a stream of {length:,} events")
            name = await _written(ours.ledger, texts, length)
            await _read(ours.ledger, name, length)
            began = time.perf_counter()
            took[length] = []
            while time.perf_counter() - began < scale.seconds and len(took[length]) < MOST:
                took[length].append(await _read(ours.ledger, name, length))
    rows = tuple(
        (
            f"{length:,}",
            milliseconds(median(found)),
            milliseconds(percentile(found, 0.99)),
            f"{length / median(found):,.0f}",
        )
        for length, found in took.items()
    )
    columns = ("events in the stream", "ms, p50", "ms, p99", "events a second")
    return Part(
        name="reading",
        tables=(Table(title="Reading and decoding one whole stream", columns=columns, rows=rows),),
        figures={f"reading.{length}.ms": median(found) * 1000 for length, found in took.items()},
        notes=("Commands read a stream as its snapshot and the events after it, so few read a long one.",),
    )


async def _written(ledger: Ledger, texts: Texts, length: int) -> StreamName:
    name = session_stream(SessionId(uuid4()))
    for first in range(0, length, PER_APPEND):
        events = [texts.event(number) for number in range(first, min(first + PER_APPEND, length))]
        by_us = Provenance(actor="system", command_id=new_command_id())
        await append(ledger, draft(await read_stream(ledger, name), events, by_us))
    return name


async def _read(ledger: Ledger, name: StreamName, length: int) -> float:
    began = time.perf_counter()
    stream = await read_stream(ledger, name)
    events = [recorded(stored, (Measured,)) for stored in stream.events]
    took = time.perf_counter() - began
    if [event.version for event in events] != list(range(1, length + 1)):
        raise LostOrDoubled(name)
    return took

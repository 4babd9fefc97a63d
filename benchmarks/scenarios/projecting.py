"""How fast the read models follow: batches as the runner makes them, on a log that is already there."""

import asyncio
import time
from typing import Final

from benchmarks.decisions import submission
from benchmarks.peers.ours import GroupCommit
from benchmarks.progress import Progress
from benchmarks.result import Part, Table, per_second
from benchmarks.scale import Scale
from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Priority
from ledger.domain.ids import DecisionId
from ledger.projections.batch import run_batch
from ledger.projections.catalog import ALL
from ledger.projections.checkpoints import read_position
from ledger.projections.follower import MAX_BATCH
from ledger.projections.projection import Feed
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.streams import Stream, append, draft, new_command_id

WRITERS: Final = 64


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Submit decisions, then bring every read model level, one after the other."""
    rates: dict[str, float] = {}
    async with GroupCommit(server) as ours:
        progress.say(f"projecting: submitting {scale.projected:,} decisions")
        await submit(ours.ledger, scale.projected)
        for feed in ALL:
            progress.say(f"projecting: {feed.name}")
            rates[feed.name] = await _follow(ours.ledger, feed)
    title = f"Events a second, {scale.projected:,} submissions in batches of {MAX_BATCH}"
    rows = tuple((name, per_second(rate)) for name, rate in rates.items())
    return Part(
        name="projecting",
        tables=(Table(title=title, columns=("read model", "events a second"), rows=rows),),
        figures={f"projecting.{name}": rate for name, rate in rates.items()},
        notes=("Read models that want none of these events show how fast the log is paged through.",),
    )


async def submit(ledger: Ledger, count: int) -> None:
    """Submit ``count`` decisions, 64 at once."""
    numbers = iter(range(count))

    async def writer() -> None:
        for number in numbers:
            await _append(ledger, number)

    await asyncio.gather(*(writer() for _ in range(WRITERS)))


async def _append(ledger: Ledger, number: int) -> None:
    command = submission(DecisionId(f"BENCH-{number}"), tuple(Priority)[number % len(Priority)])
    stream = Stream(name=ledger.decision_stream(command.decision_id), events=())
    events = DECISION.decide(command, DECISION.initial)
    by_us = Provenance(actor=str(command.by.person), command_id=new_command_id())
    await append(ledger, draft(stream, events, by_us))


async def _follow(ledger: Ledger, feed: Feed) -> float:
    began = time.perf_counter()
    head = await ledger.head()
    async with ledger.pool.acquire() as conn:
        position = await read_position(conn, ledger.ledger_id, feed)
        while step := await run_batch(conn, ledger.ledger_id, feed, after=position, limit=MAX_BATCH):
            position = step.position
    if position != head:
        raise LostOrDoubled(f"{feed.name} ended at {position} of {head}")
    return head / (time.perf_counter() - began)

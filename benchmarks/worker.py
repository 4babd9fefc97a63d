"""A process that appends on command: reads its job, warms up, waits for a line, appends, prints what it did."""

import asyncio
import gc
import sys

import msgspec
import uvloop

from benchmarks.machine import resident
from benchmarks.peers.ours import Account
from benchmarks.workload import Sample, Texts, closed_loop, new_append
from ledger.store.ledger import Ledger
from ledger.store.streams import append


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to append, and for how long."""

    url: str
    in_flight: int
    payload: int
    seconds: float


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What was acknowledged; ``warmed_up`` counts what came before the clock ran."""

    acknowledged: int
    warmed_up: int
    seconds: float
    peak_bytes: int


async def work(job: Job) -> None:
    texts = Texts(job.payload)
    async with await Ledger.open(job.url) as ledger:
        account = Account(await ledger.head())
        warm_up = await _append(ledger, job, texts, account, min(0.3, job.seconds))
        gc.freeze()  # as the service does, once it has started
        print("warm", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        sample = await _append(ledger, job, texts, account, job.seconds)
        done = Done(
            acknowledged=sample.acknowledged,
            warmed_up=warm_up.acknowledged,
            seconds=sample.seconds,
            peak_bytes=resident().get("peak", 0),
        )
        print(msgspec.json.encode(done).decode(), flush=True)
        await asyncio.to_thread(sys.stdin.readline)  # the others have finished too
        await account.compare(ledger, alone="together" not in sys.argv)


async def _append(ledger: Ledger, job: Job, texts: Texts, account: Account, seconds: float) -> Sample:
    async def once(client: int) -> None:
        asked = new_append(texts, client)
        account.note(client, asked, await append(ledger, asked))

    return await closed_loop(job.in_flight, seconds, once)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work(msgspec.json.decode(sys.stdin.readline(), type=Job)))

"""A process that seals a whole log and then proves events of it: reads its job, prints what it took."""

import asyncio
import gc
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog
import uvloop

from benchmarks.machine import resident
from benchmarks.subject import LostOrDoubled
from ledger.domain.ids import Position
from ledger.sealing.guard import GUARD_FILE, FileGuard
from ledger.sealing.keyring import Keyring
from ledger.sealing.proofs import proof_of
from ledger.sealing.rows import last_checkpoint
from ledger.sealing.sealer import Sealer
from ledger.store.ledger import Ledger

ORIGIN = "benchmark.invalid/log"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Which log, where its key and guard may lie, and how many of its events are proven."""

    url: str
    folder: str
    proofs: int


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds for sealing everything and for each proof, and the memory at the peak of sealing."""

    sealing: float
    proving: list[float]
    peak_bytes: int


def keyring_of(folder: Path) -> Keyring:
    """Say where the key of this measurement is."""
    return Keyring(ORIGIN, folder)


def sealer_of(ledger: Ledger, folder: Path) -> Sealer:
    """Prepare to seal as the service does, with a key and a guard of this measurement's own."""
    return Sealer(ledger, keyring_of(folder), FileGuard(folder / GUARD_FILE), lambda: datetime.now(UTC))


async def work(job: Job) -> Done:
    """Seal until nothing is left, then prove events here and there."""
    async with await Ledger.open(job.url, max_size=4) as ledger:
        gc.freeze()  # as the service does, once it has started
        sealer = sealer_of(ledger, Path(job.folder))
        began = time.perf_counter()
        while not await sealer.round():
            pass
        took, peak = time.perf_counter() - began, resident().get("peak", 0)
        head = await ledger.head()
        async with ledger.pool.acquire() as conn:
            sealed = await last_checkpoint(conn, ledger.ledger_id)
        if sealed is None or sealed.size != head:
            raise LostOrDoubled("not everything is sealed")
        proving = [await _proven(ledger, position) for position in _positions(head, job.proofs)]
        await sealer.release()
    return Done(sealing=took, proving=proving, peak_bytes=peak)


def _positions(head: Position, count: int) -> list[Position]:
    chance = random.Random(0)  # noqa: S311 - the same ones in every run
    return [Position(chance.randint(1, head)) for _ in range(count)]


async def _proven(ledger: Ledger, position: Position) -> float:
    began = time.perf_counter()
    proof = await proof_of(ledger, position)
    if proof is None:
        raise LostOrDoubled(f"position {position} has no proof")
    return time.perf_counter() - began


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the answer stands alone
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        done = runner.run(work(msgspec.json.decode(sys.stdin.readline(), type=Job)))
    print(msgspec.json.encode(done).decode(), flush=True)

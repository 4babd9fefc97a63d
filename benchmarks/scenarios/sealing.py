"""What sealing costs those who append, how soon an event is under a signed checkpoint, and how quickly it is proven."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

import msgspec

from benchmarks.filling import fill
from benchmarks.peers.ours import GroupCommit
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, milliseconds, per_second, percentile, ratio
from benchmarks.scale import Scale
from benchmarks.sealing import Done, Job, sealer_of
from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled
from benchmarks.workload import Texts, new_append, open_loop
from ledger.sealing.rows import last_checkpoint
from ledger.store.appends import Appended
from ledger.store.ledger import Ledger

Doors: TypeAlias = tuple[GroupCommit, GroupCommit]
"""Two logs: one that nobody seals, one that the notary does."""

IN_FLIGHT: Final = 64
RATE: Final = 500
PROOFS: Final = 500
LEVEL_SECONDS: Final = 60
LOOK_EVERY: Final = 0.005  # seconds
MB: Final = 1_000_000


class Found(msgspec.Struct, kw_only=True):
    """Appends a second with and without the notary, at the peak and at half of it; seconds until sealed."""

    off: list[float] = msgspec.field(default_factory=list)
    on: list[float] = msgspec.field(default_factory=list)
    half_off: list[float] = msgspec.field(default_factory=list)
    half_on: list[float] = msgspec.field(default_factory=list)
    waits: list[list[float]] = msgspec.field(default_factory=list)


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Append beside the notary and without it, in rounds that take turns; then seal a long log and prove its events."""
    texts = Texts(scale.payloads[0])
    found = Found()
    async with AsyncExitStack() as stack:
        off = await stack.enter_async_context(GroupCommit(server))
        on = await stack.enter_async_context(GroupCommit(server))
        for ours in (off, on):
            await ours.run(IN_FLIGHT, texts, min(0.3, scale.seconds))
        for _ in range(scale.decisive_rounds):
            progress.say("sealing: appending with and without the notary")
            await _round(server, (off, on), texts, scale.seconds, found)
        progress.say(f"sealing: {RATE} appends a second until they are sealed")
        async with sealing(on, server.folder):
            await _level(on.ledger)
            for _ in range(scale.decisive_rounds):
                found.waits.append(await _until_sealed(on, texts, scale.seconds))
    done = await _catching_up(server, scale, progress)
    return _part(found, done, scale.rebuilt)


@asynccontextmanager
async def sealing(ours: GroupCommit, folder: Path) -> AsyncIterator[None]:
    """Seal in this process, as the service does, for the time of the block; key and guard lie in ``folder``."""
    task = asyncio.create_task(sealer_of(ours.ledger, folder).run_forever())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _round(server: Server, doors: Doors, texts: Texts, seconds: float, found: Found) -> None:
    off, on = doors
    await server.checkpoint()
    found.off.append((await off.run(IN_FLIGHT, texts, seconds)).rate())
    half = found.off[-1] / 2
    found.half_off.append(await _at(off, texts, half, seconds))
    await server.checkpoint()
    async with sealing(on, server.folder):
        await _level(on.ledger)
        found.on.append((await on.run(IN_FLIGHT, texts, seconds)).rate())
        await _level(on.ledger)
        found.half_on.append(await _at(on, texts, half, seconds))
        await _level(on.ledger)


async def _at(ours: GroupCommit, texts: Texts, rate: float, seconds: float) -> float:
    """Offer ``rate`` appends a second; how many a second were done, the last one included."""

    async def once(number: int) -> None:
        await ours.append(new_append(texts, number))

    began = time.perf_counter()
    waits = await open_loop(rate, seconds, once)
    return len(waits) / (time.perf_counter() - began)


async def _size(ledger: Ledger) -> int:
    async with ledger.pool.acquire() as conn:
        last = await last_checkpoint(conn, ledger.ledger_id)
    return 0 if last is None else last.size


async def _level(ledger: Ledger) -> None:
    """Wait until everything appended so far is under a published checkpoint."""
    head = await ledger.head()
    async with asyncio.timeout(LEVEL_SECONDS):
        while await _size(ledger) < head:  # noqa: ASYNC110 - another loop seals, and tells nobody in here
            await asyncio.sleep(LOOK_EVERY)


async def _until_sealed(ours: GroupCommit, texts: Texts, seconds: float) -> list[float]:
    """Append at random moments; seconds from each answer until a published checkpoint covers it."""
    committed: list[tuple[int, float]] = []
    waits: list[float] = []

    async def once(number: int) -> None:
        landed = await ours.append(new_append(texts, number))
        if not isinstance(landed, Appended):
            raise LostOrDoubled("an append was refused")
        committed.append((landed.first_position, time.perf_counter()))

    async def follow() -> None:
        while True:
            size, now = await _size(ours.ledger), time.perf_counter()
            waits.extend(now - at for position, at in committed if position <= size)
            committed[:] = [one for one in committed if one[0] > size]
            await asyncio.sleep(LOOK_EVERY)

    follower = asyncio.create_task(follow())
    offered = len(await open_loop(RATE, seconds, once))
    async with asyncio.timeout(LEVEL_SECONDS):
        while committed:  # noqa: ASYNC110 - the follower empties it
            await asyncio.sleep(LOOK_EVERY)
    follower.cancel()
    with suppress(asyncio.CancelledError):
        await follower
    if len(waits) != offered:
        raise LostOrDoubled(f"{offered} appended, {len(waits)} sealed")
    return waits


async def _catching_up(server: Server, scale: Scale, progress: Progress) -> Done:
    """Seal a log that nobody has sealed before, in a process of its own, and prove events of it."""
    async with server.ledger() as database:
        progress.say(f"sealing: filling a log with {scale.rebuilt:,} events")
        await fill(database, scale.rebuilt)
        await server.checkpoint()
        progress.say(f"sealing: {scale.rebuilt:,} events")
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.sealing"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        folder = server.folder / f"notary-{database.name}"
        folder.mkdir(mode=0o700)
        job = Job(url=database.service_url, folder=str(folder), proofs=min(PROOFS, scale.rebuilt))
        answer, _ = await worker.communicate(msgspec.json.encode(job) + b"\n")
    if worker.returncode != 0:
        raise LostOrDoubled("the log was not sealed")
    return msgspec.json.decode(answer, type=Done)


def _part(found: Found, done: Done, events: int) -> Part:
    at_peak, at_half = ratio(found.on, found.off), ratio(found.half_on, found.half_off)
    sooner = median(percentile(waits, 0.5) for waits in found.waits)
    latest = median(percentile(waits, 0.99) for waits in found.waits)
    rate, proof = events / done.sealing, percentile(done.proving, 0.5)
    return Part(
        name="sealing",
        tables=(
            Table(
                title=f"Appends a second, {IN_FLIGHT} in flight, and offered at half of that",
                columns=("", "at the peak", "at half of it"),
                rows=(
                    ("nothing is sealed", *_rates(found.off, found.half_off)),
                    ("the notary seals, in the same process", *_rates(found.on, found.half_on)),
                ),
            ),
            Table(
                title="Milliseconds",
                columns=("", "p50", "p99"),
                rows=(
                    (
                        f"from commit to a signed checkpoint, {RATE} events a second",
                        milliseconds(sooner),
                        milliseconds(latest),
                    ),
                    (
                        f"a proof of one of {events:,} events",
                        milliseconds(proof),
                        milliseconds(percentile(done.proving, 0.99)),
                    ),
                ),
            ),
        ),
        figures={
            "sealing.off": median(found.off),
            "sealing.on": median(found.on),
            "sealing.until_sealed.p50_ms": sooner * 1000,
            "sealing.until_sealed.p99_ms": latest * 1000,
            "sealing.proof.p50_ms": proof * 1000,
            "sealing.catching_up_rate": rate,
            "sealing.peak_bytes": done.peak_bytes,
        },
        bars=(
            _bar("appending while it is sealed, against not sealing, at the peak", at_peak, 0.8),
            _bar("the same at half of the peak", at_half, 0.95),
            _bar("events a second of a notary that catches up", rate / 1000, 50, "thousand"),
            _most("memory of a notary that catches up", done.peak_bytes / MB, 100, "MB"),
            _most(f"p99 from commit to a signed checkpoint at {RATE} a second", latest * 1000, 500, "ms"),
            _most(f"p50 of a proof in a log of {events:,} events", proof * 1000, 10, "ms"),
        ),
    )


def _rates(*found: list[float]) -> tuple[str, ...]:
    return tuple(per_second(median(rates)) for rates in found)


def _bar(what: str, reached: float, bar: float, unit: str = "×") -> Bar:
    return Bar(what=what, reached=reached, direction="at least", bar=bar, unit=unit)


def _most(what: str, reached: float, bar: float, unit: str) -> Bar:
    return Bar(what=what, reached=reached, direction="at most", bar=bar, unit=unit)

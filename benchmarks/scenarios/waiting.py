"""Thousands of submitters who wait for an answer: what they cost while they wait, and how soon they have it."""

import asyncio
import secrets
import time
from asyncio import Future, Protocol, Transport
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from benchmarks.machine import resident
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, milliseconds, percentile
from benchmarks.scale import Scale
from benchmarks.scenarios.http import MB, Visit
from benchmarks.server import Server
from benchmarks.service import Service, serving
from benchmarks.subject import LostOrDoubled
from benchmarks.workload import open_loop

VERDICTS: Final = 20  # a second
AT_ONCE: Final = 64
ARRIVING: Final = 250  # at a time: more may be in flight than are let in
MOST_MEMORY: Final = 150  # MB
MOST_WAKING: Final = 250  # ms
WAIT_SECONDS: Final = 55


class Waiter(Protocol):
    """One call that waits; as light as can be, because thousands of it run beside the service."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._received = b""
        self.answered: Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Transport) -> None:
        transport.write(self._request)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        at = time.perf_counter()
        self._received += data
        if not self.answered.done() and self._received.endswith(b"}"):
            if self._received.startswith(b"HTTP/1.1 200 "):
                self.answered.set_result(at)
            else:
                self.answered.set_exception(LostOrDoubled(self._received[:200].decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.answered.done():
            self.answered.cancel()

    def hang_up(self) -> None:
        self._transport.abort()


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Let them wait, each for a decision of their own, decide some; then let them all wait for one."""
    async with server.ledger() as database, serving(database, server.folder) as service:
        token = await service.login()
        visit = Visit(service, token)
        progress.say(f"waiting: {scale.waiters} submissions")
        await _submit(visit, scale.waiters + 1)
        names, last = visit.submitted[:-1], visit.submitted[-1]
        at_rest = resident(service.pid).get("now", 0)
        progress.say(f"waiting: {len(names)} who wait")
        waiters = await _waiting(service, token, names)
        waiting = resident(service.pid).get("now", 0)
        progress.say(f"waiting: {VERDICTS} verdicts a second")
        alone = await _decide(visit, dict(zip(names, waiters, strict=True)), 2 * scale.http_load_seconds)
        for waiter in waiters:
            waiter.hang_up()
        while await _now_waiting(service):  # noqa: ASYNC110 - another process counts them
            await asyncio.sleep(0.02)
        progress.say(f"waiting: {scale.waiters} who wait for one decision")
        herd = await _waiting(service, token, [last] * scale.waiters)
        together = await _decided(visit, last, herd)
    return _part(scale.waiters, waiting - at_rest, alone, together)


async def _submit(visit: Visit, count: int) -> None:
    left = iter(range(count))

    async def submits() -> None:
        for _ in left:
            await visit.submit()

    await asyncio.gather(*(submits() for _ in range(AT_ONCE)))


async def _waiting(service: Service, token: str, names: Sequence[str]) -> list[Waiter]:
    """Begin to wait, a call for each name, and make sure that all of them do."""
    where = urlsplit(str(service.client.base_url))
    loop = asyncio.get_running_loop()

    async def waiter(name: str) -> Waiter:
        path = f"/api/decisions/{name}/response?wait={WAIT_SECONDS}"
        head = f"GET {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        _, found = await loop.create_connection(lambda: Waiter(head), where.hostname, where.port)
        return found

    waiters: list[Waiter] = []
    while len(waiters) < len(names):
        some = names[len(waiters) : len(waiters) + ARRIVING]
        waiters += await asyncio.gather(*(waiter(name) for name in some))
        while await _now_waiting(service) < len(waiters):  # noqa: ASYNC110 - another process counts them
            await asyncio.sleep(0.02)
    return waiters


async def _now_waiting(service: Service) -> float:
    text = (await service.client.get("/metrics")).text
    found = [line.split()[-1] for line in text.splitlines() if line.startswith("ledger_waiters")]
    return float(found[0]) if found else 0.0


async def _decide(visit: Visit, waiters: dict[str, Waiter], seconds: float) -> list[float]:
    """Decide at random moments; how long after each verdict was sent its submitter had it."""
    names = list(waiters)
    secrets.SystemRandom().shuffle(names)
    took: list[float] = []

    async def decide(number: int) -> None:
        if number < len(names):
            took.extend(await _decided(visit, names[number], [waiters[names[number]]]))

    await open_loop(VERDICTS, seconds, decide)
    return took


async def _decided(visit: Visit, name: str, waiters: Sequence[Waiter]) -> list[float]:
    """Give how long after the verdict was sent each of them had the answer: its own answer is late, too."""
    sent = time.perf_counter()
    await visit.verdict(name)
    return [at - sent for at in await asyncio.gather(*(one.answered for one in waiters))]


def _part(waiters: int, memory: int, alone: Sequence[float], together: Sequence[float]) -> Part:
    rows = tuple(
        (
            name,
            milliseconds(percentile(took, 0.5)),
            milliseconds(percentile(took, 0.99)),
            milliseconds(max(took)),
        )
        for name, took in (
            (f"each their own of {waiters} decisions, {VERDICTS} verdicts a second", alone),
            (f"all {waiters} one decision", together),
        )
    )
    return Part(
        name="waiting",
        tables=(
            Table(
                title="Milliseconds from sending a verdict to the waiting submitter's answer",
                columns=("what", "p50", "p99", "last"),
                rows=rows,
            ),
        ),
        figures={
            "waiting.memory_mb": memory / MB,
            "waiting.alone.p99_ms": percentile(alone, 0.99) * 1000,
            "waiting.together.p99_ms": percentile(together, 0.99) * 1000,
        },
        bars=(
            Bar(
                what=f"what {waiters} who wait add to the service's memory",
                reached=memory / MB,
                direction="at most",
                bar=MOST_MEMORY,
                unit="MB",
            ),
            Bar(
                what=f"p99 from a verdict to the answer of its submitter, among {waiters} who wait",
                reached=percentile(alone, 0.99) * 1000,
                direction="at most",
                bar=MOST_WAKING,
                unit="ms",
            ),
        ),
        notes=("Those who wait run on the same cores, in one process.",),
    )

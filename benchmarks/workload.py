"""The load: what is appended, and by how many at once."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import msgspec
from uuid_utils.compat import uuid4

from benchmarks.machine import cpu_seconds
from ledger.domain.event import Event
from ledger.domain.ids import SessionId
from ledger.store.appends import Append
from ledger.store.codec import encode
from ledger.store.envelope import Provenance
from ledger.store.ledger import session_stream
from ledger.store.streams import Stream, draft, keyed_command_id, new_command_id

WORDS: Final = (
    "beacon address host analyst verdict evidence session process registry domain packet kernel signed lateral "
    "credential shadow backup outbound certificate schedule service mailbox archive payload quiet heron build"
)
VARIANTS: Final = 64
MARGIN: Final = 60  # bytes of an event beside its text


class Measured(Event, frozen=True, tag="benchmark-measured"):
    """An event of a wanted size."""

    text: str


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Only what was acknowledged counts."""

    acknowledged: int
    seconds: float

    def rate(self) -> float:
        return self.acknowledged / self.seconds


async def costing(pid: int, load: Awaitable[Sample]) -> tuple[Sample, float]:
    """Wait for a load on a process; what came of it, and the microseconds of that process for each acknowledged."""
    before = cpu_seconds(pid)
    sample = await load
    return sample, (cpu_seconds(pid) - before) / sample.acknowledged * 1e6


class Texts:
    """Texts of words in no order, which compress as prose does; made before the clock runs."""

    def __init__(self, size: int) -> None:
        self.size = size
        chance = random.Random(size)  # noqa: S311 - the same load in every run
        self._texts = [self._text(chance, max(1, size - MARGIN)) for _ in range(VARIANTS)]

    def __getitem__(self, number: int) -> str:
        return self._texts[number % VARIANTS]

    def payload(self, number: int) -> bytes:
        return encode(self.event(number))

    def event(self, number: int) -> Measured:
        return Measured(at=datetime.now(UTC), text=self[number])

    def _text(self, chance: random.Random, size: int) -> str:
        words: list[str] = []
        length = 0
        while length < size:
            word = chance.choice(WORDS.split()) + str(chance.randrange(100))
            words.append(word)
            length += len(word) + 1
        return " ".join(words)[:size]


def new_append(texts: Texts, number: int, *, is_keyed: bool = False) -> Append:
    """Draft what a command handler would: one event for a stream of its own."""
    caller = uuid4()
    command = keyed_command_id(caller, str(number)) if is_keyed else new_command_id()
    provenance = Provenance(actor=str(caller), command_id=command, is_keyed=is_keyed)
    stream = Stream(name=session_stream(SessionId(uuid4())), events=())
    return draft(stream, [texts.event(number)], provenance)


async def closed_loop(clients: int, seconds: float, once: Callable[[int], Awaitable[None]]) -> Sample:
    """Keep ``clients`` calls in flight, each beginning its next when its last was answered."""
    clock = time.perf_counter
    began = clock()

    async def client(number: int) -> int:
        done = 0
        while clock() - began < seconds:
            await once(number)
            done += 1
        return done

    counts = await asyncio.gather(*(client(number) for number in range(clients)))
    return Sample(acknowledged=sum(counts), seconds=clock() - began)


async def open_loop(rate: float, seconds: float, once: Callable[[int], Awaitable[None]]) -> list[float]:
    """Begin calls at random moments, ``rate`` a second, whether or not earlier ones were answered.

    Each latency counts from the moment the call was due, so that a pause of the server is not overlooked.
    """
    chance = random.Random(0)  # noqa: S311 - the same load in every run
    clock = time.perf_counter
    latencies: list[float] = []

    async def call(number: int, due: float) -> None:
        await once(number)
        latencies.append(clock() - due)

    began = clock()
    due, number = began, 0
    async with asyncio.TaskGroup() as calls:  # one that fails ends the measurement
        while due < began + seconds:
            while due <= clock():
                calls.create_task(call(number, due))
                number += 1
                due += chance.expovariate(rate)
            await asyncio.sleep(max(0.0, due - clock()))
    return latencies

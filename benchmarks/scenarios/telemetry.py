"""What telemetry costs: a service with all of it on, beside the same with all of it off."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from types import MappingProxyType
from typing import Final

import msgspec

from benchmarks.lines import opened
from benchmarks.posts import receiving
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, per_second, ratio
from benchmarks.scale import Scale
from benchmarks.scenarios.speed import CONNECTIONS, WARM_UP, Visit
from benchmarks.server import Server
from benchmarks.service import serving
from benchmarks.workload import Sample, closed_loop, costing

RATIO: Final = "0.01"
ON: Final = "all of it, traces at 1 %"
UNLOGGED: Final = "as that, without the log"
OFF: Final = "none of it"
NO_LOG: Final = MappingProxyType({"LEDGER_LOG_LEVEL": "critical"})
ROUND_SHARE: Final = 2


class Measured(msgspec.Struct, kw_only=True):
    """One service, and what it gave round by round."""

    visit: Visit
    rates: list[float] = []
    micros: list[float] = []


class Collector:
    """Takes what is sent to it, and looks at nothing but its length."""

    def __init__(self) -> None:
        self.batches = self.bytes = 0

    def take(self, body: bytes) -> None:
        self.batches, self.bytes = self.batches + 1, self.bytes + len(body)


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Submit to each in turn, round by round, with every connection."""
    async with AsyncExitStack() as stack:
        collector = Collector()
        url = await stack.enter_async_context(receiving(collector.take))
        on = {"LEDGER_OTLP_ENDPOINT": url, "LEDGER_TRACE_SAMPLE_RATIO": RATIO}
        variants: dict[str, Mapping[str, str]] = {
            OFF: {"OTEL_SDK_DISABLED": "true", **NO_LOG},
            ON: on,
            UNLOGGED: {**on, **NO_LOG},
        }
        measured = {
            name: await stack.enter_async_context(_serving(server, settings))
            for name, settings in variants.items()
        }
        for one in measured.values():
            await _submissions(one.visit, min(WARM_UP, scale.seconds))
        for _ in range(scale.decisive_rounds):
            for name, one in measured.items():
                progress.say(f"telemetry: {name}")
                await server.checkpoint()
                await _round(one, scale.http_load_seconds / ROUND_SHARE)
    return _part(measured, collector)


async def _round(one: Measured, seconds: float) -> None:
    sample, micros = await costing(one.visit.pid, _submissions(one.visit, seconds))
    one.rates.append(sample.rate())
    one.micros.append(micros)


async def _submissions(visit: Visit, seconds: float) -> Sample:
    async with opened(visit.url, CONNECTIONS) as lines:
        return await closed_loop(CONNECTIONS, seconds, lambda _: visit.submit(lines))


@asynccontextmanager
async def _serving(server: Server, settings: Mapping[str, str]) -> AsyncIterator[Measured]:
    async with server.ledger() as database:
        folder = server.folder / f"telemetry-{database.name}"
        folder.mkdir()
        async with serving(database, folder, settings) as service:
            visit = Visit(url=service.url, pid=service.pid, token=await service.login())
            yield Measured(visit=visit)


def _part(measured: Mapping[str, Measured], collector: Collector) -> Part:
    off = measured[OFF].rates
    rows = tuple(
        (
            name,
            per_second(median(one.rates)),
            f"{ratio(one.rates, off):.2f}×",
            f"{median(one.micros):,.0f}",
        )
        for name, one in measured.items()
    )
    reached = ratio(measured[ON].rates, off)
    figures = {
        "telemetry.on.per_second": median(measured[ON].rates),
        "telemetry.off.per_second": median(off),
        "telemetry.on_to_off": reached,
        "telemetry.unlogged_to_off": ratio(measured[UNLOGGED].rates, off),
        "telemetry.batches_sent": float(collector.batches),
    }
    return Part(
        name="telemetry",
        tables=(
            Table(
                title=f"Durable submissions at {CONNECTIONS} connections, every answer checked",
                columns=("telemetry", "a second", "against none of it", "µs of its process"),
                rows=rows,
            ),
        ),
        figures=figures,
        bars=(
            Bar(
                what=f"submissions with {ON}, against {OFF}",
                reached=reached,
                direction="at least",
                bar=0.8,
            ),
        ),
        notes=(
            "all of it: a line of JSON for every request into a file, metrics, spans to a collector on this machine.",
            "none of it: OTEL_SDK_DISABLED=true, LEDGER_LOG_LEVEL=critical.",
            f"the collector took {collector.batches} batches, {collector.bytes / 1000:,.0f} kB.",
        ),
    )

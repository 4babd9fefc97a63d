"""``python -m benchmarks``: measure, show, write down."""

import argparse
import asyncio
import gc
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg
import msgspec
import structlog
import uvloop
from rich.console import Console

from benchmarks import chart, machine, render
from benchmarks.progress import Progress
from benchmarks.result import Part, Report
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.scenarios import (
    auditing,
    batching,
    flood,
    folding,
    growth,
    http,
    latency,
    processes,
    projecting,
    pulling,
    reading,
    rebuilding,
    sealing,
    speed,
    telemetry,
    throughput,
    upcasting,
    visibility,
    waiting,
)
from benchmarks.server import Server, throw_away

Scenario: TypeAlias = Callable[[Server, Scale, Progress], Awaitable[Part]]

SCENARIOS: Final[Mapping[str, Scenario]] = {
    "throughput": throughput.measure,
    "processes": processes.measure,
    "latency": latency.measure,
    "reading": reading.measure,
    "upcasting": upcasting.measure,
    "projecting": projecting.measure,
    "batching": batching.measure,
    "folding": folding.measure,
    "visibility": visibility.measure,
    "pulling": pulling.measure,
    "rebuilding": rebuilding.measure,
    "sealing": sealing.measure,
    "auditing": auditing.measure,
    "http": http.measure,
    "speed": speed.measure,
    "telemetry": telemetry.measure,
    "flood": flood.measure,
    "waiting": waiting.measure,
    "growth": growth.measure,
}
DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
CHART: Final = "performance.svg"
PAGE: Final = "performance.md"
WIDTH_OF_A_FILE: Final = 140


async def run(server: Server, scale: Scale, names: list[str], progress: Progress) -> Report:
    """Measure the named scenarios, in the catalogue's order."""
    began = time.monotonic()
    conn = await asyncpg.connect(server.owner_url)
    version = str(await conn.fetchval("show server_version"))
    await conn.close()
    gc.freeze()  # as the service does, once it has started
    described = machine.describe(server.folder, version)
    parts = [
        await part_of(name, scenario(server, scale, progress))
        for name, scenario in SCENARIOS.items()
        if name in names
    ]
    return Report(mode=scale.name, machine=described, parts=tuple(parts), seconds=time.monotonic() - began)


async def part_of(name: str, measuring: Awaitable[Part]) -> Part:
    """Wait for a scenario; one that breaks loses its own figures, never those of the others."""
    (outcome,) = await asyncio.gather(measuring, return_exceptions=True)
    if isinstance(outcome, Part):
        return outcome
    traceback.print_exception(outcome)
    return Part(name=name, tables=(), figures={}, broken=f"{type(outcome).__name__}: {outcome}")


def write_page(report: Report, scale: Scale) -> None:
    """Write the page and its chart into the documentation."""
    drawn = chart.draw(report.figures(), scale.payloads[0])
    if drawn is not None:
        DOCS.joinpath(CHART).write_text(drawn)
    DOCS.joinpath(PAGE).write_text(render.markdown(report, CHART if drawn else None))


async def _measured(scale: Scale, names: list[str], progress: Progress) -> Report:
    progress.say("starting a PostgreSQL to measure on")
    async with throw_away() as server:
        return await run(server, scale, names, progress)


def main() -> int:
    """Run what was asked for; 1 if a scenario broke, and with ``--strict`` if a bar was missed."""
    asked = _arguments()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    scale = QUICK if asked.quick else FULL
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH_OF_A_FILE)
    with Progress(console) as progress, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(_measured(scale, asked.only or list(SCENARIOS), progress))
    render.show(console, report)
    if asked.json:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    if not asked.only and not asked.quick:
        write_page(report, scale)
        console.print(f"Written: {DOCS.name}/{PAGE}")
    missed = asked.strict and not all(bar.is_met() for bar in report.bars())
    return int(missed or any(part.broken for part in report.parts))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the store beside its peers. A whole run also writes docs/performance.md.",
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(SCENARIOS), metavar="NAME", help=", ".join(SCENARIOS)
    )
    parser.add_argument("--quick", action="store_true", help="a look of a minute or so; writes no page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything for machines, too")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is missed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

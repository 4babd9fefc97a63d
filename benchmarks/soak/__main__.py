"""``python -m benchmarks.soak``: soak, show, judge, write down."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

import structlog
import uvloop
from rich.console import Console

from benchmarks.progress import Progress
from benchmarks.server import throw_away
from benchmarks.soak import report
from benchmarks.soak.soaking import Wanted, soak
from benchmarks.soak.verdict import Soak, bars

PAGE: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "soak.md"
WIDTH_OF_A_FILE: Final = 160
LEAST_MINUTES: Final = 10.0
"""Of a soak that is worth a page."""


async def _soaked(wanted: Wanted, progress: Progress) -> Soak:
    progress.say("soak: starting a PostgreSQL")
    async with throw_away() as server:
        return await soak(server, wanted, progress)


def main() -> int:
    """Soak as long as was asked for; 1 when a bar is missed."""
    asked = _arguments()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH_OF_A_FILE)
    wanted = Wanted(seconds=asked.minutes * 60, peak_seconds=asked.peak_seconds, desks=asked.desks)
    with Progress(console) as progress, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_soaked(wanted, progress))
    report.show(console, found)
    if asked.minutes >= LEAST_MINUTES:
        PAGE.write_text(report.page(found), encoding="utf-8")
        console.print(f"Written: docs/{PAGE.name}")
    console.print(report.verdict(found))
    return int(not all(bar.is_met() for bar in bars(found)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=f"Soak a service in mixed traffic. From {LEAST_MINUTES:g} minutes on it writes docs/soak.md.",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of load (10)")
    parser.add_argument("--peak-seconds", type=float, default=30.0, help="for the peak before it (30)")
    parser.add_argument("--desks", type=int, default=32, help="that work at once (32)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

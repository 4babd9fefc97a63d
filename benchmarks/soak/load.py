"""Running locust: so many desks for so long, as fast as they can or at a pace, and what came of it."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

import msgspec

from benchmarks.subject import NotAvailable

LOCUSTFILE: Final = Path(__file__).parent / "locustfile.py"
FINISH_SECONDS: Final = 30
"""That a desk has to end its last round in, so that no answer is left unread."""
HANG_SECONDS: Final = 120
EDGE: Final = 0.25
"""Of a run is left out of its rate at the beginning, where desks log in."""
ARRIVE_SECONDS: Final = 4
"""In which they arrive, one after the other."""


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """Who sits there: an engine's API key, and two who log in."""

    key: str
    analyst: str
    auditor: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What locust is to do: ``rounds`` a second of all desks together, ``None``: as many as they can.

    Everything that is submitted is the ``item`` with a name and a priority of its own.
    """

    desks: tuple[Desk, ...]
    password: str
    prefix: str
    rounds: float | None
    outcome: str
    item: dict[str, object]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """All calls of one kind; ``milliseconds`` are p50, p95 and p99, as finely as locust keeps them."""

    name: str
    count: int
    milliseconds: tuple[float, float, float]
    longest: float


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was not one of those intended, how often."""

    call: str
    why: str
    times: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; ``rounds`` is how many ended in each second."""

    submitted: tuple[str, ...]
    resolved: dict[str, str]
    rounds: tuple[int, ...]
    calls: tuple[Call, ...]
    errors: tuple[Failure, ...]

    def count(self) -> int:
        return sum(call.count for call in self.calls)

    def failures(self) -> int:
        return sum(error.times for error in self.errors)


def sustained(rounds: Sequence[int]) -> float:
    """Give the rounds a second that a run kept up, without its beginning and its last second."""
    kept = rounds[int(len(rounds) * EDGE) : -1]
    return fmean(kept) if kept else 0.0


async def run_load(url: str, plan: Plan, seconds: float, folder: Path) -> Outcome:
    """Let the desks work for so many seconds.

    Raises:
        NotAvailable: locust ended without an outcome, or not at all.
    """
    path = folder / "plan.json"
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.encode(plan))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--host", url, "--headless"),
        *("--users", str(len(plan.desks)), "--spawn-rate", f"{len(plan.desks) / ARRIVE_SECONDS:g}"),
        *("--run-time", f"{seconds:.0f}s", "--stop-timeout", str(FINISH_SECONDS)),
        *("--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"),
        cwd=folder,
        env={**os.environ, "SOAK_PLAN": str(path)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds + FINISH_SECONDS + HANG_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        raise NotAvailable("locust does not end") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise NotAvailable(f"locust ended with {process.returncode}: {said.decode()[-2000:]}")
    return await asyncio.to_thread(_read, Path(plan.outcome))


def _read(path: Path) -> Outcome:
    return msgspec.json.decode(path.read_bytes(), type=Outcome)

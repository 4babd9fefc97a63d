"""What it costs to read an event of an older version: the step itself, and all of the way beside today's."""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table
from benchmarks.scale import Scale
from benchmarks.server import Server
from ledger.store.codec import decode, encode
from ledger.upcasters.chain import CHAIN
from tools.event_types import event_types
from tools.golden import Golden

CALLS: Final = 500
SHARE: Final = 0.25
"""Of the seconds of a measurement, for each of the many small ones here."""
MICROSECONDS: Final = 1e6
BAR: Final = 6.0


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:  # noqa: ARG001 - reading needs no server
    """Read the golden file of every older version, over and over, in this process alone."""
    rows: list[tuple[str, ...]] = []
    steps: dict[str, float] = {}
    for (name, version), step in CHAIN.items():
        progress.say(f"upcasting: {name} {version}")
        event, stored = event_types()[name], Golden().stored(name, version)
        today = encode(decode((event,), name, version, stored))
        past: dict[str, object] = msgspec.json.decode(stored)
        lift = step.lift
        took = _microseconds(lambda lift=lift, past=past: lift(past), scale)
        old = _microseconds(lambda e=event, n=name, v=version, s=stored: decode((e,), n, v, s), scale)
        new = _microseconds(lambda e=event, n=name, s=today: decode((e,), n, e.schema_version, s), scale)
        steps[f"{name} {version}"] = took
        rows.append((f"{name} {version}", f"{took:.1f}", f"{old:.1f}", f"{new:.1f}"))
    dearest = max(steps.values())
    return Part(
        name="upcasting",
        tables=(
            Table(
                title="Reading an event of an older version, microseconds of processor time",
                columns=("type and version", "the step alone", "read whole", "today's version"),
                rows=tuple(rows),
            ),
        ),
        figures={f"upcasting.{name}.us": took for name, took in steps.items()},
        bars=(
            Bar(
                what="the dearest step of the chain", reached=dearest, direction="at most", bar=BAR, unit="µs"
            ),
        ),
        notes=("Only older versions take this way; an event of today's is decoded straight from its bytes.",),
    )


def _microseconds(call: Callable[[], object], scale: Scale) -> float:
    """Measure a call by the processor's clock: the quickest of many rounds, for others share this machine."""
    quickest, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < scale.seconds * SHARE:
        started = time.process_time()
        for _ in range(CALLS):
            call()
        quickest = min(quickest, (time.process_time() - started) / CALLS)
    return quickest * MICROSECONDS

"""A worker process that fires timers and dies where it is told to.

Arguments: the database's URL, and a point, or ``never``: then it says ``up`` and lives until it is killed.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from ledger.projections.progress import Progress
from ledger.projections.runner import Runner
from ledger.projections.views.timers import TIMERS
from ledger.reactions import timers
from ledger.store.ledger import Ledger
from tests.support.chaos import die

Step = Callable[..., Awaitable[object]]
NTH = 17


def dying(step: Step, *, after: bool, nth: int) -> Step:
    """Die before or after the nth time."""
    times = 0

    async def then_die(*arguments: object, **named: object) -> object:
        nonlocal times
        times += 1
        is_it = times == nth
        if is_it and not after:
            die()
        outcome = await step(*arguments, **named)
        if is_it:
            die()
        return outcome

    return then_die


def aim(point: str) -> None:
    """Arrange for the death."""
    match point:
        case "found":
            timers.due = dying(timers.due, after=True, nth=1)
        case "first page done":
            timers.due = dying(timers.due, after=False, nth=2)
        case "before a command":
            timers.handle = dying(timers.handle, after=False, nth=NTH)
        case "written":
            timers.handle = dying(timers.handle, after=True, nth=NTH)
        case "all done":
            timers.next_after = dying(timers.next_after, after=False, nth=1)


async def main(url: str, point: str) -> None:
    aim(point)
    timers.PAGE = timers.AT_ONCE = 10
    ledger = await Ledger.open(url)
    progress = Progress(ledger, [TIMERS])
    runner = Runner(ledger, progress, [TIMERS])
    async with ledger:
        progress.start()
        runner.start()
        print("up", flush=True)
        await timers.run_forever(ledger, lambda: datetime.now(UTC))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

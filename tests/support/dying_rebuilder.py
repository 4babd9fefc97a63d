"""A process that works on a rebuild and dies at a point: ``python -m tests.support.dying_rebuilder URL POINT``."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from ledger.operations import work
from ledger.operations.rebuilder import Rebuilder
from ledger.projections import rebuild
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import Ledger
from tests.support.chaos import Chaos, die

Step = Callable[..., Awaitable[object]]


def dying_after(step: Step) -> Step:
    async def then_die(*arguments: object, **named: object) -> object:
        await step(*arguments, **named)
        die()
        raise AssertionError

    return then_die


def aim(chaos: Chaos, point: str) -> None:
    """Arrange for the death."""
    match point:
        case "begun":
            work.begin = dying_after(work.begin)
        case "before a batch" | "after a batch":
            chaos.kill(
                "before" if point.startswith("before") else "after", lambda stored: stored.position == 50
            )
        case "compared":
            work.compare_level = dying_after(work.compare_level)
        case "exchanged":
            work.exchange = dying_after(work.exchange)
        case "switched":
            work.act_and_tell = dying_after(work.act_and_tell)


async def main(url: str, point: str) -> None:
    rebuild.BATCH = 20
    chaos = Chaos(QUEUE)
    aim(chaos, point)
    async with await Ledger.open(url) as ledger:
        await Rebuilder(ledger, [chaos]).work_once()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

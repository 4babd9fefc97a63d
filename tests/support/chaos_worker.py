"""A process that feeds the view of decisions, and dies where it is told to.

Arguments: the database's URL, ``before`` or ``after`` the handler, at which position (0: it lives). Says ``up``, then
``leading`` when it does, and lives until it is killed.
"""

import asyncio
import sys

import uvloop

from ledger.projections.progress import Progress
from ledger.projections.runner import Runner
from ledger.projections.views.decisions import DECISIONS
from ledger.store.ledger import Ledger
from tests.support.chaos import Chaos


async def main(url: str, point: str, position: int) -> None:
    chaos = Chaos(DECISIONS)
    if position:
        chaos.kill("before" if point == "before" else "after", lambda one: one.position == position)
    ledger = await Ledger.open(url)
    progress = Progress(ledger, [chaos])
    runner = Runner(ledger, progress, [chaos])
    async with ledger:
        progress.start()
        runner.start()
        print("up", flush=True)
        while not runner.health()[0].is_leader:
            await asyncio.sleep(0.01)
        print("leading", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

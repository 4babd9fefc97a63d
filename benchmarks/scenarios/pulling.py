"""Pulling the next item: whether it matters how much waits, is held by others, or is for others."""

import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from statistics import median
from typing import Final
from uuid import uuid4

from benchmarks.decisions import ANALYST, SESSION
from benchmarks.peers.ours import GroupCommit
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, milliseconds, percentile
from benchmarks.scale import Scale
from benchmarks.scenarios.projecting import submit
from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled
from ledger.command_handling.context import CommandContext
from ledger.command_handling.handler import handle
from ledger.domain.authority import Authority, Role
from ledger.domain.decision.commands import ClaimDecision, ReleaseClaim
from ledger.domain.decision.decide import DECISION
from ledger.domain.ids import LeaseId, StreamName
from ledger.projections import picking
from ledger.projections.batch import run_batch
from ledger.projections.checkpoints import read_position
from ledger.projections.follower import MAX_BATCH
from ledger.projections.picking import Seeker
from ledger.projections.views.queue import QUEUE
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.streams import new_command_id

FEW: Final = 100
MOST: Final = 300
BAR: Final = 0.8
SEEKER: Final = Seeker(person=ANALYST, groups=("night",), is_admin=False, priority=None, kind=None)
BY: Final = Authority(
    person=ANALYST,
    session=SESSION,
    role=Role.ANALYST,
    is_lead=False,
    is_active=True,
    session_is_live=True,
    stepped_up_at=None,
)
# The first twentieth is held by others for an hour, the next one is for another group.
# $1 up to this position, $2 up to that one
TAKE: Final = """
update views.queue_v2
set lease_id = case when position <= $1 then gen_random_uuid() end,
    holder = case when position <= $1 then gen_random_uuid() end,
    session = case when position <= $1 then gen_random_uuid() end,
    fencing_token = case when position <= $1 then 1 end,
    expires_at = case when position <= $1 then now() + interval '1 hour' end,
    groups = case when position > $1 then 'lab' else '' end
where position <= $2
"""


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Pull from queues of different lengths in turns; what was pulled is given back."""
    sizes = {f"{FEW} waiting": FEW, f"{scale.waiting:,} waiting": scale.waiting}
    taken = f"{scale.waiting:,} waiting, behind as many as a tenth of them that are held or for others"
    took: dict[str, list[float]] = {name: [] for name in (*sizes, taken)}
    async with AsyncExitStack() as stack:
        ledgers: dict[str, Ledger] = {}
        for name in took:
            size = sizes.get(name, scale.waiting)
            progress.say(f"pulling: submitting {size:,} decisions")
            ledgers[name] = (await stack.enter_async_context(GroupCommit(server))).ledger
            await submit(ledgers[name], size)
            await _bring_level(ledgers[name])
        await ledgers[taken].pool.execute(TAKE, scale.waiting // 20, scale.waiting // 10)
        for ledger in ledgers.values():
            await ledger.pool.execute("vacuum analyze views.queue_v2")
        progress.say("pulling")
        began = time.perf_counter()
        while time.perf_counter() - began < 6 * scale.seconds and len(took[taken]) < MOST:
            for name, ledger in ledgers.items():
                took[name].append(await _pull(ledger))
    return _part(took)


def _part(took: dict[str, list[float]]) -> Part:
    middle = {name: median(found) for name, found in took.items()}
    few, *many = took
    rows = tuple(
        (name, milliseconds(middle[name]), milliseconds(percentile(found, 0.95)), f"{1 / middle[name]:,.0f}")
        for name, found in took.items()
    )
    bars = tuple(
        Bar(
            what=f"pulling the next of {name}, against {few}",
            reached=middle[few] / middle[name],
            direction="at least",
            bar=BAR,
        )
        for name in many
    )
    columns = ("queue", "ms, p50", "ms, p95", "pulls a second, one after the other")
    return Part(
        name="pulling",
        tables=(Table(title="Finding, reserving and claiming the next item", columns=columns, rows=rows),),
        figures={f"pulling.{number}.ms": found * 1000 for number, found in enumerate(middle.values())},
        bars=bars,
    )


async def _pull(ledger: Ledger) -> float:
    """Pull an item; seconds. Then give it back and bring the queue level, off the clock."""
    reservation, lease_id = uuid4(), LeaseId(uuid4())
    began = time.perf_counter()
    stream = await picking.reserve(
        ledger.pool, ledger.ledger_id, SEEKER, now=datetime.now(UTC), reservation=reservation
    )
    if stream is None:
        raise LostOrDoubled("nothing waits")
    await _do(ledger, stream, ClaimDecision(now=datetime.now(UTC), by=BY, lease_id=lease_id))
    await picking.give_up(ledger.pool, ledger.ledger_id, reservation)
    took = time.perf_counter() - began
    await _bring_level(ledger)
    await _do(ledger, stream, ReleaseClaim(now=datetime.now(UTC), by=BY, lease_id=lease_id))
    await _bring_level(ledger)
    return took


async def _do(ledger: Ledger, stream: StreamName, command: ClaimDecision | ReleaseClaim) -> None:
    handled = await handle(
        ledger,
        CommandContext(
            decider=DECISION,
            target=stream,
            clock=lambda: command.now,
            provenance=Provenance(actor=str(ANALYST), command_id=new_command_id()),
        ),
        lambda _: command,
    )
    if not handled.events:
        raise LostOrDoubled(stream)


async def _bring_level(ledger: Ledger) -> None:
    async with ledger.pool.acquire() as conn:
        position = await read_position(conn, ledger.ledger_id, QUEUE)
        while step := await run_batch(conn, ledger.ledger_id, QUEUE, after=position, limit=MAX_BATCH):
            position = step.position

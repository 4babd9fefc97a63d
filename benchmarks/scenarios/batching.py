"""What a batch of events written as a set is worth, beside the same rows one by one."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Final

import msgspec
from msgspec.structs import replace

from benchmarks.peers.ours import GroupCommit
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, per_second, ratio
from benchmarks.scale import Scale
from benchmarks.scenarios.projecting import submit
from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled
from ledger.domain.decision.events import DecisionEvent, DecisionSubmitted
from ledger.domain.decision.item import kind_of
from ledger.domain.ids import START, Position
from ledger.projections.batch import run_batch
from ledger.projections.checkpoints import read_position
from ledger.projections.follower import MAX_BATCH
from ledger.projections.projection import Feed
from ledger.projections.submission import RANKS, written
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection
from ledger.store.streams import Recorded

ROUNDS: Final = 5
SHARE_ALONE: Final = 20  # one by one takes so much longer that a part of the log has to do
# $1 ledger, $2 stream, $3 analysis id, $4 priority, $5 rank, $6 position, $7 submission, $8 submitted by,
# $9 submitted at, $10 version, $11 kind, $12 kind version, $13 digest, $14 created at, $15 four eyes,
# $16 seconds for information, $17 on behalf of, $18 deadline at, $19 target at, $20 groups
INSERT: Final = """
insert into queue_v2 (
    ledger_id, stream, analysis_id, priority, rank, position, submission, submitted_by, submitted_at, version, kind,
    kind_version, subject_digest, created_at, four_eyes, information_seconds, on_behalf_of, deadline_at, target_at,
    groups, asked_priority, level, escalators, voters)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $4, 0, '{}', '{}')
"""
AGAIN: Final = "truncate views.queue_v2; delete from views.checkpoints where projection = 'queue'"
# $1 up to this position; every way has to end with the same rows
ROWS: Final = """
select count(*) as rows, md5(string_agg(q::text, ',' order by position)) as digest
from views.queue_v2 q where position <= $1
"""
AS_A_SET: Final = "500 as a set"
ROW_BY_ROW: Final = "500, a row at a time (executemany)"
ALONE: Final = "an event in a transaction of its own"
NOTHING: Final = "500, read and decoded, nothing written"


class Way(msgspec.Struct, frozen=True):
    """A way to bring the queue level: by which statements, and how many events in a transaction."""

    feed: Feed
    limit: int
    upto: Position
    writes: bool = True


async def insert_each(conn: Connection, ledger_id: int, batch: Sequence[Recorded[DecisionEvent]]) -> None:
    """Write the rows of submissions as a driver does for a list of them: one statement, once for each row."""
    submitted = [(item, item.event) for item in batch if isinstance(item.event, DecisionSubmitted)]
    rows = [
        (
            *(ledger_id, item.stream, event.decision_id, event.priority.value, RANKS[event.priority]),
            *(item.position, written(event), event.submitted_by, event.at, item.version),
            *(kind_of(event.item), event.kind_version, event.subject_digest, event.created_at),
            *(event.policy.four_eyes, event.policy.information_seconds, event.on_behalf_of),
            *(event.deadline_at, event.target_at, ",".join(event.policy.reviewers)),
        )
        for item, event in submitted
    ]
    await conn.executemany(INSERT, rows)


async def look_on(conn: Connection, ledger_id: int, batch: Sequence[Recorded[DecisionEvent]]) -> None:
    """Write nothing: what is left is the share of the work that every way has."""


ONE_BY_ONE: Final = replace(QUEUE, apply=insert_each)
LOOKING_ON: Final = replace(QUEUE, apply=look_on)


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Fill the queue from the same log in each way, in turns."""
    all_of_it = Position(scale.projected)
    ways = {
        AS_A_SET: Way(QUEUE, MAX_BATCH, all_of_it),
        ROW_BY_ROW: Way(ONE_BY_ONE, MAX_BATCH, all_of_it),
        ALONE: Way(QUEUE, 1, Position(max(1, scale.projected // SHARE_ALONE))),
        NOTHING: Way(LOOKING_ON, MAX_BATCH, all_of_it, writes=False),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    digests: dict[Position, str] = {}
    async with GroupCommit(server) as ours:
        progress.say(f"batching: submitting {scale.projected:,} decisions")
        await submit(ours.ledger, scale.projected)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                progress.say(f"batching: {name}")
                await server.checkpoint()
                rates[name].append(await _filled(ours.ledger, way, digests))
    return _part(rates)


async def _filled(ledger: Ledger, way: Way, digests: dict[Position, str]) -> float:
    """Fill an empty queue with the same rows as every other way did; events a second."""
    async with ledger.pool.acquire() as conn:
        await conn.execute(AGAIN)
        await read_position(conn, ledger.ledger_id, way.feed)
        position = START
        began = perf_counter()
        while position < way.upto:
            limit = min(way.limit, way.upto - position)
            step = await run_batch(conn, ledger.ledger_id, way.feed, after=position, limit=limit)
            position = way.upto if step is None else step.position
        took = perf_counter() - began
        found = await conn.fetchrow(ROWS, way.upto)
        rows, digest = found or (0, "")
        if rows != (way.upto if way.writes else 0):
            raise LostOrDoubled(f"the queue does not hold {way.upto} rows")
        if way.writes and digests.setdefault(way.upto, digest) != digest:
            raise LostOrDoubled("the queue holds other rows than it does by another way")
    return way.upto / took


def _part(rates: dict[str, list[float]]) -> Part:
    rows = tuple(
        (name, per_second(median(found)), f"{ratio(rates[AS_A_SET], found):.1f}×")
        for name, found in rates.items()
    )
    return Part(
        name="batching",
        tables=(
            Table(
                title="Events a second into the queue's table, read, decoded and written",
                columns=("a batch", "events a second", "the set against it"),
                rows=rows,
            ),
        ),
        figures={f"batching.{name}": median(found) for name, found in rates.items()},
        bars=(
            Bar(
                what="a batch of 500 as a set, against an event in a transaction of its own",
                reached=ratio(rates[AS_A_SET], rates[ALONE]),
                direction="at least",
                bar=20,
            ),
            Bar(
                what="a batch of 500 as a set, against executemany",
                reached=ratio(rates[AS_A_SET], rates[ROW_BY_ROW]),
                direction="at least",
                bar=3,
            ),
        ),
        notes=(
            "The same log, decoder, checkpoint, flush and rows for all; only the statements and the batch differ.",
            "No two of these events are of one decision: nothing folds onto anything, which is the least a set can win.",
        ),
    )

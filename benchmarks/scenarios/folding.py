"""What folding is worth: whole decisions, written as what became of them, beside every event as a row's change."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from statistics import median
from time import perf_counter
from typing import Final

import msgspec
from msgspec.structs import replace

from benchmarks.decisions import ANALYST, life
from benchmarks.peers.ours import GroupCommit
from benchmarks.progress import Progress
from benchmarks.result import Part, Table, per_second, ratio
from benchmarks.scale import Scale
from benchmarks.scenarios.batching import AS_A_SET, NOTHING, look_on
from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled
from ledger.domain.decision.events import (
    DecisionClaimed,
    DecisionEvent,
    DecisionResolved,
    DecisionSubmitted,
    VoteCast,
)
from ledger.domain.decision.evolving import answer_in
from ledger.domain.decision.item import kind_of
from ledger.domain.ids import DecisionId, Position
from ledger.projections.batch import run_batch
from ledger.projections.checkpoints import read_position
from ledger.projections.decision_row import Vote
from ledger.projections.follower import MAX_BATCH
from ledger.projections.projection import Feed
from ledger.projections.submission import written
from ledger.projections.views.decisions import DECISIONS
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection
from ledger.store.streams import Recorded, append, draft, new_command_id, read_streams

ROUNDS: Final = 5
STEPS: Final = 4
"""How many events a decision's life has here."""
# $1 ledger, $2 stream, $3 version, $4 analysis id, $5 submission, $6 kind, $7 kind version, $8 priority, $9 created at,
# $10 submitted by, $11 on behalf of, $12 submitted at, $13 seconds for information, $14 digest, $15 deadline at, $16
# target at, $17 groups
SUBMIT: Final = """
insert into decisions_v2 (
    ledger_id, stream, version, analysis_id, submission, kind, kind_version, priority, asked_priority, created_at,
    submitted_by, on_behalf_of, submitted_at, information_seconds, subject_digest, deadline_at, target_at, groups,
    level, is_resolved, comments)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 0, false, 0)
"""
# $1 ledger, $2 stream, $3 version, $4 lease id, $5 holder, $6 fencing token, $7 expires at
CLAIM: Final = """
update decisions_v2 set version = $3, lease_id = $4, holder = $5, fencing_token = $6, expires_at = $7
where ledger_id = $1 and stream = $2
"""
# $1 ledger, $2 stream, $3 version, $4 the vote as JSON, $5 who cast it
VOTE: Final = """
update decisions_v2
set version = $3, votes = case when votes is null then '[' || $4 || ']' else left(votes, -1) || ',' || $4 || ']' end,
    assigned_to = nullif(assigned_to, $5)
where ledger_id = $1 and stream = $2
"""
# $1 ledger, $2 stream, $3 version, $4 status, $5 approved actions, $6 notes, $7 decided by, $8 decided at, $9 approved
# digest
RESOLVE: Final = """
update decisions_v2
set version = $3, is_resolved = true, status = $4, approved_actions = $5, notes = $6, decided_by = $7, decided_at = $8,
    approved_digest = $9, lease_id = null, holder = null, fencing_token = null, expires_at = null
where ledger_id = $1 and stream = $2
"""
AGAIN: Final = "truncate views.decisions_v2; delete from views.checkpoints where projection = 'decisions'"
DIGEST: Final = "select coalesce(md5(string_agg(d::text, ',' order by stream)), '') from views.decisions_v2 d"
EVENT_BY_EVENT: Final = "500, an event at a time (executemany)"
TOGETHER: Final = "one decision after another"
APART: Final = "one step of 500 decisions after another"


async def change_each(conn: Connection, ledger_id: int, batch: Sequence[Recorded[DecisionEvent]]) -> None:
    """Change rows as a driver does for a list of events: a statement for each type, once for each event."""
    in_steps = sorted(batch, key=lambda item: item.version)
    for event_type, items in groupby(in_steps, key=lambda item: type(item.event)):
        statement = STATEMENTS[event_type]
        rows = [(ledger_id, item.stream, item.version, *_binds(item.event)) for item in items]
        await conn.executemany(statement, rows)


STATEMENTS: Final[dict[type[DecisionEvent], str]] = {
    DecisionSubmitted: SUBMIT,
    DecisionClaimed: CLAIM,
    VoteCast: VOTE,
    DecisionResolved: RESOLVE,
}


def _binds(event: DecisionEvent) -> tuple[object, ...]:
    match event:
        case DecisionSubmitted():
            return _submitted(event)
        case DecisionClaimed():
            return (event.lease_id, event.holder, event.fencing_token, event.expires_at)
        case VoteCast():
            return (_vote(event), event.voter)
        case DecisionResolved():
            answer = answer_in(event)
            return (
                *(answer.status.value, answer.approved_actions, answer.notes),
                *(answer.decided_by, answer.decided_at, answer.approved_digest),
            )
        case _:
            raise TypeError(type(event))


def _submitted(event: DecisionSubmitted) -> tuple[object, ...]:
    return (
        *(event.decision_id, written(event), kind_of(event.item), event.kind_version, event.priority.value),
        *(
            event.created_at,
            event.submitted_by,
            event.on_behalf_of,
            event.at,
            event.policy.information_seconds,
        ),
        *(event.subject_digest, event.deadline_at, event.target_at),
        msgspec.json.encode(event.policy.reviewers).decode(),
    )


def _vote(event: VoteCast) -> str:
    vote = Vote(
        voter=event.voter,
        choice=event.choice,
        at=event.at,
        level=event.level,
        approved_actions=event.approved_actions,
        notes=event.notes,
        changes=event.changes,
    )
    return msgspec.json.encode(vote).decode()


WAYS: Final[dict[str, Feed]] = {
    AS_A_SET: DECISIONS,
    EVENT_BY_EVENT: replace(DECISIONS, apply=change_each),
    NOTHING: replace(DECISIONS, apply=look_on),
}


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Bring the read model of decisions level with whole decisions, in each way, in turns."""
    found: dict[str, dict[str, list[float]]] = {}
    for load, at_once in ((TOGETHER, STEPS), (APART, 1)):
        progress.say(f"folding: {load}")
        async with GroupCommit(server) as ours:
            head = await _live(ours.ledger, max(1, scale.projected // STEPS), at_once)
            found[load] = await _in_turns(server, ours.ledger, head)
    return _part(found)


async def _live(ledger: Ledger, decisions: int, at_once: int) -> Position:
    """Let decisions happen, 500 at the same time, ``at_once`` events of each in one append."""
    lives = [life(DecisionId(f"BENCH-{number}")) for number in range(decisions)]
    for start in range(0, decisions, MAX_BATCH):
        some = lives[start : start + MAX_BATCH]
        names = [ledger.decision_stream(DecisionId(f"BENCH-{start + number}")) for number in range(len(some))]
        for step in range(0, STEPS, at_once):
            streams = await read_streams(ledger, names)
            drafts = [
                draft(streams[name], events[step : step + at_once], _by_us())
                for name, events in zip(names, some, strict=True)
            ]
            await asyncio.gather(*(append(ledger, drafted) for drafted in drafts))
    return await ledger.head()


def _by_us() -> Provenance:
    return Provenance(actor=str(ANALYST), command_id=new_command_id())


async def _in_turns(server: Server, ledger: Ledger, head: Position) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    digests = set[str]()
    for _ in range(ROUNDS):
        for name, feed in WAYS.items():
            await server.checkpoint()
            rate, digest = await _filled(ledger, feed, head)
            rates[name].append(rate)
            if name != NOTHING:
                digests.add(digest)
    if len(digests) != 1:
        raise LostOrDoubled("the ways do not end with the same rows")
    return rates


async def _filled(ledger: Ledger, feed: Feed, head: Position) -> tuple[float, str]:
    """Fill an empty read model; events a second, and what the rows are."""
    async with ledger.pool.acquire() as conn:
        await conn.execute(AGAIN)
        position = await read_position(conn, ledger.ledger_id, feed)
        began = perf_counter()
        while step := await run_batch(conn, ledger.ledger_id, feed, after=position, limit=MAX_BATCH):
            position = step.position
        took = perf_counter() - began
        digest: str = await conn.fetchval(DIGEST)
    if position != head:
        raise LostOrDoubled(f"{feed.name} ended at {position} of {head}")
    return head / took, digest


def _part(found: dict[str, dict[str, list[float]]]) -> Part:
    rows = tuple(
        (load, name, per_second(median(each)), f"{ratio(rates[AS_A_SET], each):.1f}×")
        for load, rates in found.items()
        for name, each in rates.items()
    )
    return Part(
        name="folding",
        tables=(
            Table(
                title="Events a second into the table of decisions, read, decoded and written",
                columns=("four events a decision", "a batch", "events a second", "the set against it"),
                rows=rows,
            ),
        ),
        figures={
            f"folding.{load}.{name}": median(each)
            for load, rates in found.items()
            for name, each in rates.items()
        },
        notes=(
            "The rows are the same by either way. What one command appends lies together, what people do lies apart.",
        ),
    )

"""Decisions: one row each, with all that an item and its response answer."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, get_args

import asyncpg
import msgspec
from msgspec.structs import replace

from ledger.domain.decision.events import (
    DecisionCancelled,
    DecisionEscalated,
    DecisionEvent,
    DecisionExpired,
    DecisionOverridden,
    DecisionResolved,
    DecisionSubmitted,
    DecisionSuperseded,
    DecisionWithdrawn,
)
from ledger.domain.decision.evolving import answer_in
from ledger.domain.decision.state import Answer, Status
from ledger.domain.ids import NO_EVENTS, DecisionId, PersonId, StreamName, Version
from ledger.domain.terms import Action
from ledger.projections.projection import (
    Projection,
    fold_rows,
    must_exist,
    must_hit,
    streams_of,
)
from ledger.projections.standing import Standing, standing_columns, standing_of, stands_after
from ledger.projections.submission import written
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection, reading
from ledger.store.streams import Recorded, read_stream, recorded

# One range of the key at a time, in its order: another index of this ledger looks as good while the table is, or is
# known to be, empty, and would be read whole ever after.
# $1 ledger, $2 streams
LOAD: Final = """
select found.*
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select stream, analysis_id, null as submission, submitted_by, submitted_at, level, lease_id, holder,
           fencing_token, expires_at, is_resolved, status, approved_actions, notes, decided_by,
           decided_at, escalation_reason, version
    from decisions_v1
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) found
"""
# $1 ledger; arrays, a decision each: $2 stream, $3 level, $4 lease, $5 holder, $6 fencing token,
# $7 expires at, $8 is resolved, $9 status, $10 actions between commas, $11 notes, $12 decided by,
# $13 decided at, $14 escalation reason, $15 version, $16 analysis id, $17 submission, $18 submitted by,
# $19 submitted at
OPEN: Final = """
insert into decisions_v1 (
    ledger_id, stream, level, lease_id, holder, fencing_token, expires_at, is_resolved, status,
    approved_actions, notes, decided_by, decided_at, escalation_reason, version, analysis_id, submission,
    submitted_by, submitted_at)
select $1, o.stream, o.level, o.lease_id, o.holder, o.fencing_token, o.expires_at, o.is_resolved, o.status,
       string_to_array(o.actions, ','), o.notes, o.decided_by, o.decided_at, o.escalation_reason, o.version,
       o.analysis_id, o.submission, o.submitted_by, o.submitted_at
from unnest($2::text[], $3::integer[], $4::uuid[], $5::uuid[], $6::integer[], $7::timestamptz[], $8::boolean[],
            $9::text[], $10::text[], $11::text[], $12::uuid[], $13::timestamptz[], $14::text[], $15::integer[],
            $16::text[], $17::text[], $18::uuid[], $19::timestamptz[])
    as o(stream, level, lease_id, holder, fencing_token, expires_at, is_resolved, status, actions, notes,
         decided_by, decided_at, escalation_reason, version, analysis_id, submission, submitted_by,
         submitted_at)
"""
# "any" says once more what the join says: a plan made while the table is empty would else read all of it.
# $1 ledger; arrays, a decision each: $2 to $15 as in OPEN
MOVE: Final = """
update decisions_v1 as d
set level = m.level, lease_id = m.lease_id, holder = m.holder, fencing_token = m.fencing_token,
    expires_at = m.expires_at, is_resolved = m.is_resolved, status = m.status,
    approved_actions = string_to_array(m.actions, ','), notes = m.notes, decided_by = m.decided_by,
    decided_at = m.decided_at, escalation_reason = m.escalation_reason, version = m.version
from unnest($2::text[], $3::integer[], $4::uuid[], $5::uuid[], $6::integer[], $7::timestamptz[], $8::boolean[],
            $9::text[], $10::text[], $11::text[], $12::uuid[], $13::timestamptz[], $14::text[], $15::integer[])
    as m(stream, level, lease_id, holder, fencing_token, expires_at, is_resolved, status, actions, notes,
         decided_by, decided_at, escalation_reason, version)
where d.ledger_id = $1 and d.stream = any($2) and d.stream = m.stream
"""
# $1 ledger, $2 stream
FIND: Final = """
select d.stream, d.analysis_id, d.submission, d.submitted_by, d.submitted_at, d.level, d.lease_id, d.holder,
       d.fencing_token, d.expires_at, d.is_resolved, d.status, d.approved_actions, d.notes, d.decided_by,
       d.decided_at, d.escalation_reason, d.version, coalesce(log.version, 0) as stream_version
from (select max(version) as version from ledger.events where ledger_id = $1 and stream = $2) as log
left join views.decisions_v1 as d on d.ledger_id = $1 and d.stream = $2
"""


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A decision; ``submission`` is the wire item as JSON, ``version`` that of its stream.

    ``answer`` is what the submitter is told: the verdict, else the last escalation, else ``None``.
    """

    stream: StreamName
    decision_id: DecisionId
    submission: bytes
    submitted_by: PersonId
    submitted_at: datetime
    standing: Standing
    is_resolved: bool
    answer: Answer | None
    version: Version

    def status_at(self, now: datetime) -> Status:
        """Say how it stands at ``now``."""
        return self.standing.status_at(now) if self.answer is None else self.answer.status


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A row, if there is one, and how many events the decision's stream holds (0: there is no decision)."""

    row: DecisionRow | None
    stream_version: Version

    def is_level(self) -> bool:
        """Say whether the row shows every event of its stream; if not, fold the stream."""
        return self.stream_version == (NO_EVENTS if self.row is None else self.row.version)


async def find(conn: Connection, ledger_id: int, stream: StreamName) -> Found:
    """Look a decision up, and whether the view is level with its stream, in one query."""
    row = await conn.fetchrow(FIND, ledger_id, stream)
    if row is None:
        return Found(row=None, stream_version=NO_EVENTS)
    return Found(
        row=None if row["stream"] is None else _row(row),
        stream_version=row["stream_version"],
    )


async def current(ledger: Ledger, stream: StreamName) -> DecisionRow | None:
    """Give a decision as its stream has it, from the view where that is level, else folded; ``None``: unknown.

    Raises:
        Unavailable: the database cannot be reached.
        Corrupt: this release cannot read one of its events.
    """
    async with reading(ledger.pool) as conn:
        found = await find(conn, ledger.ledger_id, stream)
    if found.is_level():
        return found.row
    stored = (await read_stream(ledger, stream)).events
    return fold_stream(recorded(item, DECISIONS.event_types) for item in stored)


def fold_stream(events: Iterable[Recorded[DecisionEvent]]) -> DecisionRow | None:
    """Fold a decision's whole stream into the row it will have; ``None`` for an empty one."""
    row: DecisionRow | None = None
    for item in events:
        row = _evolve(row, item)
    return row


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[DecisionEvent]]) -> None:
    """Open and move what the batch says."""
    loaded = await conn.fetch(LOAD, ledger_id, streams_of(batch))
    before = {StreamName(row["stream"]): _row(row) for row in loaded}
    after = [row for row in fold_rows(before, batch, _evolve).values() if row is not None]
    opened = [row for row in after if row.stream not in before]
    if opened:
        await conn.execute(OPEN, ledger_id, *_moving(opened), *_lasting(opened))
    moved = [row for row in after if row.stream in before]
    if moved:
        must_hit(await conn.execute(MOVE, ledger_id, *_moving(moved)), len(moved))


def _evolve(row: DecisionRow | None, item: Recorded[DecisionEvent]) -> DecisionRow:
    event = item.event
    if isinstance(event, DecisionSubmitted):
        return _opened(item, event)
    row = must_exist(row, item)
    seen = replace(row, version=item.version, standing=stands_after(row.standing, event))
    match event:
        case DecisionEscalated():
            return replace(seen, answer=answer_in(event))
        case (
            DecisionResolved()
            | DecisionOverridden()
            | DecisionExpired()
            | DecisionWithdrawn()
            | DecisionCancelled()
            | DecisionSuperseded()
        ):
            return replace(seen, answer=answer_in(event), is_resolved=True)
        case _:
            return seen


def _opened(item: Recorded[DecisionEvent], event: DecisionSubmitted) -> DecisionRow:
    return DecisionRow(
        stream=item.stream,
        decision_id=event.decision_id,
        submission=written(event).encode(),
        submitted_by=event.submitted_by,
        submitted_at=event.at,
        standing=Standing(),
        is_resolved=False,
        answer=None,
        version=item.version,
    )


def _moving(rows: Sequence[DecisionRow]) -> tuple[list[object], ...]:
    answers = [row.answer for row in rows]
    return (
        [row.stream for row in rows],
        *standing_columns([row.standing for row in rows]),
        [row.is_resolved for row in rows],
        [answer and answer.status.value for answer in answers],
        [answer and ",".join(answer.approved_actions) for answer in answers],
        [answer and answer.notes for answer in answers],
        [answer and answer.decided_by for answer in answers],
        [answer and answer.decided_at for answer in answers],
        [answer and answer.escalation_reason for answer in answers],
        [row.version for row in rows],
    )


def _lasting(rows: Sequence[DecisionRow]) -> tuple[list[object], ...]:
    return (
        [row.decision_id for row in rows],
        [row.submission.decode() for row in rows],
        [row.submitted_by for row in rows],
        [row.submitted_at for row in rows],
    )


def _row(row: asyncpg.Record) -> DecisionRow:
    return DecisionRow(
        stream=row["stream"],
        decision_id=row["analysis_id"],
        submission=(row["submission"] or "").encode(),
        submitted_by=row["submitted_by"],
        submitted_at=row["submitted_at"],
        standing=standing_of(row),
        is_resolved=row["is_resolved"],
        answer=_answer(row),
        version=row["version"],
    )


def _answer(row: asyncpg.Record) -> Answer | None:
    if row["status"] is None:
        return None
    return Answer(
        status=Status(row["status"]),
        approved_actions=tuple(Action(action) for action in row["approved_actions"]),
        notes=row["notes"],
        decided_by=row["decided_by"],
        decided_at=row["decided_at"],
        escalation_reason=row["escalation_reason"],
    )


DECISIONS: Final = Projection[DecisionEvent](
    name="decisions",
    version=1,
    event_types=get_args(DecisionEvent),
    tables=("decisions_v1",),
    apply=apply,
)

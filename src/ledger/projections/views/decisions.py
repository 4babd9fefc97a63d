"""Decisions: one row each, with all that an item and its response answer."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar, get_args

import asyncpg
import msgspec
import structlog

from ledger.domain.decision.events import DecisionEvent, Priority
from ledger.domain.decision.item import Change
from ledger.domain.decision.state import Answer, Status
from ledger.domain.ids import NO_EVENTS, StreamName, Version
from ledger.domain.terms import Action, DefaultOutcome
from ledger.projections.decision_row import (
    DecisionRow,
    File,
    Override,
    Question,
    Report,
    Vote,
    evolve,
)
from ledger.projections.projection import Projection, add_rows, columns_of, fold_rows, load_rows, must_hit
from ledger.projections.standing import standing_of, standing_values
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection, DatabaseUnreachable, reading
from ledger.store.streams import Recorded, read_stream, recorded
from ledger.store.together import Together

log = structlog.get_logger()

T = TypeVar("T")

# One range of the key at a time, in its order: another index of this ledger looks as good while the table is, or is
# known to be, empty, and would be read whole ever after.
# $1 ledger, $2 streams
LOAD: Final = """
select found.*
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select stream, null as submission, priority, subject_digest, deadline_at, target_at, level, lease_id,
           holder, fencing_token, expires_at, groups, assigned_to, votes, question, is_resolved, status,
           approved_actions, notes, decided_by, decided_at, escalation_reason, changes, default_outcome,
           successor, approved_digest, override, redeemed_at, outcome, evidence, comments, version, analysis_id,
           kind, kind_version, asked_priority, created_at, submitted_by, on_behalf_of, submitted_at,
           information_seconds
    from decisions_v2
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) found
"""
# In the order of _moving and _lasting.
OPENED: Final = """
ledger_id, stream, submission, priority, subject_digest, deadline_at, target_at, level, lease_id, holder,
fencing_token, expires_at, groups, assigned_to, votes, question, is_resolved, status, approved_actions, notes,
decided_by, decided_at, escalation_reason, changes, default_outcome, successor, approved_digest, override,
redeemed_at, outcome, evidence, comments, version, analysis_id, kind, kind_version, asked_priority,
created_at, submitted_by, on_behalf_of, submitted_at, information_seconds
"""
# Each row is found by its key and changed where it lies: a join by the key would, planned while the table is small or
# not known, compare every row of the batch with every other.
# $1 ledger; arrays, a decision each: $2 stream, $3 submission (null where it stays as it is), $4 priority, $5 subject
# digest, $6 deadline at, $7 target at, $8 level, $9 lease id, $10 holder, $11 fencing token, $12 expires at, $13 groups,
# $14 assigned to, $15 votes, $16 question, $17 is resolved, $18 status, $19 approved actions, $20 notes, $21 decided by,
# $22 decided at, $23 escalation reason, $24 changes, $25 default outcome, $26 successor, $27 approved digest, $28
# override, $29 redeemed at, $30 outcome, $31 evidence, $32 comments, $33 version (between commas: approved actions; JSON:
# groups, votes, question, changes, override, outcome, evidence)
MOVE: Final = """
update decisions_v2 as d
set submission = coalesce(m.submission, d.submission), priority = m.priority, subject_digest = m.subject_digest,
    deadline_at = m.deadline_at, target_at = m.target_at, level = m.level, lease_id = m.lease_id, holder =
    m.holder, fencing_token = m.fencing_token, expires_at = m.expires_at, groups = m.groups, assigned_to =
    m.assigned_to, votes = m.votes, question = m.question, is_resolved = m.is_resolved, status = m.status,
    approved_actions = string_to_array(m.approved_actions, ','), notes = m.notes, decided_by = m.decided_by,
    decided_at = m.decided_at, escalation_reason = m.escalation_reason, changes = m.changes, default_outcome =
    m.default_outcome, successor = m.successor, approved_digest = m.approved_digest, override = m.override,
    redeemed_at = m.redeemed_at, outcome = m.outcome, evidence = m.evidence, comments = m.comments, version =
    m.version
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::integer[],
            $9::uuid[], $10::uuid[], $11::integer[], $12::timestamptz[], $13::text[], $14::uuid[], $15::text[],
            $16::text[], $17::boolean[], $18::text[], $19::text[], $20::text[], $21::uuid[], $22::timestamptz[],
            $23::text[], $24::text[], $25::text[], $26::text[], $27::text[], $28::text[], $29::timestamptz[],
            $30::text[], $31::text[], $32::integer[], $33::integer[])
    as m(stream, submission, priority, subject_digest, deadline_at, target_at, level, lease_id, holder,
         fencing_token, expires_at, groups, assigned_to, votes, question, is_resolved, status, approved_actions,
         notes, decided_by, decided_at, escalation_reason, changes, default_outcome, successor, approved_digest,
         override, redeemed_at, outcome, evidence, comments, version)
cross join lateral (
    select ctid as place from decisions_v2
    where ledger_id = $1 and stream >= m.stream and stream <= m.stream
    order by stream
    limit 1
) found
where d.ledger_id = $1 and d.ctid = found.place
"""
# Fenced as LOAD is.
# $1 ledger, $2 streams
FIND: Final = """
select asked.stream as asked, d.*,
       coalesce((select max(version) from ledger.events where ledger_id = $1 and stream = asked.stream), 0)
           as stream_version
from unnest($2::text[]) as asked(stream)
left join lateral (
    select stream, submission, priority, subject_digest, deadline_at, target_at, level, lease_id, holder,
           fencing_token, expires_at, groups, assigned_to, votes, question, is_resolved, status,
           approved_actions, notes, decided_by, decided_at, escalation_reason, changes, default_outcome,
           successor, approved_digest, override, redeemed_at, outcome, evidence, comments, version, analysis_id,
           kind, kind_version, asked_priority, created_at, submitted_by, on_behalf_of, submitted_at,
           information_seconds
    from views.decisions_v2
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) d on true
"""
BEING_CHANGED: Final = (
    asyncpg.SyntaxOrAccessError,
    asyncpg.InvalidCachedStatementError,
)
"""What a server raises while somebody changes the columns of a table by hand."""

JUDGED: Final = frozenset({Status.APPROVED, Status.REJECTED})


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A row, if there is one, and how many events the decision's stream holds (0: there is no decision)."""

    row: DecisionRow | None
    stream_version: Version

    def is_level(self) -> bool:
        """Say whether the row shows every event of its stream; if not, fold the stream."""
        return self.stream_version == (NO_EVENTS if self.row is None else self.row.version)


async def find(conn: Connection, ledger_id: int, streams: Sequence[StreamName]) -> dict[StreamName, Found]:
    """Look decisions up, and whether the view is level with their streams, in one query.

    A row that this release cannot read counts as missing, and keeps those beside it from nobody.
    """
    rows = await conn.fetch(FIND, ledger_id, streams)
    return {
        StreamName(row["asked"]): Found(row=_row_if_readable(row), stream_version=row["stream_version"])
        for row in rows
    }


def _row_if_readable(row: asyncpg.Record) -> DecisionRow | None:
    try:
        return None if row["stream"] is None else _row(row)
    except (msgspec.MsgspecError, ValueError) as broken:
        _say_unreadable(broken)
        return None


def _say_unreadable(error: Exception) -> None:
    log.warning("view.unreadable", view=DECISIONS.name, error=type(error).__name__)


def lookups(ledger: Ledger) -> Together[StreamName, Found]:
    """Prepare to look decisions up together."""

    async def look(streams: Sequence[StreamName]) -> dict[StreamName, Found]:
        async with reading(ledger.pool) as conn:
            return await find(conn, ledger.ledger_id, streams)

    return Together(look)


async def current(
    ledger: Ledger, stream: StreamName, among: Together[StreamName, Found] | None = None
) -> DecisionRow | None:
    """Give a decision as its stream has it, from the view where that is level, else folded; ``None``: unknown.

    With others that are looked up ``among`` the same, where that is given. A view that cannot be read as this release
    knows it, because somebody is mending it, is not asked again.

    Raises:
        Unavailable: the database cannot be reached.
        Corrupt: this release cannot read one of its events.
    """
    try:
        found = (await (among or lookups(ledger)).find([stream]))[stream]
    except BEING_CHANGED as changed:
        _say_unreadable(changed)
    except DatabaseUnreachable as unreachable:
        if not isinstance(unreachable.__cause__, asyncpg.LockNotAvailableError):
            raise
        _say_unreadable(unreachable.__cause__)  # somebody keeps everybody else out of the view
    else:
        if found.is_level():
            return found.row
    stored = (await read_stream(ledger, stream)).events
    return fold_stream(recorded(item, DECISIONS.event_types) for item in stored)


def fold_stream(events: Iterable[Recorded[DecisionEvent]]) -> DecisionRow | None:
    """Fold a decision's whole stream into the row it will have; ``None`` for an empty one."""
    row: DecisionRow | None = None
    for item in events:
        row = evolve(row, item)
    return row


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[DecisionEvent]]) -> None:
    """Open and move what the batch says."""
    loaded = await load_rows(conn, LOAD, ledger_id, batch)
    before = {StreamName(row["stream"]): _row(row) for row in loaded}
    after = [row for row in fold_rows(before, batch, evolve).values() if row is not None]
    opened = [row for row in after if row.stream not in before]
    if opened:
        records = [(ledger_id, *_moving(row), *_lasting(row)) for row in opened]
        await add_rows(conn, "decisions_v2", OPENED, records)
    moved = [row for row in after if row.stream in before]
    if moved:
        must_hit(await conn.execute(MOVE, ledger_id, *columns_of(map(_moving, moved))), len(moved))


def _moving(row: DecisionRow) -> tuple[object, ...]:
    """Give what events change, as MOVE names it."""
    return (
        *(row.stream, row.submission.decode() or None, row.priority.value, row.subject_digest),
        *(row.clock_at, row.target_clock_at, *standing_values(row.standing)),
        *(msgspec.json.encode(row.groups).decode(), row.assigned_to, _text(row.votes), _text(row.question)),
        *(row.is_resolved, *_answer_values(row.answer), _text(row.override), row.redeemed_at),
        *(_text(row.outcome), _text(row.evidence), row.comments, row.version),
    )


def _answer_values(answer: Answer | None) -> tuple[object, ...]:
    if answer is None:
        return (None,) * 10
    default = None if answer.default_outcome is None else answer.default_outcome.value
    return (
        *(answer.status.value, answer.approved_actions, answer.notes, answer.decided_by, answer.decided_at),
        *(answer.escalation_reason, _text(answer.changes), default, answer.successor, answer.approved_digest),
    )


def _lasting(row: DecisionRow) -> tuple[object, ...]:
    """Give what stays."""
    return (
        *(row.decision_id, row.kind, row.kind_version, row.asked_priority.value, row.created_at),
        *(row.submitted_by, row.on_behalf_of, row.submitted_at, row.information_seconds),
    )


def _text(value: object) -> str | None:
    """Write what has more than one value as JSON; nothing is ``None``."""
    return msgspec.json.encode(value).decode() if value else None


def _row(row: asyncpg.Record) -> DecisionRow:
    return DecisionRow(
        stream=row["stream"],
        decision_id=row["analysis_id"],
        submission=(row["submission"] or "").encode(),
        kind=row["kind"],
        kind_version=row["kind_version"],
        asked_priority=Priority(row["asked_priority"]),
        priority=Priority(row["priority"]),
        created_at=row["created_at"],
        submitted_by=row["submitted_by"],
        on_behalf_of=row["on_behalf_of"],
        submitted_at=row["submitted_at"],
        information_seconds=row["information_seconds"],
        subject_digest=row["subject_digest"],
        clock_at=row["deadline_at"],
        target_clock_at=row["target_at"],
        standing=standing_of(row),
        groups=msgspec.json.decode(row["groups"], type=tuple[str, ...]),
        version=row["version"],
        assigned_to=row["assigned_to"],
        votes=_read(row["votes"], tuple[Vote, ...]) or (),
        question=_read(row["question"], Question),
        is_resolved=row["is_resolved"],
        answer=_answer(row),
        override=_read(row["override"], Override),
        redeemed_at=row["redeemed_at"],
        outcome=_read(row["outcome"], Report),
        evidence=_read(row["evidence"], tuple[File, ...]) or (),
        comments=row["comments"],
    )


def _read(text: str | None, shape: type[T]) -> T | None:
    return None if text is None else msgspec.json.decode(text, type=shape)


def _answer(row: asyncpg.Record) -> Answer | None:
    if row["status"] is None:
        return None
    status, default = Status(row["status"]), row["default_outcome"]
    return Answer(
        status=status,
        approved_actions=tuple(Action(action) for action in row["approved_actions"]),
        notes=row["notes"],
        decided_by=row["decided_by"],
        decided_at=row["decided_at"],
        escalation_reason=row["escalation_reason"],
        changes=_read(row["changes"], tuple[Change, ...]) or (),
        default_outcome=None if default is None else DefaultOutcome(default),
        successor=row["successor"],
        subject_digest=row["subject_digest"] if status in JUDGED else None,
        approved_digest=row["approved_digest"],
    )


DECISIONS: Final = Projection[DecisionEvent](
    name="decisions",
    version=2,
    event_types=get_args(DecisionEvent),
    tables=("decisions_v2",),
    apply=apply,
)

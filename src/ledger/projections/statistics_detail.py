"""Statistics in detail: what is open now, and what was done between two days, in all, by kind, by day and by person."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeAlias, TypeVar

import asyncpg
import msgspec

from ledger.domain.decision.events import Priority
from ledger.domain.ids import PersonId
from ledger.projections.faults import OUTDATED
from ledger.store.pool import Connection, Source, reading

DAY: Final = timedelta(days=1)
AGES: Final = ("under_1_hour", "under_4_hours", "under_1_day", "under_7_days", "7_days_or_more")

# What a row of a grouping set is of, by the columns that it is not grouped by.
OF_ALL, OF_KIND, OF_DAY = 3, 1, 2
BY_PRIORITY, BY_KIND, BY_LEVEL, BY_AGE = 7, 11, 13, 14

# $1 ledger, $2 the moment of asking, $3 only of this kind (null: of all), $4 only what this person submitted (null: all)
PENDING: Final = """
select grouping(priority, kind, level, age) as of_what, priority, kind, level, age, count(*) as items
from (
    select priority, kind, level,
           case when submitted_at > $2::timestamptz - interval '1 hour' then 'under_1_hour'
                when submitted_at > $2::timestamptz - interval '4 hours' then 'under_4_hours'
                when submitted_at > $2::timestamptz - interval '1 day' then 'under_1_day'
                when submitted_at > $2::timestamptz - interval '7 days' then 'under_7_days'
                else '7_days_or_more' end as age
    from views.statistics_v2
    where ledger_id = $1 and ended_at is null
      and ($3::text is null or kind = $3) and ($4::uuid is null or submitted_by = $4)
) as open
group by grouping sets ((priority), (kind), (level), (age))
"""
# $1 ledger, $2 from, $3 before, $4 only of this kind (null: of all), $5 only what this person submitted (null: all)
SUBMITTED: Final = """
select grouping(kind, day) as of_what, kind, day, count(*) as submitted
from (
    select kind, (submitted_at at time zone 'UTC')::date as day
    from views.statistics_v2
    where ledger_id = $1 and submitted_at >= $2 and submitted_at < $3
      and ($4::text is null or kind = $4) and ($5::uuid is null or submitted_by = $5)
) as submitted
group by grouping sets ((), (kind), (day))
"""
# binds as SUBMITTED
CLAIMED: Final = """
select grouping(kind, day) as of_what, kind, day, count(*) as claimed,
       percentile_cont(array[0.5, 0.95]) within group (order by seconds) as claim_seconds
from (
    select kind, (claimed_at at time zone 'UTC')::date as day,
           extract(epoch from claimed_at - submitted_at)::double precision as seconds
    from views.statistics_v2
    where ledger_id = $1 and claimed_at >= $2 and claimed_at < $3
      and ($4::text is null or kind = $4) and ($5::uuid is null or submitted_by = $5)
) as claimed
group by grouping sets ((), (kind), (day))
"""
# binds as SUBMITTED
ENDED: Final = """
select grouping(kind, day) as of_what, kind, day,
       count(*) filter (where status = 'approved') as approved,
       count(*) filter (where status = 'rejected') as rejected,
       count(*) filter (where is_override) as overridden,
       count(*) filter (where status = 'expired') as expired,
       count(*) filter (where status = 'expired' and not human_seen) as expired_unseen,
       count(*) filter (where status = 'withdrawn') as withdrawn,
       count(*) filter (where status = 'cancelled') as cancelled,
       count(*) filter (where status = 'superseded') as superseded,
       count(agrees) as compared, count(*) filter (where agrees) as agreed,
       percentile_cont(array[0.5, 0.95]) within group (order by seconds) as decide_seconds
from (
    select kind, (ended_at at time zone 'UTC')::date as day, status, is_override, human_seen, agrees,
           case when status in ('approved', 'rejected')
                then extract(epoch from ended_at - submitted_at)::double precision end as seconds
    from views.statistics_v2
    where ledger_id = $1 and ended_at >= $2 and ended_at < $3
      and ($4::text is null or kind = $4) and ($5::uuid is null or submitted_by = $5)
) as ended
group by grouping sets ((), (kind), (day))
"""
# binds as SUBMITTED
ESCALATED: Final = """
select grouping(kind, day) as of_what, kind, day, count(*) as escalated
from (
    select kind, (at at time zone 'UTC')::date as day
    from views.statistics_acts_v2
    where ledger_id = $1 and at >= $2 and at < $3 and act = 'escalate'
      and ($4::text is null or kind = $4) and ($5::uuid is null or submitted_by = $5)
) as escalated
group by grouping sets ((), (kind), (day))
"""
# $1 to $4 as SUBMITTED
BY_PERSON: Final = """
select person,
       count(*) filter (where act = 'claim') as claims,
       count(*) filter (where act = 'approve') as approvals,
       count(*) filter (where act = 'reject') as rejections,
       count(*) filter (where act = 'abstain') as abstentions,
       count(*) filter (where act = 'decide') as decided,
       count(*) filter (where act = 'escalate') as escalations,
       count(*) filter (where act = 'override') as overrides,
       count(agrees) as compared, count(*) filter (where agrees) as agreed, count(held_seconds) as held,
       percentile_cont(array[0.5, 0.95]) within group (order by held_seconds) as vote_seconds
from views.statistics_acts_v2
where ledger_id = $1 and at >= $2 and at < $3 and ($4::text is null or kind = $4) and person is not null
group by person
order by person
"""

Figures: TypeAlias = dict[str, object]
T = TypeVar("T", bound=msgspec.Struct)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: these days (UTC), both included; of one ``kind`` and one submitter, or of all (``None``)."""

    first: date
    last: date
    kind: str | None = None
    submitted_by: PersonId | None = None

    def days(self) -> tuple[date, ...]:
        """List the days."""
        return tuple(self.first + number * DAY for number in range((self.last - self.first).days + 1))


class Duration(msgspec.Struct, frozen=True, kw_only=True):
    """Of so many, half took no longer than the median, and 95 of 100 no longer than p95; ``null`` where there are none."""

    count: int = 0
    median_seconds: float | None = None
    p95_seconds: float | None = None


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Of so many verdicts compared with what was recommended, so many followed it."""

    compared: int = 0
    agreed: int = 0
    share: float | None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """What is open at the moment of asking."""

    total: int
    by_priority: dict[str, int]
    by_kind: dict[str, int]
    by_level: dict[str, int]
    by_age: dict[str, int]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What was submitted, escalated and ended; overrides are among the approved and rejected ones."""

    submitted: int = 0
    approved: int = 0
    rejected: int = 0
    overridden: int = 0
    expired: int = 0
    expired_unseen: int = 0
    withdrawn: int = 0
    cancelled: int = 0
    superseded: int = 0
    escalated: int = 0
    time_to_claim: Duration = Duration()
    time_to_decide: Duration = Duration()
    agreement: Agreement = Agreement()


class KindWork(Work, frozen=True, kw_only=True):
    """The same of one kind."""

    kind: str


class DayWork(Work, frozen=True, kw_only=True):
    """The same of one day (UTC)."""

    day: date


class PersonWork(msgspec.Struct, frozen=True, kw_only=True):
    """What one person did; ``decided`` counts verdicts that were settled by their vote."""

    person: PersonId
    claims: int
    approvals: int
    rejections: int
    abstentions: int
    decided: int
    escalations: int
    overrides: int
    time_to_vote: Duration
    agreement: Agreement


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """Everything; ``by_day`` has every day that was asked for."""

    pending: Pending
    total: Work
    by_kind: tuple[KindWork, ...]
    by_day: tuple[DayWork, ...]
    by_person: tuple[PersonWork, ...]


async def read(source: Source, ledger_id: int, question: Question, now: datetime) -> Detail:
    """Answer from one picture of the view; once more when its tables were exchanged meanwhile.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    try:
        return await _read(source, ledger_id, question, now)
    except OUTDATED:
        return await _read(source, ledger_id, question, now)


async def _read(source: Source, ledger_id: int, question: Question, now: datetime) -> Detail:
    async with reading(source) as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        return await detail(conn, ledger_id, question, now)


async def detail(conn: Connection, ledger_id: int, question: Question, now: datetime) -> Detail:
    """Answer a question at ``now``; a single submitter is not told who did what."""
    kind, only = question.kind, question.submitted_by
    start = datetime.combine(question.first, time(), UTC)
    end = datetime.combine(question.last, time(), UTC) + DAY
    open_now = await conn.fetch(PENDING, ledger_id, now, kind, only)
    figures: list[asyncpg.Record] = []
    for statement in (SUBMITTED, CLAIMED, ENDED, ESCALATED):
        figures += await conn.fetch(statement, ledger_id, start, end, kind, only)
    people = [] if only is not None else await conn.fetch(BY_PERSON, ledger_id, start, end, kind)
    by_day = _merged(figures, OF_DAY, "day")
    return Detail(
        pending=_pending(open_now),
        total=_work(_merged(figures, OF_ALL, None).get(None, {}), Work),
        by_kind=tuple(
            _work(found, KindWork) for _, found in sorted(_merged(figures, OF_KIND, "kind").items())
        ),
        by_day=tuple(_work({"day": day, **by_day.get(day, {})}, DayWork) for day in question.days()),
        by_person=tuple(_person(row) for row in people),
    )


def _pending(rows: Sequence[asyncpg.Record]) -> Pending:
    def by(of_what: int, column: str) -> dict[str, int]:
        return {str(row[column]): row["items"] for row in rows if row["of_what"] == of_what}

    priorities, ages = by(BY_PRIORITY, "priority"), by(BY_AGE, "age")
    return Pending(
        total=sum(priorities.values()),
        by_priority={priority.value: priorities.get(priority.value, 0) for priority in Priority},
        by_kind=dict(sorted(by(BY_KIND, "kind").items())),
        by_level=dict(sorted(by(BY_LEVEL, "level").items(), key=lambda level: int(level[0]))),
        by_age={age: ages.get(age, 0) for age in AGES},
    )


def _merged(rows: Iterable[asyncpg.Record], of_what: int, key: str | None) -> dict[object, Figures]:
    """Lay the figures of one grouping, which come from several statements, together by what they are of."""
    merged: dict[object, Figures] = {}
    for row in rows:
        if row["of_what"] == of_what:
            found: Figures = {name: value for name, value in row.items() if value is not None}
            merged.setdefault(None if key is None else row[key], {}).update(found)
    return merged


def _work(figures: Mapping[str, object], shape: type[T]) -> T:
    decided = _number(figures, "approved") + _number(figures, "rejected")
    names = {field.name for field in msgspec.structs.fields(shape)}
    derived = {
        "time_to_claim": _duration(_number(figures, "claimed"), figures.get("claim_seconds")),
        "time_to_decide": _duration(decided, figures.get("decide_seconds")),
        "agreement": _agreement(_number(figures, "compared"), _number(figures, "agreed")),
    }
    kept = {name: value for name, value in figures.items() if name in names}
    return msgspec.convert({**kept, **derived}, shape)


def _person(row: asyncpg.Record) -> PersonWork:
    figures: Figures = dict(row)
    return PersonWork(
        person=row["person"],
        claims=row["claims"],
        approvals=row["approvals"],
        rejections=row["rejections"],
        abstentions=row["abstentions"],
        decided=row["decided"],
        escalations=row["escalations"],
        overrides=row["overrides"],
        time_to_vote=_duration(row["held"], figures["vote_seconds"]),
        agreement=_agreement(row["compared"], row["agreed"]),
    )


def _number(figures: Mapping[str, object], name: str) -> int:
    found = figures.get(name, 0)
    return found if isinstance(found, int) else 0


def _duration(count: int, percentiles: object) -> Duration:
    if not count or not isinstance(percentiles, list):
        return Duration()
    median, p95 = percentiles
    return Duration(count=count, median_seconds=median, p95_seconds=p95)


def _agreement(compared: int, agreed: int) -> Agreement:
    return Agreement(compared=compared, agreed=agreed, share=agreed / compared if compared else None)

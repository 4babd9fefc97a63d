"""Statistics in detail over HTTP."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

import msgspec
from litestar import Controller, Response, get
from litestar.params import QueryParameter

from ledger.api.call import STALE, Call, own_only, staleness
from ledger.api.json_answer import json_response
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.types import HttpRequest
from ledger.identity.people import ERASED
from ledger.projections import statistics_detail as detail
from ledger.projections.statistics_detail import (
    Agreement,
    DayWork,
    Duration,
    KindWork,
    Pending,
    PersonWork,
    Question,
    Work,
)

DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
MOST_DAYS: Final = 366
USUAL_DAYS: Final = 30
EARLIEST: Final = date(1970, 1, 1)
LATEST: Final = date(2199, 12, 31)


class AnalystWork(msgspec.Struct, frozen=True, kw_only=True):
    """What one person did; ``decided`` counts verdicts that were settled by their vote."""

    username: str
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
    """What is open at ``as_of``, and what was done from day to day (UTC, both included), in all and by what."""

    from_: date = msgspec.field(name="from")
    to: date
    kind: str | None
    as_of: datetime
    pending: Pending
    total: Work
    by_kind: tuple[KindWork, ...]
    by_day: tuple[DayWork, ...]
    by_analyst: tuple[AnalystWork, ...]


class StatisticsController(Controller):
    """What was done, in numbers."""

    path = "/api/decisions/stats"
    tags = ("Decisions",)

    @get("/detail", opt={"answer": Detail, "tells": (STALE,)})
    async def show(
        self,
        request: HttpRequest,
        from_: Annotated[
            str | None, QueryParameter(name="from", max_length=10, description="the first day, in UTC")
        ] = None,
        to: Annotated[str | None, QueryParameter(max_length=10, description="the last day, in UTC")] = None,
        kind: Annotated[str | None, QueryParameter(min_length=1, max_length=200)] = None,
    ) -> Response[bytes]:
        """Count what is open, and what was done on up to 366 days: in all, by kind, by day and by analyst."""
        call = Call(request)
        services, now = call.services, call.services.clock()
        first, last = _days(from_, to, now)
        question = Question(first=first, last=last, kind=kind, submitted_by=own_only(call.principal))
        found = await services.read(
            ("statistics",), lambda ledger: detail.read(ledger.source, ledger.ledger_id, question, now)
        )
        body = Detail(
            from_=first,
            to=last,
            kind=kind,
            as_of=now,
            pending=found.pending,
            total=found.total,
            by_kind=found.by_kind,
            by_day=found.by_day,
            by_analyst=await _named(call, found.by_person),
        )
        return json_response(body, headers=staleness(services, "statistics"))


async def _named(call: Call, people: tuple[PersonWork, ...]) -> tuple[AnalystWork, ...]:
    names = await call.names([one.person for one in people])
    told = [
        AnalystWork(
            username=names.get(one.person, ERASED),
            claims=one.claims,
            approvals=one.approvals,
            rejections=one.rejections,
            abstentions=one.abstentions,
            decided=one.decided,
            escalations=one.escalations,
            overrides=one.overrides,
            time_to_vote=one.time_to_vote,
            agreement=one.agreement,
        )
        for one in people
    ]
    return tuple(sorted(told, key=lambda one: one.username))


def _days(first: str | None, last: str | None, now: datetime) -> tuple[date, date]:
    """Read the range; without an end it is today, without a beginning 30 days in all."""
    end = now.astimezone(UTC).date() if last is None else _day(last, "to")
    start = max(EARLIEST, end - timedelta(days=USUAL_DAYS - 1)) if first is None else _day(first, "from")
    if start > end:
        raise InvalidRequest(FieldError("from", "is after 'to'"))
    if (end - start).days >= MOST_DAYS:
        raise InvalidRequest(FieldError("from", f"lies more than {MOST_DAYS} days before the end of 'to'"))
    return start, end


def _day(text: str, field: str) -> date:
    try:
        found = date.fromisoformat(text) if DATE.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or not EARLIEST <= found <= LATEST:
        raise InvalidRequest(FieldError(field, "is a day between 1970 and 2199, like 2026-11-30"))
    return found

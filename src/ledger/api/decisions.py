"""The main job over HTTP: submit, queue, decide, response."""

import re
from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api import wire
from ledger.api.call import Call, etag, json_response, own_only
from ledger.api.items import streams_behind
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.services import Services
from ledger.api.submitting import read_submission
from ledger.api.types import HttpRequest
from ledger.api.waiting import MAX_WAIT, answered
from ledger.api.wire import Submitted, Verdict, decision_id
from ledger.command_handler import Facts, Handled
from ledger.domain.decision.commands import CastVote, DecisionCommand, Escalate
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    Choice,
    DecisionEscalated,
    DecisionEvent,
    DecisionResolved,
    Priority,
    VoteCast,
)
from ledger.domain.decision.evolving import answer_in
from ledger.domain.decision.state import Answer, DecisionNotFound, Status
from ledger.domain.ids import DecisionId, Position
from ledger.identity.people import ERASED
from ledger.identity.sessions import authority
from ledger.projections.views import decisions as decisions_view
from ledger.projections.views import queue as queue_view
from ledger.projections.views import statistics as statistics_view
from ledger.projections.views.decision_row import DecisionRow
from ledger.projections.views.queue import Cursor
from ledger.store.pool import reading

FEEDS: Final = ("queue", "decisions", "statistics")
STALE: Final = "Ledger-View-Stale"
CURSOR: Final = re.compile(r"([0-3])\.(\d{1,18})")


class DecisionController(Controller):
    """What submitters and analysts do with decisions."""

    path = "/api/decisions"
    tags = ("Decisions",)

    @post(
        "/submit",
        status_code=200,
        opt={
            "body": (wire.Submission, wire.KindSubmission),
            "answer": Submitted,
            "keyed": True,
            "tagged": True,
        },
    )
    async def submit(self, request: HttpRequest) -> Response[bytes]:
        """Ask for a decision on an item of the built-in kind, or of the kind that is named."""
        call = Call(request)
        submission = await read_submission(call)

        def build(facts: Facts) -> DecisionCommand:
            return submission.command(facts, call.services.ledger, authority(facts, call.principal))

        handled = await call.handle(
            DECISION,
            call.services.ledger.decision_stream(submission.decision_id),
            build,
            reads=streams_behind(call.services.ledger, submission.kind),
        )
        body = Submitted(message="Decision submitted successfully", analysis_id=submission.decision_id)
        return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)

    @get("/pending", opt={"answer": list[wire.Item], "tells": ("Link", STALE)})
    async def pending(
        self,
        request: HttpRequest,
        priority: Annotated[Priority | None, QueryParameter()] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
        cursor: Annotated[str | None, QueryParameter(max_length=32)] = None,
    ) -> Response[bytes]:
        """List open items by priority, then age; the next page's address is in the Link header."""
        services = Call(request).services
        after = _cursor(cursor)
        async with reading(services.ledger.pool) as conn:
            found = await queue_view.page(
                conn,
                services.ledger.ledger_id,
                now=services.clock(),
                limit=limit + 1,
                after=after,
                choice=queue_view.Choice(priority=priority),
            )
        page, now = found[:limit], services.clock()
        more = _next_page(page[-1].cursor(), limit, priority) if len(found) > limit else {}
        more |= _staleness(services, "queue")
        items = [msgspec.Raw(_shown(item.submission, item.status_at(now))) for item in page]
        return json_response(items, headers=more)

    @get("/stats/summary", opt={"answer": statistics_view.Summary, "tells": (STALE,)})
    async def summary(self, request: HttpRequest) -> Response[bytes]:
        """Count open and completed decisions."""
        call = Call(request)
        services = call.services
        async with reading(services.ledger.pool) as conn:
            summary = await statistics_view.summary(
                conn, services.ledger.ledger_id, services.clock(), submitted_by=own_only(call.principal)
            )
        return json_response(summary, headers=_staleness(services, "statistics"))

    @get("/{analysis_id:str}", opt={"answer": wire.Item, "tagged": True})
    async def item(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Show a submission and how it stands."""
        call = Call(request)
        row = await _row(call, decision_id(analysis_id))
        item = msgspec.Raw(_shown(row.submission, row.status_at(call.services.clock())))
        return json_response(item, headers={"ETag": etag(row.version)})

    @get(
        "/{analysis_id:str}/response",
        opt={"answer": wire.Response, "tagged": True, "delays": (404,)},
    )
    async def response(
        self,
        request: HttpRequest,
        analysis_id: FromPath[str],
        wait: Annotated[int, QueryParameter(ge=0, le=MAX_WAIT)] = 0,
    ) -> Response[bytes]:
        """Fetch the answer to a submission; with 'wait', as soon as there is one within so many seconds."""
        call = Call(request)
        wanted = decision_id(analysis_id)
        stream = call.services.ledger.decision_stream(wanted)
        found = await answered(request, stream, lambda: _row(call, wanted), seconds=wait)
        body = _told(wanted, found.answer, found.decided_by)
        return json_response(body, headers={"ETag": etag(found.version)})

    @post(
        "/{analysis_id:str}/decide",
        status_code=200,
        opt={"body": Verdict, "answer": wire.Response, "keyed": True, "tagged": True},
    )
    async def decide(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Approve, reject or escalate."""
        call = Call(request)
        wanted = decision_id(analysis_id)
        verdict = await call.json(Verdict)
        if verdict.decision_id != wanted:
            raise InvalidRequest(FieldError("decision_id", "is not the analysis_id of the path"))
        return await _decide(call, wanted, verdict)

    @post(
        "/{analysis_id:str}/escalate",
        status_code=200,
        opt={"answer": wire.Response, "keyed": True, "tagged": True},
    )
    async def escalate(
        self,
        request: HttpRequest,
        analysis_id: FromPath[str],
        escalation_reason: Annotated[str, QueryParameter(min_length=1, max_length=65_536)],
    ) -> Response[bytes]:
        """Move a decision up to the next level."""
        if not escalation_reason.strip():
            raise InvalidRequest(FieldError("escalation_reason", "is a text that says why"))
        wanted = decision_id(analysis_id)
        verdict = Verdict(
            decision_id=wanted,
            status="escalated",
            approved_actions=(),
            notes="",
            escalation_reason=escalation_reason,
        )
        return await _decide(Call(request), wanted, verdict)


async def _decide(call: Call, wanted: DecisionId, verdict: Verdict) -> Response[bytes]:
    def build(facts: Facts) -> DecisionCommand:
        return _command(facts, call, verdict)

    handled = await call.handle(DECISION, call.services.ledger.decision_stream(wanted), build)
    body = await _response(call, wanted, _answer(handled))
    return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)


def _command(facts: Facts, call: Call, verdict: Verdict) -> DecisionCommand:
    by = authority(facts, call.principal)
    if verdict.status == "escalated":
        return Escalate(
            now=facts.now,
            by=by,
            reason=verdict.escalation_reason or "",
            approved_actions=verdict.approved_actions,
            notes=verdict.notes,
        )
    return CastVote(
        now=facts.now,
        by=by,
        choice=Choice.APPROVE if verdict.status == "approved" else Choice.REJECT,
        approved_actions=verdict.approved_actions,
        notes=verdict.notes,
    )


def _answer(handled: Handled[DecisionEvent]) -> Answer:
    """Tell what the command's own events answer: the same whenever it is sent again."""
    for recorded in reversed(handled.events):
        match recorded.event:
            case DecisionResolved() | DecisionEscalated() as event:
                return answer_in(event)
            case VoteCast() as event:
                return _not_enough_yet(event)
            case _:
                continue
    raise DecisionNotFound


def _not_enough_yet(event: VoteCast) -> Answer:
    """A voice that was counted where the policy asks for more of them."""
    return Answer(
        status=Status.PENDING,
        approved_actions=event.approved_actions,
        notes=event.notes,
        decided_by=event.voter,
        decided_at=event.at,
        escalation_reason=None,
    )


async def _row(call: Call, wanted: DecisionId) -> DecisionRow:
    """Find what this caller may see; to a service other people's decisions do not exist."""
    ledger = call.services.ledger
    row = await decisions_view.current(ledger, ledger.decision_stream(wanted))
    only = own_only(call.principal)
    if row is None or (only is not None and row.submitted_by != only):
        raise DecisionNotFound
    return row


def _shown(submission: bytes, status: Status) -> bytes:
    """Add the status to a submission's JSON, which is kept verbatim and never parsed for this."""
    return submission[:-1] + b',"status":"' + status.value.encode("ascii") + b'"}'


async def _response(call: Call, wanted: DecisionId, answer: Answer) -> wire.Response:
    names = await call.names([answer.decided_by])
    decided_by = None if answer.decided_by is None else names.get(answer.decided_by, ERASED)
    return _told(wanted, answer, decided_by)


def _told(wanted: DecisionId, answer: Answer, decided_by: str | None) -> wire.Response:
    return wire.Response(
        decision_id=wanted,
        status=answer.status,
        approved_actions=answer.approved_actions,
        notes=answer.notes,
        decided_by=decided_by,
        decided_at=answer.decided_at,
        escalation_reason=answer.escalation_reason,
    )


def _cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    match = CURSOR.fullmatch(text)
    if match is None:
        raise InvalidRequest(FieldError("cursor", "is what the Link header of the page before said"))
    return Cursor(int(match[1]), Position(int(match[2])))


def _staleness(services: Services, *names: str) -> dict[str, str]:
    """Say which of the views behind a list are late, paused, or lack something that is parked."""
    stale = services.progress.stale(names)
    return {STALE: ",".join(stale)} if stale else {}


def _next_page(last: Cursor, limit: int, priority: Priority | None) -> dict[str, str]:
    """Name the next page (RFC 8288)."""
    query = {"limit": str(limit), "cursor": f"{last.rank}.{last.position}"}
    if priority is not None:
        query["priority"] = priority.value
    return {"Link": f'</api/decisions/pending?{urlencode(query)}>; rel="next"'}

"""The main job over HTTP: submit, queue, response; verdicts are in ``verdicts``."""

import re
from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api import wire
from ledger.api.call import Call, etag, json_response, own_only
from ledger.api.decision_wire import ITEM, for_machines, for_people, people_in, written
from ledger.api.desk import FEEDS, named, row_of
from ledger.api.items import streams_behind
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.services import Services
from ledger.api.submitting import read_submission
from ledger.api.types import HttpRequest
from ledger.api.waiting import MAX_WAIT, answered
from ledger.api.wire import Submitted, decision_id
from ledger.command_handler import Facts
from ledger.domain.decision.commands import DecisionCommand
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Priority
from ledger.domain.decision.state import Status
from ledger.domain.ids import Position
from ledger.identity.sessions import authority
from ledger.projections.views import queue as queue_view
from ledger.projections.views import statistics as statistics_view
from ledger.projections.views.queue import Cursor
from ledger.store.pool import reading

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

    @get("/pending", opt={"answer": (list[wire.Item], list[wire.KindItem]), "tells": ("Link", STALE)})
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

    @get("/{analysis_id:str}", opt={"answer": ITEM, "tagged": True})
    async def item(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Show a submission and how it stands."""
        call = Call(request)
        row = await row_of(call, decision_id(analysis_id))
        names = await named(call, people_in(row))
        details = for_people if own_only(call.principal) is None else for_machines
        item = written(row, details(row, names, call.services.clock()))
        return json_response(msgspec.Raw(item), headers={"ETag": etag(row.version)})

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
        found = await answered(request, stream, lambda: row_of(call, wanted), seconds=wait)
        body = wire.told(wanted, found.answer, found.decided_by)
        return json_response(body, headers={"ETag": etag(found.version)})


def _shown(submission: bytes, status: Status) -> bytes:
    """Add the status to a submission's JSON, which is kept verbatim and never parsed for this."""
    return submission[:-1] + b',"status":"' + status.value.encode("ascii") + b'"}'


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

"""The main job over HTTP: submit, look, response; the queue is in ``queue``, verdicts are in ``verdicts``."""

from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api import wire
from ledger.api.call import STALE, Call, own_only, staleness
from ledger.api.conditional import etag
from ledger.api.decision_wire import ITEM, for_machines, for_people, people_in, written
from ledger.api.desk import FEEDS, named, row_of, told_of_its_own
from ledger.api.items import streams_behind
from ledger.api.json_answer import json_response
from ledger.api.receipts import link_to_proof
from ledger.api.submitting import read_submission
from ledger.api.types import HttpRequest
from ledger.api.waiting import MAX_WAIT, answered
from ledger.api.wire import Submitted, decision_id
from ledger.command_handling.beginning import Unread
from ledger.command_handling.facts import Facts
from ledger.domain.decision.commands import DecisionCommand
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.rules import AlreadyExists
from ledger.identity.sessions import authority
from ledger.personal.covering import Covering, needs_no_key
from ledger.projections.views import statistics as statistics_view
from ledger.store.ledger import Ledger
from ledger.store.pool import reading


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

        stream = call.services.ledger.decision_stream(submission.decision_id)
        async with told_of_its_own(call, stream, AlreadyExists(decision_id=submission.decision_id)):
            handled = await call.handle(
                DECISION,
                stream,
                build,
                reads=streams_behind(call.services.ledger, submission.kind),
                cover=Covering(call.services.identity, stream),
                unread=Unread(call.services.lookups.lately, needs_no_key),
            )
        body = Submitted(message="Decision submitted successfully", analysis_id=submission.decision_id)
        return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)

    @get("/stats/summary", opt={"answer": statistics_view.Summary, "tells": (STALE,)})
    async def summary(self, request: HttpRequest) -> Response[bytes]:
        """Count open and completed decisions."""
        call = Call(request)
        services = call.services
        now, only = services.clock(), own_only(call.principal)

        async def look(ledger: Ledger) -> statistics_view.Summary:
            async with reading(ledger.source) as conn:
                return await statistics_view.summary(conn, ledger.ledger_id, now, submitted_by=only)

        summary = await services.read(("statistics",), look)
        return json_response(summary, headers=staleness(services, "statistics"))

    @get("/{analysis_id:str}", opt={"answer": ITEM, "tagged": True})
    async def item(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Show a submission and how it stands."""
        call = Call(request)
        row = await row_of(call, decision_id(analysis_id))
        names = await named(call, people_in(row))
        details = for_people if own_only(call.principal) is None else for_machines
        item = written(row, details(row, names, call.services.clock()))
        return await call.shown(msgspec.Raw(item), headers={"ETag": etag(row.version)})

    @get(
        "/{analysis_id:str}/response",
        opt={"answer": wire.Response, "tagged": True, "tells": ("Link",), "delays": (404,)},
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
        headers = {"ETag": etag(found.version)}
        if found.event_id is not None and found.submitted_by == call.principal.person:
            headers["Link"] = link_to_proof(found.event_id)
        return await call.shown(body, headers=headers)

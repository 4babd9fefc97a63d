"""What is said about a decision over HTTP: comments, questions to the submitter and their answers."""

from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api.bodies import text_of
from ledger.api.call import Call
from ledger.api.conditional import etag
from ledger.api.desk import FEEDS, act, named, row_of
from ledger.api.paging import next_page
from ledger.api.subjects import shape_of
from ledger.api.types import HttpRequest
from ledger.api.wire import decision_id
from ledger.api.workflow import ACTS, acted
from ledger.api.workflow_wire import Informed, Inquiry, Remark, Reply, Said, Saying
from ledger.command_handling.answering import Handled
from ledger.command_handling.facts import Facts
from ledger.domain.authority import Authority
from ledger.domain.decision.commands import Comment, ProvideInformation, RequestInformation
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    CommentAdded,
    DecisionEvent,
    InformationProvided,
    InformationRequested,
    VotesInvalidated,
)
from ledger.domain.decision.state import DecisionNotFound, DecisionState
from ledger.domain.ids import DecisionId, LeaseId, PersonId
from ledger.store.streams import read_stream, recorded


class TalkController(Controller):
    """What those who take part in a decision say to each other."""

    path = "/api/decisions"
    tags = ("Decisions",)

    @post("/{analysis_id:str}/comment", status_code=200, opt={**ACTS, "body": Remark})
    async def comment(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Say something to all who take part, also after the end."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(Remark)
        handled = await act(call, wanted, lambda facts, by, _: Comment(now=facts.now, by=by, text=given.text))
        return await acted(call, wanted, handled, "Comment added")

    @get("/{analysis_id:str}/comments", opt={"answer": list[Said], "tagged": True, "tells": ("Link",)})
    async def comments(
        self,
        request: HttpRequest,
        analysis_id: FromPath[str],
        after: Annotated[int, QueryParameter(ge=0, le=2**31 - 1)] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
    ) -> Response[bytes]:
        """List comments, questions and answers, the oldest first."""
        call = Call(request)
        wanted = decision_id(analysis_id)
        await row_of(call, wanted)
        ledger = call.services.ledger
        stream = await read_stream(ledger, ledger.decision_stream(wanted))
        events = (
            recorded(stored, DECISION.event_types) for stored in stream.events if stored.version > after
        )
        told = [(event, *what) for event in events if (what := _told(event.event))]
        names = await named(call, [by for _, by, _, _ in told[:limit]])
        headers = {"ETag": etag(stream.version())}
        if len(told) > limit:
            path = f"/api/decisions/{quote(wanted, safe='')}/comments"
            headers |= next_page(path, {"limit": limit, "after": told[limit - 1][0].version})
        page = [
            Said(number=event.version, what=what, by=names.of(by), at=event.event.at, text=text)
            for event, by, what, text in told[:limit]
        ]
        return await call.shown(page, headers=headers)

    @post("/{analysis_id:str}/request-information", status_code=200, opt={**ACTS, "body": Inquiry})
    async def request_information(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Ask the submitter something, as the holder of the lease; the clocks may stop until they answer."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(Inquiry)

        def wish(facts: Facts, by: Authority, _: DecisionState) -> RequestInformation:
            return RequestInformation(
                now=facts.now, by=by, lease_id=LeaseId(given.lease_id), question=given.question
            )

        return await acted(call, wanted, await act(call, wanted, wish), "Information requested")

    @post(
        "/{analysis_id:str}/provide-information",
        status_code=200,
        opt={"body": Reply, "answer": Informed, "keyed": True, "tagged": True},
    )
    async def provide_information(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Answer (the submitter), perhaps with another payload: what people are shown then is another subject."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(Reply)
        payload = given.payload
        text = None if isinstance(payload, msgspec.UnsetType) else text_of(payload, "payload")
        shape = await shape_of(call, wanted)

        def wish(facts: Facts, by: Authority, _: DecisionState) -> ProvideInformation:
            item = None if text is None else shape.item_of(text)
            return ProvideInformation(now=facts.now, by=by, answer=given.answer, item=item)

        return await _informed(call, wanted, await act(call, wanted, wish))


def _told(event: DecisionEvent) -> tuple[PersonId, Saying, str] | None:
    match event:
        case CommentAdded():
            return event.by, Saying.COMMENT, event.text
        case InformationRequested():
            return event.by, Saying.QUESTION, event.question
        case InformationProvided():
            return event.by, Saying.ANSWER, event.answer
        case _:
            return None


async def _informed(call: Call, wanted: DecisionId, handled: Handled[DecisionEvent]) -> Response[bytes]:
    for one in handled.events:
        event = one.event
        if isinstance(event, InformationProvided):
            body = Informed(
                message="Information provided",
                analysis_id=wanted,
                at=event.at,
                subject_digest=event.subject_digest,
                votes_are_void=any(isinstance(other.event, VotesInvalidated) for other in handled.events),
                deadline_at=event.deadline_at,
                target_at=event.target_at,
            )
            return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)
    raise DecisionNotFound

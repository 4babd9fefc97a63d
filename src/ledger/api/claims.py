"""Who works on what: pulling and claiming, leases, handing over, assigning, reprioritising."""

from typing import Final
from uuid import uuid4

from litestar import Controller, Response, post
from litestar.params import FromPath
from litestar.status_codes import HTTP_204_NO_CONTENT
from msgspec import Raw

from ledger.api.call import Call
from ledger.api.claim_wire import (
    CLAIMED,
    Assignment,
    HandOver,
    LeaseNamed,
    Nothing,
    Reprioritisation,
    TakeOver,
    Wanted,
)
from ledger.api.colleagues import colleague_of, person_named
from ledger.api.decision_wire import for_people, people_in, written
from ledger.api.desk import FEEDS, Wish, act, named
from ledger.api.pulling import pulled, within_limit
from ledger.api.types import HttpRequest
from ledger.api.wire import decision_id
from ledger.command_handling.answering import Handled
from ledger.command_handling.facts import Facts
from ledger.domain.authority import Authority
from ledger.domain.decision.commands import (
    AcceptHandover,
    Assign,
    ClaimDecision,
    OfferHandover,
    ReleaseClaim,
    RenewClaim,
    Reprioritise,
)
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.decision.state import DecisionNotFound, DecisionState
from ledger.domain.ids import DecisionId, LeaseId, PersonId, StreamName
from ledger.projections import picking
from ledger.projections.views.decisions import fold_stream
from ledger.store.history import read_stream_until
from ledger.store.ledger import account_stream
from ledger.store.streams import recorded

KEYED: Final = {"answer": CLAIMED, "keyed": True, "tagged": True}


class ClaimController(Controller):
    """What keeps two people from doing the same item."""

    path = "/api/decisions"
    tags = ("Decisions",)

    @post(
        "/next",
        status_code=200,
        opt={
            "body": Wanted,
            "may_be_empty": True,
            "answer": CLAIMED,
            "keyed": True,
            "tells": ("ETag",),
            "also": {204: "Nothing is waiting"},
        },
    )
    async def next_item(self, request: HttpRequest) -> Response[bytes]:
        """Claim the best item that the caller may work on and nobody holds; the body may be left out."""
        call = Call(request)
        wanted = await call.json_if_any(Wanted)
        async with await call.turn():
            done = await call.done_before(DECISION)
            if done is not None:
                return await _shown(call, done.events[0].stream, done)
            async with within_limit(call):
                return await _pull(call, wanted)

    @post("/{analysis_id:str}/claim", status_code=200, opt={**KEYED, "body": TakeOver, "may_be_empty": True})
    async def claim(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Claim this item; with a reason, a lead takes it over from whoever holds it."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json_if_any(TakeOver)
        lease_id = LeaseId(uuid4())

        def wish(facts: Facts, by: Authority, _: DecisionState) -> ClaimDecision:
            return ClaimDecision(now=facts.now, by=by, lease_id=lease_id, reason=given.reason)

        async with within_limit(call, call.services.ledger.decision_stream(wanted)):
            return await _act(call, wanted, wish)

    @post("/{analysis_id:str}/renew", status_code=200, opt={**KEYED, "body": LeaseNamed})
    async def renew(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Keep it for another lease."""
        call = Call(request)
        wanted, lease_id = decision_id(analysis_id), LeaseId((await call.json(LeaseNamed)).lease_id)
        return await _act(
            call, wanted, lambda facts, by, _: RenewClaim(now=facts.now, by=by, lease_id=lease_id)
        )

    @post("/{analysis_id:str}/release", status_code=200, opt={**KEYED, "body": LeaseNamed})
    async def release(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Give it back to the queue."""
        call = Call(request)
        wanted, lease_id = decision_id(analysis_id), LeaseId((await call.json(LeaseNamed)).lease_id)
        return await _act(
            call, wanted, lambda facts, by, _: ReleaseClaim(now=facts.now, by=by, lease_id=lease_id)
        )

    @post("/{analysis_id:str}/hand-over", status_code=200, opt={**KEYED, "body": HandOver})
    async def hand_over(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Ask a colleague to take it over; nothing changes until they accept."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(HandOver)
        to = await person_named(call, given.to, "to")

        def wish(facts: Facts, by: Authority, _: DecisionState) -> OfferHandover:
            return OfferHandover(
                now=facts.now, by=by, lease_id=LeaseId(given.lease_id), to=colleague_of(facts, to)
            )

        return await _act(call, wanted, wish, about=to)

    @post("/{analysis_id:str}/accept", status_code=200, opt={**KEYED, "body": Nothing, "may_be_empty": True})
    async def accept(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Take over what a colleague offered, under a lease of one's own; the body may be left out."""
        call = Call(request)
        wanted = decision_id(analysis_id)
        await call.json_if_any(Nothing)
        lease_id = LeaseId(uuid4())
        async with within_limit(call):
            return await _act(
                call, wanted, lambda facts, by, _: AcceptHandover(now=facts.now, by=by, lease_id=lease_id)
            )

    @post("/{analysis_id:str}/assign", status_code=200, opt={**KEYED, "body": Assignment})
    async def assign(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Give it to somebody, or to everybody again (leads, administrators); a claim of somebody else ends."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(Assignment)
        to = None if given.to is None else await person_named(call, given.to, "to")

        def wish(facts: Facts, by: Authority, _: DecisionState) -> Assign:
            colleague = None if to is None else colleague_of(facts, to)
            return Assign(now=facts.now, by=by, to=colleague, reason=given.reason)

        return await _act(call, wanted, wish, about=to)

    @post("/{analysis_id:str}/reprioritise", status_code=200, opt={**KEYED, "body": Reprioritisation})
    async def reprioritise(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Move it up or down the queue (leads, administrators)."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(Reprioritisation)

        def wish(facts: Facts, by: Authority, _: DecisionState) -> Reprioritise:
            return Reprioritise(now=facts.now, by=by, priority=given.priority, reason=given.reason)

        return await _act(call, wanted, wish)


async def _pull(call: Call, wanted: Wanted) -> Response[bytes]:
    ledger, reservation = call.services.ledger, uuid4()
    try:
        handled = await pulled(call, wanted, reservation)
        if handled is None:
            return Response(b"", status_code=HTTP_204_NO_CONTENT)
        return await _shown(call, handled.events[0].stream, handled)
    finally:  # by now the queue shows the lease; where it is late, the domain refuses whoever comes second
        await picking.give_up(ledger.pool, ledger.ledger_id, reservation)


async def _act(
    call: Call, wanted: DecisionId, wish: Wish, *, about: PersonId | None = None
) -> Response[bytes]:
    """Carry out a wish, ``about`` somebody else perhaps, whose account the append then relies on."""
    is_other = about is not None and about != call.principal.person
    reads = (account_stream(about),) if is_other and about is not None else ()
    handled = await act(call, wanted, wish, reads=reads)
    return await _shown(call, call.services.ledger.decision_stream(wanted), handled)


async def _shown(call: Call, stream: StreamName, handled: Handled[DecisionEvent]) -> Response[bytes]:
    """Show the item as the command left it: the same whenever it is sent again."""
    past = await read_stream_until(call.services.ledger, stream, version=handled.version)
    row = fold_stream(recorded(stored, DECISION.event_types) for stored in past.events)
    if row is None:
        raise DecisionNotFound
    now = handled.events[-1].event.at if handled.events else call.services.clock()
    names = await named(call, people_in(row))
    body = Raw(written(row, for_people(row, names, now)))
    return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)

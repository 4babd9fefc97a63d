"""Ends without a vote, and what comes after an end: withdraw, supersede, cancel, override, redeem, report."""

from typing import Final

from litestar import Controller, Response, post
from litestar.params import FromPath

from ledger.api import wire
from ledger.api.call import Call
from ledger.api.desk import FEEDS, Wish, act, named
from ledger.api.types import HttpRequest
from ledger.api.wire import decision_id
from ledger.api.workflow_wire import (
    Acted,
    Notes,
    OutcomeReport,
    OverrideOrder,
    Redeemed,
    Redemption,
    Supersession,
    Why,
    Withdrawal,
)
from ledger.command_handling.answering import Handled
from ledger.command_handling.facts import Facts
from ledger.domain.authority import Authority
from ledger.domain.decision.commands import (
    Cancel,
    Countersign,
    Override,
    Redeem,
    ReportOutcome,
    Successor,
    Supersede,
    Withdraw,
)
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import (
    DecisionCancelled,
    DecisionEvent,
    DecisionOverridden,
    DecisionSuperseded,
    DecisionWithdrawn,
    Outcome,
)
from ledger.domain.decision.evolving import answer_in
from ledger.domain.decision.state import DecisionNotFound, DecisionState, NotSubmitted
from ledger.domain.ids import DecisionId, Digest, PersonId

ENDS: Final = {"answer": wire.Response, "keyed": True, "tagged": True}
ACTS: Final = {"answer": Acted, "keyed": True, "tagged": True}
WITH_A_FRESH_FACTOR: Final = {401: "No live session, or no fresh second factor (POST /api/auth/step-up)"}


class WorkflowController(Controller):
    """What ends a decision without a vote, and what its submitter does with the answer."""

    path = "/api/decisions"
    tags = ("Decisions",)

    @post(
        "/{analysis_id:str}/withdraw", status_code=200, opt={**ENDS, "body": Withdrawal, "may_be_empty": True}
    )
    async def withdraw(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Stop asking (the submitter)."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json_if_any(Withdrawal)
        return await _end(
            call,
            wanted,
            lambda facts, by, _: Withdraw(now=facts.now, by=by, reason=given.reason),
        )

    @post("/{analysis_id:str}/supersede", status_code=200, opt={**ENDS, "body": Supersession})
    async def supersede(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Ask for another decision instead, which has been submitted before (the submitter)."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(Supersession)
        ledger = call.services.ledger
        newer = decision_id(given.successor, "successor")
        stream = ledger.decision_stream(newer)

        def wish(facts: Facts, by: Authority, _: DecisionState) -> Supersede:
            successor = Successor(decision_id=newer, submitted_by=_submitter(facts.state(DECISION, stream)))
            return Supersede(now=facts.now, by=by, successor=successor, reason=given.reason)

        handled = await act(call, wanted, wish, reads=() if newer == wanted else (stream,))
        return await _ended(call, wanted, handled)

    @post("/{analysis_id:str}/cancel", status_code=200, opt={**ENDS, "body": Why})
    async def cancel(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Take it off the queue for good (administrators)."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(Why)
        return await _end(
            call, wanted, lambda facts, by, _: Cancel(now=facts.now, by=by, reason=given.reason)
        )

    @post(
        "/{analysis_id:str}/override",
        status_code=200,
        opt={**ENDS, "body": OverrideOrder, "also": WITH_A_FRESH_FACTOR},
    )
    async def override(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Break the glass: end it past quorum, groups and four eyes, with a fresh second factor (administrators).

        Another administrator has to countersign before what it approves can be redeemed for good.
        """
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(OverrideOrder)

        def wish(facts: Facts, by: Authority, _: DecisionState) -> Override:
            return Override(
                now=facts.now,
                by=by,
                outcome=Outcome(given.outcome),
                approved_actions=given.approved_actions,
                reason=given.reason,
                ticket=given.ticket,
                subject_digest=None if given.subject_digest is None else Digest(given.subject_digest),
            )

        return await _end(call, wanted, wish)

    @post(
        "/{analysis_id:str}/countersign",
        status_code=200,
        opt={**ACTS, "body": Notes, "may_be_empty": True, "also": WITH_A_FRESH_FACTOR},
    )
    async def countersign(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Stand by somebody else's override, with a fresh second factor (administrators)."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json_if_any(Notes)
        handled = await act(
            call, wanted, lambda facts, by, _: Countersign(now=facts.now, by=by, notes=given.notes)
        )
        return await acted(call, wanted, handled, "Override countersigned")

    @post(
        "/{analysis_id:str}/redeem",
        status_code=200,
        opt={"body": Redemption, "answer": Redeemed, "keyed": True, "tagged": True},
    )
    async def redeem(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Use an approval, once: of many calls one succeeds, and only for exactly what was approved (the submitter)."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(Redemption)
        digest = Digest(given.digest)
        handled = await act(call, wanted, lambda facts, by, _: Redeem(now=facts.now, by=by, digest=digest))
        body = Redeemed(analysis_id=wanted, digest=digest, redeemed_at=handled.events[-1].event.at)
        return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)

    @post("/{analysis_id:str}/outcome", status_code=200, opt={**ACTS, "body": OutcomeReport})
    async def outcome(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Tell how what was approved went (the submitter)."""
        call = Call(request)
        wanted, given = decision_id(analysis_id), await call.json(OutcomeReport)

        def wish(facts: Facts, by: Authority, _: DecisionState) -> ReportOutcome:
            return ReportOutcome(now=facts.now, by=by, succeeded=given.succeeded, details=given.details)

        return await acted(call, wanted, await act(call, wanted, wish), "Outcome reported")


def _submitter(state: DecisionState) -> PersonId | None:
    return None if isinstance(state, NotSubmitted) else state.case.submitted_by


async def _end(call: Call, wanted: DecisionId, wish: Wish) -> Response[bytes]:
    return await _ended(call, wanted, await act(call, wanted, wish))


async def _ended(call: Call, wanted: DecisionId, handled: Handled[DecisionEvent]) -> Response[bytes]:
    """Answer with what the submitter is told from now on."""
    for recorded in handled.events:
        event = recorded.event
        match event:
            case DecisionWithdrawn() | DecisionSuperseded() | DecisionCancelled() | DecisionOverridden():
                names = await named(call, [event.by])
                body = wire.told(wanted, answer_in(event), names.of(event.by))
                return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)
            case _:
                continue
    raise DecisionNotFound


async def acted(
    call: Call, wanted: DecisionId, handled: Handled[DecisionEvent], message: str
) -> Response[bytes]:
    """Say that it is done, and when it was."""
    body = Acted(message=message, analysis_id=wanted, at=handled.events[-1].event.at)
    return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)

"""Verdicts over HTTP: deciding, with other parameters where the policy allows that, and escalating."""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from litestar import Controller, Response, post
from litestar.params import FromPath, QueryParameter

from ledger.api import wire
from ledger.api.bodies import must_not_be_sealed
from ledger.api.call import Call
from ledger.api.desk import FEEDS, Wish, act, named
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.subjects import shape_of
from ledger.api.types import HttpRequest
from ledger.api.wire import Verdict, decision_id
from ledger.command_handling.facts import Facts
from ledger.domain.authority import Authority
from ledger.domain.decision.commands import CastVote, DecisionCommand, Escalate
from ledger.domain.decision.events import (
    Choice,
    DecisionEscalated,
    DecisionEvent,
    DecisionResolved,
    VoteCast,
)
from ledger.domain.decision.evolving import answer_in
from ledger.domain.decision.item import Parameter
from ledger.domain.decision.state import Answer, DecisionNotFound, DecisionState, Status
from ledger.domain.decision.voting import OnlyApprovalsChange
from ledger.domain.ids import DecisionId, Digest, LeaseId

CHOICES: Final = {"approved": Choice.APPROVE, "rejected": Choice.REJECT, "abstained": Choice.ABSTAIN}


class VerdictController(Controller):
    """What reviewers make of a decision."""

    path = "/api/decisions"
    tags = ("Decisions",)

    @post(
        "/{analysis_id:str}/decide",
        status_code=200,
        opt={"body": Verdict, "answer": wire.Response, "keyed": True, "tagged": True},
    )
    async def decide(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Approve, reject, abstain or escalate."""
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
        must_not_be_sealed(escalation_reason, "escalation_reason")
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
    handled = await act(call, wanted, await wish_of(call, wanted, verdict))
    answer = answer_of([recorded.event for recorded in handled.events])
    names = await named(call, [answer.decided_by])
    body = wire.told(wanted, answer, names.of_any(answer.decided_by))
    return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)


async def wish_of(call: Call, wanted: DecisionId, verdict: Verdict) -> Wish:
    """Make a verdict a wish; what comes in pairs must be whole, and changed values must be JSON.

    Raises:
        InvalidRequest: naming the fields.
    """
    if (verdict.lease_id is None) is not (verdict.fencing_token is None):
        raise InvalidRequest(FieldError("lease_id", "comes with fencing_token, or both are left out"))
    parameters = tuple(_parameter(pointer, value) for pointer, value in verdict.changed_parameters.items())
    shape = await shape_of(call, wanted) if parameters else None

    def wish(facts: Facts, by: Authority, state: DecisionState) -> DecisionCommand:
        if verdict.status == "escalated":
            if parameters:
                raise OnlyApprovalsChange(decision_id=wanted, choice=verdict.status)
            return _escalation(facts, by, verdict)
        if shape is not None:
            shape.must_fit(state, parameters, facts.now)
        return _vote(facts, by, verdict, parameters)

    return wish


def _escalation(facts: Facts, by: Authority, verdict: Verdict) -> Escalate:
    return Escalate(
        now=facts.now,
        by=by,
        reason=verdict.escalation_reason or "",
        approved_actions=verdict.approved_actions,
        notes=verdict.notes,
        subject_digest=None if verdict.subject_digest is None else Digest(verdict.subject_digest),
        lease_id=None if verdict.lease_id is None else LeaseId(verdict.lease_id),
        fencing_token=verdict.fencing_token,
    )


def _vote(facts: Facts, by: Authority, verdict: Verdict, parameters: tuple[Parameter, ...]) -> CastVote:
    return CastVote(
        now=facts.now,
        by=by,
        choice=CHOICES[verdict.status],
        approved_actions=verdict.approved_actions,
        notes=verdict.notes,
        subject_digest=None if verdict.subject_digest is None else Digest(verdict.subject_digest),
        lease_id=None if verdict.lease_id is None else LeaseId(verdict.lease_id),
        fencing_token=verdict.fencing_token,
        parameters=parameters,
    )


def _parameter(pointer: str, value: msgspec.Raw) -> Parameter:
    """Take a value as it will be stored: decoded and written again, so that whatever reads it can."""
    try:
        text = msgspec.json.encode(msgspec.json.decode(value)).decode()
    except (msgspec.MsgspecError, ValueError, RecursionError) as wrong:
        raise InvalidRequest(FieldError("changed_parameters", f"{pointer!r} is no JSON value")) from wrong
    if "\\u0000" in text or "\0" in pointer:
        raise InvalidRequest(FieldError("changed_parameters", f"{pointer!r} holds a NUL character"))
    return Parameter(pointer, text)


def answer_of(events: Sequence[DecisionEvent]) -> Answer:
    """Tell what a command's own events answer: the same whenever it is sent again."""
    for event in reversed(events):
        match event:
            case DecisionResolved() | DecisionEscalated():
                return answer_in(event)
            case VoteCast():
                return _not_enough_yet(event)
            case _:
                continue
    raise DecisionNotFound


def _not_enough_yet(event: VoteCast) -> Answer:
    """A voice that was counted where the policy asks for more of them."""
    return Answer(
        status=Status.ESCALATED if event.level else Status.PENDING,
        approved_actions=event.approved_actions,
        notes=event.notes,
        decided_by=event.voter,
        decided_at=event.at,
        escalation_reason=None,
        changes=event.changes,
        subject_digest=event.subject_digest,
    )

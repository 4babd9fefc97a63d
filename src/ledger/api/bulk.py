"""Many decisions at once over HTTP: seen first, then decided or assigned one by one, each for itself.

Theory. A preview says of each decision what would happen, and seals what it showed: who asked, the wish, the decisions
and what of them was shown. The call that carries it out names that seal. Every decision is a command of its own, with
an id that follows from the call's Idempotency-Key: none stops another, and a call that broke off is sent again.
"""

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

import msgspec
from litestar import Controller, Response, post
from msgspec.structs import replace

from ledger.api.bulk_wire import (
    BulkAssignment,
    BulkDecision,
    BulkDone,
    Foreseen,
    Handing,
    Preview,
    Previewed,
    Result,
    Ruling,
    Selected,
)
from ledger.api.call import Call
from ledger.api.colleagues import colleague_of, person_named
from ledger.api.desk import FEEDS, Wish, act, rehearse, row_of
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.refusals import SelectionDiffers
from ledger.api.types import HttpRequest
from ledger.api.verdicts import CHOICES, answer_of
from ledger.api.wire import decision_id
from ledger.command_handling.answering import Handled
from ledger.command_handling.facts import Facts
from ledger.domain.authority import Authority
from ledger.domain.decision.commands import Assign, CastVote
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.decision.state import DecisionState
from ledger.domain.errors import Invalid, LedgerError, Overloaded, Unavailable
from ledger.domain.ids import BulkId, DecisionId, Digest, PersonId, StreamName
from ledger.projections.decision_row import DecisionRow
from ledger.store.envelope import Provenance
from ledger.store.ledger import account_stream
from ledger.store.streams import keyed_command_id, new_command_id

ACTS: Final = {"answer": BulkDone, "keyed": True}


class SelectionMixed(Invalid):
    """These decisions are of several kinds.

    Context: the ``kinds``.
    """

    code = "selection-mixed"
    advice = "Choose decisions of one kind: one verdict must mean one thing."


class BulkController(Controller):
    """What is done to many decisions at once."""

    path = "/api/decisions/bulk"
    tags = ("Decisions",)

    @post("/preview", status_code=200, opt={"body": Preview, "answer": Previewed})
    async def preview_bulk(self, request: HttpRequest) -> Response[bytes]:
        """Say of each decision of a selection what a verdict, or an assignment, would do; nothing is written."""
        call = Call(request)
        await call.provenance()  # refuses an If-Match, as the calls that carry it out do
        given = await call.json(Preview)
        wanted = _distinct(given.analysis_ids, "analysis_ids")
        rows = [await _row(call, one) for one in wanted]
        kinds = sorted({row.kind for row in rows if isinstance(row, DecisionRow)})
        if len(kinds) > 1:
            raise SelectionMixed(kinds=", ".join(kinds))
        plan = await _plan_of(call, given.wish)
        items = tuple([await _foreseen(call, plan, one, row) for one, row in zip(wanted, rows, strict=True)])
        chosen = [
            Selected(analysis_id=item.analysis_id, subject_digest=item.subject_digest)
            for item in items
            if item.ok and item.subject_digest is not None
        ]
        body = Previewed(
            kind=kinds[0] if kinds else None,
            selection_digest=_seal(call, given.wish, chosen) if chosen else None,
            items=items,
        )
        return await call.answer(body)

    @post("/decide", status_code=200, opt={**ACTS, "body": BulkDecision})
    async def decide_bulk(self, request: HttpRequest) -> Response[bytes]:
        """Give one verdict on each decision of a previewed selection; those that refuse it do not stop the others."""
        call = Call(request)
        given = await call.json(BulkDecision)
        return await _carry_out(call, given.wish, given.items, given.selection_digest)

    @post("/assign", status_code=200, opt={**ACTS, "body": BulkAssignment})
    async def assign_bulk(self, request: HttpRequest) -> Response[bytes]:
        """Assign each decision of a previewed selection (leads, administrators); refusals do not stop the others."""
        call = Call(request)
        given = await call.json(BulkAssignment)
        return await _carry_out(call, given.wish, given.items, given.selection_digest)


class _Plan(msgspec.Struct, frozen=True):
    """What is to be done to each: a verdict, or an assignment to ``to``."""

    wish: Ruling | Handing
    to: PersonId | None = None
    reads: tuple[StreamName, ...] = ()

    def on(self, shown: Digest | None, bulk: BulkId | None) -> Wish:
        """Make it the wish on one decision, of which ``shown`` was seen."""

        def wish(facts: Facts, by: Authority, _: DecisionState) -> CastVote | Assign:
            if isinstance(self.wish, Handing):
                colleague = None if self.to is None else colleague_of(facts, self.to)
                return Assign(now=facts.now, by=by, to=colleague, reason=self.wish.reason, bulk=bulk)
            return CastVote(
                now=facts.now,
                by=by,
                choice=CHOICES[self.wish.status],
                approved_actions=self.wish.approved_actions,
                notes=self.wish.notes,
                subject_digest=shown,
                bulk=bulk,
            )

        return wish


async def _plan_of(call: Call, wish: Ruling | Handing) -> _Plan:
    if isinstance(wish, Ruling) or wish.to is None:
        return _Plan(wish)
    person = await person_named(call, wish.to, "to")
    reads = () if person == call.principal.person else (account_stream(person),)
    return _Plan(wish, person, reads)


async def _row(call: Call, wanted: DecisionId) -> DecisionRow | LedgerError:
    try:
        return await row_of(call, wanted)
    except (Unavailable, Overloaded):
        raise
    except LedgerError as refusal:
        return refusal


async def _foreseen(call: Call, plan: _Plan, wanted: DecisionId, row: DecisionRow | LedgerError) -> Foreseen:
    if isinstance(row, LedgerError):
        return Foreseen(analysis_id=wanted, ok=False, problem=call.problem(row))
    shown = row.subject_digest
    try:
        events = await rehearse(call, wanted, plan.on(shown, None), reads=plan.reads)
    except (Unavailable, Overloaded):
        raise
    except LedgerError as refusal:
        return Foreseen(analysis_id=wanted, ok=False, subject_digest=shown, problem=call.problem(refusal))
    return Foreseen(analysis_id=wanted, ok=True, subject_digest=shown, becomes=_becomes(plan, events))


async def _carry_out(
    call: Call, wish: Ruling | Handing, items: Sequence[Selected], seal: str
) -> Response[bytes]:
    _distinct((item.analysis_id for item in items), "items")
    if not hmac.compare_digest(_seal(call, wish, items), seal):
        raise SelectionDiffers
    provenance, plan = await call.provenance(), await _plan_of(call, wish)
    bulk = BulkId(provenance.command_id)
    results, last = list[Result](), None
    for item in items:
        wanted, shown = decision_id(item.analysis_id), Digest(item.subject_digest)
        try:
            handled = await act(
                call,
                wanted,
                plan.on(shown, bulk),
                reads=plan.reads,
                provenance=_one_of(provenance, wanted),
            )
        except (Unavailable, Overloaded):
            raise  # what has happened stays; the same call again, by its key, does the rest
        except LedgerError as refusal:
            results.append(Result(analysis_id=wanted, ok=False, problem=call.problem(refusal)))
        else:
            events = tuple(recorded.event for recorded in handled.events)
            results.append(Result(analysis_id=wanted, ok=True, status=_becomes(plan, events)))
            last = _later(last, handled)
    done = sum(result.ok for result in results)
    body = BulkDone(bulk=bulk, done=done, refused=len(results) - done, results=tuple(results))
    return await call.answer(body, handled=last, feeds=FEEDS)


def _later(one: Handled[DecisionEvent] | None, other: Handled[DecisionEvent]) -> Handled[DecisionEvent]:
    return other if one is None or other.position > one.position else one


def _one_of(bulk: Provenance, wanted: DecisionId) -> Provenance:
    """Name the command on one decision: by the bulk's own name and the decision, where it may be sent again."""
    if bulk.is_keyed:
        return replace(bulk, command_id=keyed_command_id(bulk.command_id, wanted))
    return replace(bulk, command_id=new_command_id())


def _becomes(plan: _Plan, events: Sequence[DecisionEvent]) -> str | None:
    return answer_of(events).status.value if isinstance(plan.wish, Ruling) else None


def _distinct(ids: Iterable[str], field: str) -> list[DecisionId]:
    wanted = [decision_id(text, field) for text in ids]
    if len(set(wanted)) < len(wanted):
        raise InvalidRequest(FieldError(field, "names a decision twice"))
    return wanted


def _seal(call: Call, wish: Ruling | Handing, items: Sequence[Selected]) -> Digest:
    """Seal what somebody was shown: nobody else can carry it out, and nobody anything else."""
    told = {
        "by": str(call.principal.person),
        "wish": wish,
        "items": sorted((item.analysis_id, item.subject_digest) for item in items),
    }
    text = msgspec.json.encode(told, order="sorted")
    return Digest(hmac.new(call.services.ledger.request_key, b"selection " + text, sha256).hexdigest())

"""Erasing personal data over HTTP: one administrator asks, another approves, and no legal hold stands in the way.

A subject is named by kind and name: ``person`` and a user name (or, once that is gone, the person's id), or
``data_subject`` and what submitters call them, with ``~1`` for a slash and ``~0`` for a tilde as in a JSON pointer.
"""

from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from ledger.api import erasing_wire as wire
from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.path_ids import id_in
from ledger.api.types import HttpRequest
from ledger.command_handling.answering import Handled
from ledger.domain.ids import HoldId
from ledger.domain.subject.decide import SUBJECT, HoldNotFound
from ledger.domain.subject.events import LegalHoldPlaced, SubjectErased, SubjectEvent, SubjectKind
from ledger.erasing import acting, finding, rows
from ledger.erasing.rows import Named

MOST_LISTED: Final = 500
_REASONED: Final[dict[str, object]] = {
    "body": wire.SubjectReason,
    "answer": wire.SubjectChanged,
    "keyed": True,
}


class ErasureController(Controller):
    """Whose personal data is kept, held or erased."""

    path = "/api/subjects"
    tags = ("Personal data",)

    @get("/erasures", opt={"answer": list[wire.SubjectTold]})
    async def erasures(self, request: HttpRequest) -> Response[bytes]:
        """List the erasures that are asked for, 500 at most."""
        call = Call(request)
        ledger = call.services.ledger
        return await _list(call, await rows.requested(ledger.pool, ledger.ledger_id, limit=MOST_LISTED))

    @get("/holds", opt={"answer": list[wire.SubjectTold]})
    async def holds(self, request: HttpRequest) -> Response[bytes]:
        """List who is under a legal hold, 500 at most."""
        call = Call(request)
        ledger = call.services.ledger
        return await _list(call, await rows.held(ledger.pool, ledger.ledger_id, limit=MOST_LISTED))

    @get("/{kind:str}/{subject:str}", opt={"answer": wire.SubjectTold})
    async def subject_told(
        self, request: HttpRequest, kind: FromPath[str], subject: FromPath[str]
    ) -> Response[bytes]:
        """Tell how somebody's personal data stands."""
        call = Call(request)
        named = await _find(call, kind, subject)
        (told,) = await _told(call, [named])
        return json_response(told)

    @post(
        "/{kind:str}/{subject:str}/erasure",
        status_code=200,
        opt={"body": wire.ErasureWanted, "answer": wire.SubjectChanged, "keyed": True},
    )
    async def request_erasure(
        self, request: HttpRequest, kind: FromPath[str], subject: FromPath[str]
    ) -> Response[bytes]:
        """Ask for somebody's erasure; nothing is erased before another administrator approves."""
        call = Call(request)
        given = await call.json(wire.ErasureWanted)
        named = await _find(call, kind, subject)
        handled = await acting.request(
            call.services.identity, named, await call.actor(), basis=given.basis, reason=given.reason
        )
        return await _changed(call, named.about.kind, "Erasure requested", handled)

    @post(
        "/{kind:str}/{subject:str}/erasure/approve",
        status_code=200,
        opt={"answer": wire.SubjectChanged, "keyed": True},
    )
    async def approve_erasure(
        self, request: HttpRequest, kind: FromPath[str], subject: FromPath[str]
    ) -> Response[bytes]:
        """Erase what another administrator, or the operator, has asked to have erased; it cannot be undone."""
        call = Call(request)
        handled = await call.done_before(SUBJECT)  # sent again: by now nobody is found under that name
        if handled is None:
            named = await _find(call, kind, subject)
            handled = await acting.approve(
                call.services.identity, named, call.principal, await call.provenance()
            )
        erased = next(one.event for one in handled.events if isinstance(one.event, SubjectErased))
        return await _changed(call, erased.kind, "Subject erased", handled)

    @post("/{kind:str}/{subject:str}/erasure/withdraw", status_code=200, opt=_REASONED)
    async def withdraw_erasure(
        self, request: HttpRequest, kind: FromPath[str], subject: FromPath[str]
    ) -> Response[bytes]:
        """Ask no more for an erasure that one has asked for."""
        call = Call(request)
        given = await call.json(wire.SubjectReason)
        named = await _find(call, kind, subject)
        handled = await acting.withdraw(
            call.services.identity, named, call.principal, await call.provenance(), reason=given.reason
        )
        return await _changed(call, named.about.kind, "Erasure withdrawn", handled)

    @post("/{kind:str}/{subject:str}/erasure/refuse", status_code=200, opt=_REASONED)
    async def refuse_erasure(
        self, request: HttpRequest, kind: FromPath[str], subject: FromPath[str]
    ) -> Response[bytes]:
        """Say no to an erasure that somebody else has asked for."""
        call = Call(request)
        given = await call.json(wire.SubjectReason)
        named = await _find(call, kind, subject)
        handled = await acting.refuse(
            call.services.identity, named, call.principal, await call.provenance(), reason=given.reason
        )
        return await _changed(call, named.about.kind, "Erasure refused", handled)

    @post(
        "/{kind:str}/{subject:str}/holds",
        status_code=200,
        opt={"body": wire.SubjectReason, "answer": wire.HoldPlaced, "keyed": True},
    )
    async def place_hold(
        self, request: HttpRequest, kind: FromPath[str], subject: FromPath[str]
    ) -> Response[bytes]:
        """Let nothing of somebody be erased until this hold is lifted; several may stand."""
        call = Call(request)
        given = await call.json(wire.SubjectReason)
        named = await _find(call, kind, subject)
        handled = await acting.place_hold(
            call.services.identity, named, await call.actor(), hold=HoldId(uuid4()), reason=given.reason
        )
        placed = next(one.event for one in handled.events if isinstance(one.event, LegalHoldPlaced))
        body = wire.HoldPlaced(message="Legal hold placed", kind=placed.kind, hold_id=placed.hold)
        return await call.answer(body, handled=handled)

    @post("/{kind:str}/{subject:str}/holds/{hold_id:str}/lift", status_code=200, opt=_REASONED)
    async def lift_hold(
        self, request: HttpRequest, kind: FromPath[str], subject: FromPath[str], hold_id: FromPath[str]
    ) -> Response[bytes]:
        """Lift one legal hold."""
        call = Call(request)
        given = await call.json(wire.SubjectReason)
        named = await _find(call, kind, subject)
        handled = await acting.lift_hold(
            call.services.identity,
            named,
            await call.actor(),
            hold=HoldId(id_in(hold_id, HoldNotFound())),
            reason=given.reason,
        )
        return await _changed(call, named.about.kind, "Legal hold lifted", handled)


async def _find(call: Call, kind: str, subject: str) -> Named:
    """Find whom a path means: RFC 6901, section 3, has signs for what would end a part of it."""
    is_pointed = kind == SubjectKind.DATA_SUBJECT.value
    name = subject.replace("~1", "/").replace("~0", "~") if is_pointed else subject
    return await finding.find(call.services.ledger, kind, name)


async def _list(call: Call, found: Sequence[Named]) -> Response[bytes]:
    return json_response(await _told(call, found))


async def _told(call: Call, found: Sequence[Named]) -> list[wire.SubjectTold]:
    states = await finding.states_now(call.services.ledger, [named.about.subject for named in found])
    paired = [(named, states[named.about.subject]) for named in found]
    names = await call.names([person for named, state in paired for person in wire.people_in(named, state)])
    return [wire.told(named, state, names) for named, state in paired]


async def _changed(
    call: Call, kind: SubjectKind, message: str, handled: Handled[SubjectEvent]
) -> Response[bytes]:
    return await call.answer(wire.SubjectChanged(message=message, kind=kind), handled=handled)

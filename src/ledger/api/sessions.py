"""Sessions over HTTP: who is logged in where, breaks, and sending a session away."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api.account_wire import Message
from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.path_ids import id_in
from ledger.api.session_wire import MayHaveReason, SessionShown
from ledger.api.types import HttpRequest
from ledger.domain.ids import PersonId, SessionId
from ledger.domain.session.decide import SessionNotFound
from ledger.identity import ending, stepping_up
from ledger.identity.administering import find_for
from ledger.identity.people import ERASED
from ledger.identity.session_list import LivingSession, living_sessions


class SessionController(Controller):
    """One's own sessions; for administrators, anybody's."""

    path = "/api/sessions"
    tags = ("Sessions",)

    @get("/", opt={"answer": list[SessionShown], "also": {404: "No such account"}})
    async def sessions(
        self,
        request: HttpRequest,
        username: Annotated[str | None, QueryParameter(max_length=1_000)] = None,
    ) -> Response[bytes]:
        """List one's own living sessions, or those of a user name (administrators)."""
        call = Call(request)
        identity, caller = call.services.identity, call.principal
        person = caller.person if username is None else await find_for(identity, username, caller)
        return json_response(await _shown(call, person))

    @get("/current", opt={"answer": SessionShown, "also": {404: "It has just ended"}})
    async def current_session(self, request: HttpRequest) -> Response[bytes]:
        """Show the session that asks."""
        call = Call(request)
        mine = [shown for shown in await _shown(call, call.principal.person) if shown.is_current]
        if not mine:
            raise SessionNotFound
        return json_response(mine[0])

    @post("/current/pause", status_code=200, opt={"answer": Message, "keyed": True})
    async def pause_session(self, request: HttpRequest) -> Response[bytes]:
        """Have a break: until it is resumed, this session decides nothing."""
        call = Call(request)
        handled = await stepping_up.pause(call.services.identity, call.principal, await call.provenance())
        return await call.answer(Message(message="Session paused"), handled=handled)

    @post("/current/resume", status_code=200, opt={"answer": Message, "keyed": True})
    async def resume_session(self, request: HttpRequest) -> Response[bytes]:
        """End the break."""
        call = Call(request)
        handled = await stepping_up.resume(call.services.identity, call.principal, await call.provenance())
        return await call.answer(Message(message="Session resumed"), handled=handled)

    @post(
        "/{session_id:str}/revoke",
        status_code=200,
        opt={"body": MayHaveReason, "answer": Message, "keyed": True, "may_be_empty": True},
    )
    async def revoke_session(self, request: HttpRequest, session_id: FromPath[str]) -> Response[bytes]:
        """Send a session away, one's own or anybody's (administrators); the body may be left out."""
        call = Call(request)
        given = await call.json(MayHaveReason) if await request.body() else MayHaveReason()
        handled = await ending.dismiss(
            call.services.identity,
            SessionId(id_in(session_id, SessionNotFound())),
            reason=given.reason,
            by=call.principal,
            provenance=await call.provenance(),
        )
        return await call.answer(Message(message="Session revoked"), handled=handled)


async def _shown(call: Call, person: PersonId) -> list[SessionShown]:
    living = await living_sessions(call.services.identity, person)
    username = (await call.names([person])).get(person, ERASED)
    return [_show(one, username, call.principal.session) for one in living]


def _show(one: LivingSession, username: str, current: SessionId | None) -> SessionShown:
    state, used = one.state, one.used
    return SessionShown(
        session_id=state.session,
        username=username,
        opened_at=state.opened_at,
        last_seen=used.last_seen,
        expires_at=state.expires_at,
        idle_seconds=state.idle_seconds,
        factors=state.factors,
        stepped_up_at=state.stepped_up_at,
        is_paused=state.is_paused,
        is_current=state.session == current,
        address=used.client.address,
        user_agent=used.client.user_agent,
    )

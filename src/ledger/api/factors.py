"""The second factor over HTTP, beyond setting it up: proving it again, giving it up, and who may not do without."""

from datetime import timedelta

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from ledger.api.account_wire import Message, WithReason
from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.openapi.answers import OF_EVENTS
from ledger.api.session_wire import (
    BackupCodes,
    FactorRule,
    FactorRules,
    FreshCode,
    MayHaveReason,
    SteppedUp,
)
from ledger.api.types import HttpRequest
from ledger.domain.authority import STEP_UP_SECONDS
from ledger.identity import access, factor_changes, people, stepping_up
from ledger.identity.actor import Actor
from ledger.identity.identity import by_person


class FactorController(Controller):
    """Proving a second factor again, giving it up, demanding it."""

    path = "/api/auth"
    tags = ("Second factor",)

    @post("/step-up", status_code=200, opt={"body": FreshCode, "answer": SteppedUp, "tells": OF_EVENTS})
    async def step_up(self, request: HttpRequest) -> Response[bytes]:
        """Prove the second factor again, for calls that ask for a fresh one (401 with its challenge)."""
        call = Call(request)
        given = await call.json(FreshCode)
        handled = await stepping_up.step_up(
            call.services.identity,
            call.principal,
            given.code,
            by_person(call.principal.person, call.trace_id()),
        )
        at = handled.events[-1].event.at
        body = SteppedUp(stepped_up_at=at, fresh_until=at + timedelta(seconds=STEP_UP_SECONDS))
        return await call.answer(body, handled=handled)

    @post("/2fa/backup-codes", status_code=200, opt={"answer": BackupCodes})
    async def renew_backup_codes(self, request: HttpRequest) -> Response[bytes]:
        """Make new backup codes; needs a fresh second factor, and the old codes are good for nothing."""
        call = Call(request)
        codes = await factor_changes.renew_backup_codes(
            call.services.identity, call.principal, by_person(call.principal.person, call.trace_id())
        )
        return await call.answer(BackupCodes(backup_codes=codes))

    @post(
        "/2fa/disable",
        status_code=200,
        opt={"body": MayHaveReason, "may_be_empty": True, "answer": Message, "tells": OF_EVENTS},
    )
    async def disable_second_factor(self, request: HttpRequest) -> Response[bytes]:
        """Give one's own second factor up; needs a fresh one. The body may be left out."""
        call = Call(request)
        given = await call.json_if_any(MayHaveReason)
        handled = await factor_changes.disable(
            call.services.identity,
            call.principal.person,
            Actor(principal=call.principal, provenance=by_person(call.principal.person, call.trace_id())),
            reason=given.reason,
        )
        return await call.answer(Message(message="Second factor disabled"), handled=handled)

    @post(
        "/users/{username:str}/2fa/disable",
        status_code=200,
        opt={"body": WithReason, "answer": Message, "keyed": True},
    )
    async def disable_anybodys_second_factor(
        self, request: HttpRequest, username: FromPath[str]
    ) -> Response[bytes]:
        """Take away a second factor that was lost; the person's sessions end."""
        call = Call(request)
        given = await call.json(WithReason)
        ledger = call.services.ledger
        found = await people.must_find(ledger.pool, ledger.ledger_id, username)
        handled = await factor_changes.disable(
            call.services.identity,
            found.person,
            await call.actor(),
            reason=given.reason,
        )
        return await call.answer(Message(message="Second factor disabled"), handled=handled)

    @get("/2fa/required", opt={"answer": FactorRules})
    async def factor_rules(self, request: HttpRequest) -> Response[bytes]:
        """Name the roles that may not do without a second factor."""
        roles = await access.demanding_roles(Call(request).services.identity)
        return json_response(FactorRules(roles=roles))

    @post("/2fa/required", status_code=200, opt={"body": FactorRule, "answer": FactorRules, "keyed": True})
    async def require_second_factor(self, request: HttpRequest) -> Response[bytes]:
        """Demand a second factor of a role, or waive it; counts from the next login or refresh on."""
        call = Call(request)
        given = await call.json(FactorRule)
        identity = call.services.identity
        handled = await access.require_second_factor(
            identity,
            given.role,
            await call.actor(),
            is_required=given.is_required,
            reason=given.reason,
        )
        return await call.answer(FactorRules(roles=await access.demanding_roles(identity)), handled=handled)

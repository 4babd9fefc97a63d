"""Changing accounts over HTTP: who is let in, as what, in which groups, by which password."""

from typing import Final

from litestar import Controller, Response, post
from litestar.params import FromPath

from ledger.api.account_wire import (
    Message,
    NewPassword,
    NewRole,
    Registered,
    Registration,
    WithReason,
    check_new_password,
    unfit_for_registration,
)
from ledger.api.call import Call
from ledger.api.directory import FEEDS
from ledger.api.directory_wire import NewGroups, NewLead
from ledger.api.quota import spend_registration
from ledger.api.types import HttpRequest
from ledger.command_handling.answering import Handled
from ledger.domain.account.events import AccountEvent
from ledger.identity import administering, registering
from ledger.identity.people import Record

_REASONED: Final[dict[str, object]] = {"body": WithReason, "answer": Message, "keyed": True}


class AccountController(Controller):
    """Letting people in, and changing what they may."""

    path = "/api/auth"
    tags = ("Authentication",)

    @post("/register", status_code=200, opt={"body": Registration, "answer": Registered, "keyed": True})
    async def register(self, request: HttpRequest) -> Response[bytes]:
        """Let somebody in (administrators)."""
        call = Call(request)
        wanted = await call.json(Registration, unfit_for_registration)
        await spend_registration(call.services)
        handled = await registering.register(
            call.services.identity,
            Record(username=wanted.username, email=wanted.email, full_name=wanted.full_name),
            await call.actor(),
            password=wanted.password,
            role=wanted.role,
        )
        body = Registered(message="User registered successfully", username=wanted.username)
        return await call.answer(body, handled=handled, feeds=FEEDS)

    @post("/users/{username:str}/deactivate", status_code=200, opt=_REASONED)
    async def deactivate(self, request: HttpRequest, username: FromPath[str]) -> Response[bytes]:
        """Keep somebody out; their sessions end."""
        call = Call(request)
        given = await call.json(WithReason)
        handled = await administering.deactivate(
            call.services.identity, username, await call.actor(), reason=given.reason
        )
        return await _changed(call, "User deactivated", handled)

    @post("/users/{username:str}/reactivate", status_code=200, opt=_REASONED)
    async def reactivate(self, request: HttpRequest, username: FromPath[str]) -> Response[bytes]:
        """Let somebody in again."""
        call = Call(request)
        given = await call.json(WithReason)
        handled = await administering.reactivate(
            call.services.identity, username, await call.actor(), reason=given.reason
        )
        return await _changed(call, "User reactivated", handled)

    @post(
        "/users/{username:str}/role",
        status_code=200,
        opt={"body": NewRole, "answer": Message, "keyed": True},
    )
    async def role(self, request: HttpRequest, username: FromPath[str]) -> Response[bytes]:
        """Give somebody another role; their sessions end."""
        call = Call(request)
        given = await call.json(NewRole)
        handled = await administering.change_role(
            call.services.identity, username, await call.actor(), role=given.role, reason=given.reason
        )
        return await _changed(call, "Role changed", handled)

    @post(
        "/users/{username:str}/password",
        status_code=200,
        opt={"body": NewPassword, "answer": Message, "keyed": True},
    )
    async def password(self, request: HttpRequest, username: FromPath[str]) -> Response[bytes]:
        """Change one's own password, or anybody's (administrators); the person's sessions end."""
        call = Call(request)
        given = await call.json(NewPassword)
        check_new_password(given, username)
        handled = await administering.change_password(
            call.services.identity,
            username,
            await call.actor(),
            new_password=given.new_password,
            current_password=given.current_password,
            reason=given.reason or "",
        )
        return await _changed(call, "Password changed", handled)

    @post(
        "/users/{username:str}/groups",
        status_code=200,
        opt={"body": NewGroups, "answer": Message, "keyed": True},
    )
    async def change_groups(self, request: HttpRequest, username: FromPath[str]) -> Response[bytes]:
        """Put an analyst or administrator into these groups and no others; sessions go on."""
        call = Call(request)
        given = await call.json(NewGroups)
        handled = await administering.change_groups(
            call.services.identity, username, await call.actor(), groups=given.groups, reason=given.reason
        )
        return await _changed(call, "Groups changed", handled)

    @post(
        "/users/{username:str}/lead",
        status_code=200,
        opt={"body": NewLead, "answer": Message, "keyed": True},
    )
    async def change_lead(self, request: HttpRequest, username: FromPath[str]) -> Response[bytes]:
        """Let an analyst lead others, or lead nobody any more; sessions go on."""
        call = Call(request)
        given = await call.json(NewLead)
        handled = await administering.change_lead(
            call.services.identity, username, await call.actor(), is_lead=given.lead, reason=given.reason
        )
        return await _changed(call, "Lead changed", handled)


async def _changed(call: Call, message: str, handled: Handled[AccountEvent]) -> Response[bytes]:
    return await call.answer(Message(message=message), handled=handled, feeds=FEEDS)

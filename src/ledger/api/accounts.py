"""Registering, logging in, second factor and the administration of accounts over HTTP."""

from typing import Final

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from ledger.api.account_wire import (
    Code,
    Credentials,
    Me,
    Message,
    NewPassword,
    NewRole,
    Refresh,
    Registered,
    Registration,
    SecondFactor,
    TokenPair,
    WithReason,
    check_new_password,
    check_registration,
)
from ledger.api.auth import bearer_of, client_of
from ledger.api.bodies import read_form
from ledger.api.call import Call
from ledger.api.quota import spend_registration
from ledger.api.types import HttpRequest
from ledger.identity import administering, ending, refreshing, registering, second_factor
from ledger.identity.identity import by_person
from ledger.identity.login import login
from ledger.identity.me import me
from ledger.identity.opening import LoggedIn
from ledger.identity.people import Record
from ledger.identity.sessions import authenticate
from ledger.identity.tokens import LimitedClaims

MOST_OF_ANYBODY: Final = 16 * 1024
"""Bytes of a body whose sender nobody knows yet: it is in memory while its password waits to be hashed."""
_REASONED: Final[dict[str, object]] = {"body": WithReason, "answer": Message, "keyed": True}


class AccountController(Controller):
    """Logging in and administering accounts."""

    path = "/api/auth"
    tags = ("Authentication",)

    @post("/register", status_code=200, opt={"body": Registration, "answer": Registered, "keyed": True})
    async def register(self, request: HttpRequest) -> Response[bytes]:
        """Let somebody in (administrators)."""
        call = Call(request)
        wanted = await call.json(Registration)
        check_registration(wanted)
        await spend_registration(call.services)
        handled = await registering.register(
            call.services.identity,
            Record(username=wanted.username, email=wanted.email, full_name=wanted.full_name),
            password=wanted.password,
            role=wanted.role,
            by=call.principal,
            provenance=await call.provenance(),
        )
        body = Registered(message="User registered successfully", username=wanted.username)
        return await call.answer(body, handled=handled, feeds=("directory",))

    @post(
        "/login",
        status_code=200,
        request_max_body_size=MOST_OF_ANYBODY,
        opt={
            "form": Credentials,
            "answer": TokenPair,
            "also": {400: "The account is deactivated", 401: "User name or password is wrong"},
        },
    )
    async def login(self, request: HttpRequest) -> Response[bytes]:
        """Log in with user name and password (a form)."""
        call = Call(request)
        given = await read_form(request, Credentials)
        logged_in = await login(
            call.services.identity,
            username=given.username,
            password=given.password,
            client=client_of(request),
            correlation_id=call.trace_id(),
        )
        return await _tokens(call, logged_in)

    @post(
        "/refresh",
        status_code=200,
        request_max_body_size=MOST_OF_ANYBODY,
        opt={"body": Refresh, "answer": TokenPair, "also": {401: "The token is spent, or none of ours"}},
    )
    async def refresh(self, request: HttpRequest) -> Response[bytes]:
        """Spend a refresh token for a new pair."""
        call = Call(request)
        given = await call.json(Refresh)
        pair = await refreshing.refresh(call.services.identity, given.refresh_token)
        return await call.answer(
            TokenPair(access_token=pair.access_token, refresh_token=pair.refresh_token, requires_2fa=False)
        )

    @post("/logout", status_code=200, opt={"answer": Message})
    async def logout(self, request: HttpRequest) -> Response[bytes]:
        """End this session; its tokens stop working at once."""
        call = Call(request)
        await ending.logout(
            call.services.identity, call.principal, by_person(call.principal.person, call.trace_id())
        )
        return await call.answer(Message(message="Logged out"))

    @get("/me", opt={"answer": Me})
    async def me(self, request: HttpRequest) -> Response[bytes]:
        """Tell who is logged in."""
        call = Call(request)
        known = await me(call.services.identity, call.principal)
        body = Me(
            username=known.record.username,
            email=known.record.email,
            full_name=known.record.full_name,
            role=known.role,
            is_2fa_enabled=known.is_2fa_enabled,
            last_login=known.last_login,
            groups=known.groups,
            is_lead=known.is_lead,
        )
        return await call.answer(body)

    @post(
        "/2fa/setup",
        status_code=200,
        request_max_body_size=MOST_OF_ANYBODY,
        opt={
            "answer": SecondFactor,
            "bearer": True,
            "also": {400: "A second factor is enabled already", 401: "The token is wrong"},
        },
    )
    async def set_up_second_factor(self, request: HttpRequest) -> Response[bytes]:
        """Make a second factor; it counts once a code of it has been verified."""
        call = Call(request)
        identity, bearer = call.services.identity, bearer_of(request)
        if isinstance(identity.tokens.read(bearer, identity.clock()), LimitedClaims):
            person = await second_factor.person_of(identity, bearer)
        else:
            person = (await authenticate(identity, bearer)).person
        made = await second_factor.setup(identity, person)
        body = SecondFactor(
            secret=made.secret,
            qr_code_url=made.otpauth_url,
            qr_code_svg=made.qr_code,
            backup_codes=made.backup_codes,
        )
        return await call.answer(body)

    @post(
        "/2fa/verify",
        status_code=200,
        request_max_body_size=MOST_OF_ANYBODY,
        opt={
            "body": Code,
            "answer": (TokenPair, Message),
            "bearer": True,
            "also": {400: "No second factor was set up", 401: "The code or the token is wrong"},
        },
    )
    async def verify_second_factor(self, request: HttpRequest) -> Response[bytes]:
        """Enable the second factor, or complete a login that asked for it (with its limited token)."""
        call = Call(request)
        identity, bearer = call.services.identity, bearer_of(request)
        if isinstance(identity.tokens.read(bearer, identity.clock()), LimitedClaims):
            given = await call.json(Code)
            logged_in = await second_factor.complete_login(
                identity, bearer, given.code, client=client_of(request), correlation_id=call.trace_id()
            )
            return await _tokens(call, logged_in)
        principal = await authenticate(identity, bearer)
        given = await call.json(Code)
        await second_factor.enable(
            identity, principal, given.code, by_person(principal.person, call.trace_id())
        )
        return await call.answer(Message(message="Second factor enabled"))

    @post("/users/{username:str}/deactivate", status_code=200, opt=_REASONED)
    async def deactivate(self, request: HttpRequest, username: FromPath[str]) -> Response[bytes]:
        """Keep somebody out; their sessions end."""
        call = Call(request)
        given = await call.json(WithReason)
        handled = await administering.deactivate(
            call.services.identity,
            username,
            reason=given.reason,
            by=call.principal,
            provenance=await call.provenance(),
        )
        return await call.answer(Message(message="User deactivated"), handled=handled, feeds=("directory",))

    @post("/users/{username:str}/reactivate", status_code=200, opt=_REASONED)
    async def reactivate(self, request: HttpRequest, username: FromPath[str]) -> Response[bytes]:
        """Let somebody in again."""
        call = Call(request)
        given = await call.json(WithReason)
        handled = await administering.reactivate(
            call.services.identity,
            username,
            reason=given.reason,
            by=call.principal,
            provenance=await call.provenance(),
        )
        return await call.answer(Message(message="User reactivated"), handled=handled, feeds=("directory",))

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
            call.services.identity,
            username,
            role=given.role,
            reason=given.reason,
            by=call.principal,
            provenance=await call.provenance(),
        )
        return await call.answer(Message(message="Role changed"), handled=handled, feeds=("directory",))

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
            new_password=given.new_password,
            current_password=given.current_password,
            reason=given.reason or "",
            by=call.principal,
            provenance=await call.provenance(),
        )
        return await call.answer(Message(message="Password changed"), handled=handled, feeds=("directory",))


async def _tokens(call: Call, logged_in: LoggedIn) -> Response[bytes]:
    """Answer a login once 'last login' shows it, or after one second."""
    await call.services.progress.wait_for(("sessions",), logged_in.position)
    body = TokenPair(
        access_token=logged_in.access_token,
        refresh_token=logged_in.refresh_token,
        requires_2fa=logged_in.requires_2fa,
    )
    return await call.answer(body)

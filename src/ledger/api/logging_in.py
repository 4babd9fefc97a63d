"""Coming in over HTTP: by password, second factor and refresh token; going again, and who is in."""

from typing import Final

from litestar import Controller, Response, get, post

from ledger.api.account_wire import Code, Credentials, Me, Message, Refresh, SecondFactor, TokenPair
from ledger.api.auth import bearer_of, client_of
from ledger.api.bodies import read_form
from ledger.api.call import Call
from ledger.api.types import HttpRequest
from ledger.identity import ending, refreshing, second_factor
from ledger.identity.identity import by_person
from ledger.identity.login import login
from ledger.identity.me import me
from ledger.identity.opening import LoggedIn
from ledger.identity.sessions import authenticate
from ledger.identity.tokens import LimitedClaims

MOST_OF_ANYBODY: Final = 16 * 1024
"""Bytes of a body whose sender nobody knows yet: it is in memory while its password waits to be hashed."""


class LoginController(Controller):
    """Logging in, with a second factor or without, and out."""

    path = "/api/auth"
    tags = ("Authentication",)

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


async def _tokens(call: Call, logged_in: LoggedIn) -> Response[bytes]:
    """Answer a login once 'last login' shows it, or after one second."""
    await call.services.progress.wait_for(("sessions",), logged_in.position)
    body = TokenPair(
        access_token=logged_in.access_token,
        refresh_token=logged_in.refresh_token,
        requires_2fa=logged_in.requires_2fa,
    )
    return await call.answer(body)

"""Registering, logging in, second factor and the administration of accounts over HTTP."""

import re
from typing import Annotated, Final, Literal

import msgspec
from litestar import Controller, Response, get, post
from litestar.params import FromPath

from ledger.api.auth import ADMINS, EVERYBODY, allow, bearer_of, client_of
from ledger.api.bodies import read_form
from ledger.api.call import Call
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.types import HttpRequest
from ledger.domain.authority import Role
from ledger.domain.event import Utc
from ledger.identity import administering, ending, refreshing, registering, second_factor
from ledger.identity.identity import by_person
from ledger.identity.login import login
from ledger.identity.me import me
from ledger.identity.opening import LoggedIn
from ledger.identity.people import Record
from ledger.identity.sessions import authenticate
from ledger.identity.tokens import LimitedClaims

EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(?:\.[^@\s\x00-\x1f.]+)+")
USER_NAME: Final = re.compile(r"[^\s/\x00-\x1f\x7f](?:[^/\x00-\x1f\x7f]*[^\s/\x00-\x1f\x7f])?")

Secret = Annotated[str, msgspec.Meta(min_length=8, max_length=1_000)]
Reason = Annotated[str, msgspec.Meta(max_length=65_536)]


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody to be let in."""

    username: Annotated[str, msgspec.Meta(min_length=3, max_length=50)]
    email: Annotated[str, msgspec.Meta(max_length=254)]
    password: Secret
    full_name: Annotated[str, msgspec.Meta(max_length=200)]
    role: Role = Role.ANALYST


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A user name and a password, as a form."""

    username: Annotated[str, msgspec.Meta(max_length=1_000)]
    password: Annotated[str, msgspec.Meta(max_length=1_000)]


class Refresh(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh token, to be spent."""

    refresh_token: Annotated[str, msgspec.Meta(max_length=1_000)]


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A code of the second factor, or a backup code."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class WithReason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done."""

    reason: Annotated[Reason, msgspec.Meta(min_length=1)]


class NewRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another job, and why."""

    role: Role
    reason: Annotated[Reason, msgspec.Meta(min_length=1)]


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another password; one's own needs the current one."""

    new_password: Secret
    current_password: Annotated[str, msgspec.Meta(max_length=1_000)] | None = None
    reason: Reason | None = None


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """The account is there."""

    message: str
    username: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """It is done."""

    message: str


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a session; with ``requires_2fa`` the access token is good for the second factor alone."""

    access_token: str
    refresh_token: str | None
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the kind of token, not a token
    requires_2fa: bool


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who is logged in; ``last_login`` is ``None`` until it is known."""

    username: str
    email: str
    full_name: str
    role: Role
    is_2fa_enabled: bool
    last_login: Utc | None


class SecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """What to put into an authenticator; shown once."""

    secret: str
    qr_code_url: str
    backup_codes: tuple[str, ...]


_REASONED: Final[dict[str, type]] = {"body": WithReason, "answer": Message}


class AccountController(Controller):
    """Logging in and administering accounts."""

    path = "/api/auth"
    tags = ("Authentication",)

    @post(
        "/register", status_code=200, guards=[allow(ADMINS)], opt={"body": Registration, "answer": Registered}
    )
    async def register(self, request: HttpRequest) -> Response[bytes]:
        """Let somebody in (administrators)."""
        call = Call(request)
        wanted = await call.json(Registration)
        _check(wanted)
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

    @post("/login", status_code=200, opt={"form": Credentials, "answer": TokenPair})
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

    @post("/refresh", status_code=200, opt={"body": Refresh, "answer": TokenPair})
    async def refresh(self, request: HttpRequest) -> Response[bytes]:
        """Spend a refresh token for a new pair."""
        call = Call(request)
        given = await call.json(Refresh)
        pair = await refreshing.refresh(call.services.identity, given.refresh_token)
        return await call.answer(
            TokenPair(access_token=pair.access_token, refresh_token=pair.refresh_token, requires_2fa=False)
        )

    @post("/logout", status_code=200, guards=[allow(EVERYBODY)], opt={"answer": Message})
    async def logout(self, request: HttpRequest) -> Response[bytes]:
        """End this session; its tokens stop working at once."""
        call = Call(request)
        await ending.logout(
            call.services.identity, call.principal, by_person(call.principal.person, call.trace_id())
        )
        return await call.answer(Message(message="Logged out"))

    @get("/me", guards=[allow(EVERYBODY)], opt={"answer": Me})
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
        )
        return await call.answer(body)

    @post("/2fa/setup", status_code=200, guards=[allow(EVERYBODY)], opt={"answer": SecondFactor})
    async def set_up_second_factor(self, request: HttpRequest) -> Response[bytes]:
        """Make a second factor; it counts once a code of it has been verified."""
        call = Call(request)
        made = await second_factor.setup(call.services.identity, call.principal)
        return await call.answer(
            SecondFactor(secret=made.secret, qr_code_url=made.otpauth_url, backup_codes=made.backup_codes)
        )

    @post("/2fa/verify", status_code=200, opt={"body": Code, "answer": TokenPair})
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

    @post("/users/{username:str}/deactivate", status_code=200, guards=[allow(ADMINS)], opt=_REASONED)
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

    @post("/users/{username:str}/reactivate", status_code=200, guards=[allow(ADMINS)], opt=_REASONED)
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
        guards=[allow(ADMINS)],
        opt={"body": NewRole, "answer": Message},
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
        guards=[allow(EVERYBODY)],
        opt={"body": NewPassword, "answer": Message},
    )
    async def password(self, request: HttpRequest, username: FromPath[str]) -> Response[bytes]:
        """Change one's own password, or anybody's (administrators); the person's sessions end."""
        call = Call(request)
        given = await call.json(NewPassword)
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


def _check(wanted: Registration) -> None:
    wrong = []
    if not USER_NAME.fullmatch(wanted.username):
        wrong.append(
            FieldError("username", "holds a slash or a control character, or begins or ends with a space")
        )
    if not EMAIL.fullmatch(wanted.email):
        wrong.append(FieldError("email", "is not an address"))
    if wrong:
        raise InvalidRequest(*wrong)


async def _tokens(call: Call, logged_in: LoggedIn) -> Response[bytes]:
    """Answer a login once 'last login' shows it, or after one second."""
    await call.services.progress.wait_for(("sessions",), logged_in.position)
    body = TokenPair(
        access_token=logged_in.access_token,
        refresh_token=logged_in.refresh_token,
        requires_2fa=logged_in.requires_2fa,
    )
    return await call.answer(body)

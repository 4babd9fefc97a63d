"""The account calls' bodies, in and out; names and limits are the wire contract."""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from ledger.api.problems import FieldError, InvalidRequest
from ledger.domain.authority import Role
from ledger.domain.event import Utc
from ledger.identity.guessable import is_guessable_password
from ledger.identity.people import holds_unseen

EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(?:\.[^@\s\x00-\x1f.]+)+")
USER_NAME: Final = re.compile(r"[^\s/\x00-\x1f\x7f](?:[^/\x00-\x1f\x7f]*[^\s/\x00-\x1f\x7f])?")

EASY: Final = "is easy to guess; choose another"

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
    groups: tuple[str, ...]
    is_lead: bool


class SecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """What to put into an authenticator; shown once."""

    secret: str
    qr_code_url: str
    qr_code_svg: str
    backup_codes: tuple[str, ...]


def unfit_for_registration(fields: Mapping[str, object]) -> list[FieldError]:
    """Say what is wrong with a registration that a type cannot say.

    The user name could not stand in a path, the address is none, a name holds what nobody sees, or the password is
    easy to guess.
    """
    texts = {name: text for name, text in fields.items() if isinstance(text, str)}
    wrong = []
    if "username" in texts and not USER_NAME.fullmatch(texts["username"]):
        wrong.append(
            FieldError("username", "holds a slash or a control character, or begins or ends with a space")
        )
    if "email" in texts and not EMAIL.fullmatch(texts["email"]):
        wrong.append(FieldError("email", "is not an address"))
    wrong += [
        FieldError(field, "holds a character that nobody sees")
        for field in ("username", "email", "full_name")
        if holds_unseen(texts.get(field, ""))
    ]
    if "password" in texts and is_guessable_password(texts["password"], texts.get("username", "")):
        wrong.append(FieldError("password", EASY))
    return wrong


def check_new_password(wanted: NewPassword, username: str) -> None:
    """Check what a type cannot say.

    Raises:
        InvalidRequest: the new password is easy to guess.
    """
    if is_guessable_password(wanted.new_password, username):
        raise InvalidRequest(FieldError("new_password", EASY))

"""Who asks, and whether they still may: the facts of session and account at the moment of a command."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Final

import msgspec

from ledger.domain.errors import Refused, RuleViolation, Unauthenticated
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId, SessionId

STEP_UP_SECONDS: Final = 300
"""How fresh a second factor must be for what an administrator, or its own owner, does to accounts."""

GROUP_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,49}")
"""What a group is called: 1 to 50 small letters, digits, hyphens and underscores, a letter first."""


class Role(StrEnum):
    """What an account is for; the values are wire and storage format."""

    ADMIN = "admin"
    ANALYST = "analyst"
    VIEWER = "viewer"
    AUDITOR = "auditor"
    SERVICE = "service"


ADMINS: Final = frozenset({Role.ADMIN})


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """A person acting through a session, or a machine through an API key, as their streams said.

    ``session`` is ``None`` for a machine; ``session_is_live`` then speaks of its key.

    The append checks under its lock that both streams are still at the versions these facts were
    read from, so a revocation holds from the next command on.
    """

    person: PersonId
    session: SessionId | None
    role: Role
    is_lead: bool
    is_active: bool
    session_is_live: bool
    stepped_up_at: Utc | None
    """When this session last proved a second factor; ``None`` if never."""
    has_second_factor: bool = False
    is_paused: bool = False
    groups: tuple[str, ...] = ()


class SessionNotLive(Unauthenticated):
    """Could not validate credentials: the session has ended."""

    code = "session-not-live"
    advice = "Log in again."


class StepUpRequired(Unauthenticated):
    """This needs a fresh second factor.

    Context: ``within_seconds``: how old the last proof of it may be.
    """

    code = "step-up-required"
    advice = "Prove your second factor again (POST /api/auth/step-up), then repeat the request."


class SessionIsPaused(RuleViolation):
    """This session is paused."""

    code = "session-paused"
    advice = "Resume it first."


class InsufficientPermissions(Refused):
    """Insufficient permissions."""

    code = "insufficient-permissions"


class AdminRequired(InsufficientPermissions):
    """Admin access required."""

    code = "admin-required"


def require(authority: Authority, roles: frozenset[Role]) -> None:
    """Refuse unless this person may act now and holds one of ``roles``.

    Raises:
        SessionNotLive: the session has ended, expired or been revoked, or the account is deactivated.
        AdminRequired: only an administrator may.
        InsufficientPermissions: the role is not among ``roles``.
    """
    if not (authority.session_is_live and authority.is_active):
        raise SessionNotLive(session=authority.session)
    if authority.role in roles:
        return
    refusal = AdminRequired if roles == ADMINS else InsufficientPermissions
    raise refusal(role=authority.role.value)


def require_or_operator(by: Authority | None, roles: frozenset[Role]) -> PersonId | None:
    """Refuse everybody who holds none of ``roles``, but for the operator of the machine (``None``); name who asks.

    Raises:
        SessionNotLive, AdminRequired, InsufficientPermissions: as ``require``.
    """
    if by is None:
        return None
    require(by, roles)
    return by.person


def require_fresh_factor(
    authority: Authority, now: Utc, *, within_seconds: int = STEP_UP_SECONDS, **facts: object
) -> None:
    """Refuse a second factor that was last proven too long ago in this session, or never.

    Raises:
        StepUpRequired: prove it again; with ``facts`` of the case.
    """
    proven = authority.stepped_up_at
    if proven is None or now - proven > timedelta(seconds=within_seconds):
        raise StepUpRequired(**facts, within_seconds=within_seconds)


def require_fresh_factor_if_any(authority: Authority | None, now: Utc) -> None:
    """Ask whoever has a second factor to prove it; who has none is asked by ``domain/access`` to get one.

    The operator of the machine (``None``) has none in this ledger.

    Raises:
        StepUpRequired: prove it again.
    """
    if authority is not None and authority.has_second_factor:
        require_fresh_factor(authority, now)


def at_work(authority: Authority) -> SessionId:
    """Name the session of somebody who is about to decide.

    Raises:
        InsufficientPermissions: it is a machine.
        SessionIsPaused: they are having a break.
    """
    if authority.session is None:
        raise InsufficientPermissions(role=authority.role.value)
    if authority.is_paused:
        raise SessionIsPaused
    return authority.session

"""Who asks, and whether they still may: the facts of session and account at the moment of a command."""

from enum import StrEnum

import msgspec

from ledger.domain.errors import Refused, Unauthenticated
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId, SessionId


class Role(StrEnum):
    """What an account is for; the values are wire and storage format."""

    ADMIN = "admin"
    ANALYST = "analyst"
    VIEWER = "viewer"
    AUDITOR = "auditor"
    SERVICE = "service"


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """A person acting through a session, as their streams said when the command was built.

    The append checks under its lock that both streams are still at the versions these facts were
    read from, so a revocation holds from the next command on.
    """

    person: PersonId
    session: SessionId
    role: Role
    is_lead: bool
    is_active: bool
    session_is_live: bool
    stepped_up_at: Utc | None
    """When this session last proved a second factor; ``None`` if never."""


class SessionNotLive(Unauthenticated):
    """Could not validate credentials: the session has ended."""

    code = "session-not-live"
    advice = "Log in again."


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
    refusal = AdminRequired if roles == {Role.ADMIN} else InsufficientPermissions
    raise refusal(role=authority.role.value)

"""What happens to an analyst's session.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).
"""

from enum import StrEnum
from typing import TypeAlias

from ledger.domain.event import Event, Utc
from ledger.domain.ids import Digest, PersonId, SessionId


class Factor(StrEnum):
    """How a person proved who they are."""

    PASSWORD = "password"  # noqa: S105 - the name of a factor, not a secret
    TOTP = "totp"
    BACKUP_CODE = "backup_code"


class EndCause(StrEnum):
    """Why a session ended without anybody's suspicion."""

    LOGOUT = "logout"
    TOO_MANY = "too_many"


class ExpiryCause(StrEnum):
    """Which limit ran out."""

    IDLE = "idle"
    ABSOLUTE = "absolute"


class RevocationCause(StrEnum):
    """Why a session was taken away."""

    ADMINISTRATOR = "administrator"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a cause, not a secret
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    ROLE_CHANGED = "role_changed"
    DEACTIVATED = "deactivated"
    REFRESH_REUSED = "refresh_reused"


class SessionOpened(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session-opened"):
    """A person logged in.

    ``epoch`` is the account's credential epoch at that moment: the session dies with it.
    ``client`` commits to address and user agent, SHA-256(salt ‖ record), both kept outside the log.
    ``family`` commits to what all its refresh tokens have in them; ``None``: an older release's, which have nothing.
    """

    session: SessionId
    person: PersonId
    factors: tuple[Factor, ...]
    epoch: int
    idle_seconds: int
    expires_at: Utc
    client: Digest
    family: Digest | None = None


class SessionEnded(Event, frozen=True, kw_only=True, tag="session-ended"):
    """The person logged out, from it or from another session of theirs, or opened more sessions than are allowed."""

    cause: EndCause


class SessionExpired(Event, frozen=True, kw_only=True, tag="session-expired"):
    """A limit ran out."""

    cause: ExpiryCause


class SessionRevoked(Event, frozen=True, kw_only=True, tag="session-revoked"):
    """It was taken away; ``by`` is ``None`` when no person did it."""

    by: PersonId | None
    cause: RevocationCause
    reason: str


class SessionStepUpCompleted(Event, frozen=True, kw_only=True, tag="session-step-up-completed"):
    """The person proved a second factor again, for what asks for a fresh one."""

    factor: Factor


class SessionStepUpFailed(Event, frozen=True, kw_only=True, tag="session-step-up-failed"):
    """Somebody in this session tried to, with a code that was none."""


class SessionPaused(Event, frozen=True, kw_only=True, tag="session-paused"):
    """The person has a break: the session reads on and decides nothing."""


class SessionResumed(Event, frozen=True, kw_only=True, tag="session-resumed"):
    """The break is over."""


SessionEvent: TypeAlias = (
    SessionOpened
    | SessionEnded
    | SessionExpired
    | SessionRevoked
    | SessionStepUpCompleted
    | SessionStepUpFailed
    | SessionPaused
    | SessionResumed
)

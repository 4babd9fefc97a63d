"""What happened to a session and what somebody wants of it: ``opened(by=ANA)``, ``log_out()``."""

from datetime import datetime, timedelta
from typing import Final

from ledger.domain.authority import Authority
from ledger.domain.ids import Digest, PersonId, SessionId
from ledger.domain.session.commands import (
    DismissSession,
    EndSession,
    ExpireSession,
    OpenSession,
    PauseSession,
    ResumeSession,
    RevokeSession,
    StepUp,
)
from ledger.domain.session.events import (
    EndCause,
    ExpiryCause,
    Factor,
    RevocationCause,
    SessionEnded,
    SessionExpired,
    SessionOpened,
    SessionPaused,
    SessionResumed,
    SessionRevoked,
    SessionStepUpCompleted,
    SessionStepUpFailed,
)
from tests.builders.people import ADA, ANA, NOW, acting, session_of

IDLE_SECONDS: Final = 1_800
ABSOLUTE_SECONDS: Final = 43_200
CLIENT: Final = Digest("d" * 64)
FAMILY: Final = Digest("f" * 64)


def opened(
    by: PersonId = ANA,
    *,
    session: SessionId | None = None,
    factors: tuple[Factor, ...] = (Factor.PASSWORD,),
    epoch: int = 0,
    at: datetime = NOW,
) -> SessionOpened:
    return SessionOpened(
        at=at,
        session=session or session_of(by),
        person=by,
        factors=factors,
        epoch=epoch,
        idle_seconds=IDLE_SECONDS,
        expires_at=at + timedelta(seconds=ABSOLUTE_SECONDS),
        client=CLIENT,
        family=FAMILY,
    )


def ended(*, cause: EndCause = EndCause.LOGOUT, at: datetime = NOW) -> SessionEnded:
    return SessionEnded(at=at, cause=cause)


def expired(*, cause: ExpiryCause = ExpiryCause.IDLE, at: datetime = NOW) -> SessionExpired:
    return SessionExpired(at=at, cause=cause)


def revoked(
    by: PersonId | None = ADA,
    *,
    cause: RevocationCause = RevocationCause.ADMINISTRATOR,
    reason: str = "a lost laptop",
    at: datetime = NOW,
) -> SessionRevoked:
    return SessionRevoked(at=at, by=by, cause=cause, reason=reason)


def log_in(
    by: PersonId = ANA,
    *,
    session: SessionId | None = None,
    factors: tuple[Factor, ...] = (Factor.PASSWORD,),
    epoch: int = 0,
    is_active: bool = True,
    now: datetime = NOW,
) -> OpenSession:
    return OpenSession(
        now=now,
        session=session or session_of(by),
        person=by,
        is_active=is_active,
        epoch=epoch,
        factors=factors,
        idle_seconds=IDLE_SECONDS,
        absolute_seconds=ABSOLUTE_SECONDS,
        client=CLIENT,
        family=FAMILY,
    )


def log_out(*, cause: EndCause = EndCause.LOGOUT, now: datetime = NOW) -> EndSession:
    return EndSession(now=now, cause=cause)


def expire(
    cause: ExpiryCause = ExpiryCause.IDLE, *, last_seen: datetime | None = None, now: datetime = NOW
) -> ExpireSession:
    return ExpireSession(now=now, cause=cause, last_seen=last_seen)


def revoke(
    by: PersonId | None = ADA,
    *,
    cause: RevocationCause = RevocationCause.ADMINISTRATOR,
    reason: str = "a lost laptop",
    now: datetime = NOW,
) -> RevokeSession:
    return RevokeSession(now=now, by=by, cause=cause, reason=reason)


def stepped_up(factor: Factor = Factor.TOTP, *, at: datetime = NOW) -> SessionStepUpCompleted:
    return SessionStepUpCompleted(at=at, factor=factor)


def step_up_failed(*, at: datetime = NOW) -> SessionStepUpFailed:
    return SessionStepUpFailed(at=at)


def break_taken(*, at: datetime = NOW) -> SessionPaused:
    return SessionPaused(at=at)


def came_back(*, at: datetime = NOW) -> SessionResumed:
    return SessionResumed(at=at)


def dismiss(
    by: PersonId | Authority = ANA, *, reason: str = "a lost laptop", now: datetime = NOW
) -> DismissSession:
    return DismissSession(now=now, by=acting(by), reason=reason)


def step_up(
    by: PersonId | Authority = ANA, *, factor: Factor | None = Factor.TOTP, now: datetime = NOW
) -> StepUp:
    return StepUp(now=now, by=acting(by), factor=factor)


def take_break(by: PersonId | Authority = ANA, *, now: datetime = NOW) -> PauseSession:
    return PauseSession(now=now, by=acting(by))


def come_back(by: PersonId | Authority = ANA, *, now: datetime = NOW) -> ResumeSession:
    return ResumeSession(now=now, by=acting(by))

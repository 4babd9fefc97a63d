"""What happened to a session and what somebody wants of it: ``opened(by=ANA)``, ``log_out()``."""

from datetime import datetime, timedelta
from typing import Final

from ledger.domain.ids import Digest, PersonId, SessionId
from ledger.domain.session.commands import EndSession, ExpireSession, OpenSession, RevokeSession
from ledger.domain.session.events import (
    EndCause,
    ExpiryCause,
    Factor,
    RevocationCause,
    SessionEnded,
    SessionExpired,
    SessionOpened,
    SessionRevoked,
)
from tests.builders.people import ADA, ANA, NOW, session_of

IDLE_SECONDS: Final = 1_800
ABSOLUTE_SECONDS: Final = 43_200
CLIENT: Final = Digest("d" * 64)


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

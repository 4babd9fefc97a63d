"""What a command does to a session: the events it causes, or the reason why not."""

from datetime import timedelta
from typing import Final, TypeAlias, assert_never, get_args

from ledger.domain.authority import ADMINS, Authority, Role, require
from ledger.domain.decider import Decider
from ledger.domain.errors import NotFound, ReasonMissing, Refused, RuleViolation
from ledger.domain.session.commands import (
    DismissSession,
    EndSession,
    ExpireSession,
    OpenSession,
    PauseSession,
    ResumeSession,
    RevokeSession,
    SessionCommand,
    StepUp,
)
from ledger.domain.session.events import (
    EndCause,
    ExpiryCause,
    RevocationCause,
    SessionEnded,
    SessionEvent,
    SessionExpired,
    SessionOpened,
    SessionPaused,
    SessionResumed,
    SessionRevoked,
    SessionStepUpCompleted,
    SessionStepUpFailed,
)
from ledger.domain.session.state import Active, NotOpened, SessionState, evolve

_Finish: TypeAlias = EndSession | ExpireSession | RevokeSession | DismissSession
_Change: TypeAlias = _Finish | StepUp | PauseSession | ResumeSession

EVERYBODY: Final = frozenset(Role)


class InactiveUser(RuleViolation):
    """Inactive user."""

    code = "inactive-user"
    advice = "An administrator can reactivate the account."


class SessionAlreadyOpened(RuleViolation):
    """A session is opened once."""

    code = "session-already-opened"


class SessionNotFound(NotFound):
    """Session not found."""

    code = "session-not-found"
    advice = "'GET /api/sessions' lists one's own, for administrators with '?username=…' another's."


class OwnSessionOnly(Refused):
    """Only from within the session itself."""

    code = "own-session-only"


def decide(command: SessionCommand, state: SessionState) -> tuple[SessionEvent, ...]:
    """Say what ``command`` causes; no events: it is over already, or not yet.

    Raises:
        InactiveUser: the account is deactivated.
        SessionAlreadyOpened: the id has been used.
        SessionNotFound: nobody opened it.
        Refused: this person may not do this to this session.
    """
    if isinstance(command, OpenSession):
        return _open(command, state)
    if isinstance(state, NotOpened):
        raise SessionNotFound
    return _change(command, state) if isinstance(state, Active) else ()


def _open(command: OpenSession, state: SessionState) -> tuple[SessionEvent, ...]:
    if not isinstance(state, NotOpened):
        raise SessionAlreadyOpened(session=command.session)
    if not command.is_active:
        raise InactiveUser(person=command.person)
    opened = SessionOpened(
        at=command.now,
        session=command.session,
        person=command.person,
        factors=command.factors,
        epoch=command.epoch,
        idle_seconds=command.idle_seconds,
        expires_at=command.now + timedelta(seconds=command.absolute_seconds),
        client=command.client,
        family=command.family,
    )
    return (opened,)


def _change(command: _Change, state: Active) -> tuple[SessionEvent, ...]:
    match command:
        case EndSession() | ExpireSession() | RevokeSession() | DismissSession():
            return _finish(command, state)
        case StepUp():
            _must_be_inside(command.by, state)
            if command.factor is None:
                return (SessionStepUpFailed(at=command.now),)
            return (SessionStepUpCompleted(at=command.now, factor=command.factor),)
        case PauseSession():
            _must_be_inside(command.by, state)
            return () if state.is_paused else (SessionPaused(at=command.now),)
        case ResumeSession():
            _must_be_inside(command.by, state)
            return (SessionResumed(at=command.now),) if state.is_paused else ()
        case _:
            assert_never(command)


def _must_be_inside(by: Authority, state: Active) -> None:
    require(by, EVERYBODY)
    if by.session != state.session:
        raise OwnSessionOnly(session=state.session)


def _finish(command: _Finish, state: Active) -> tuple[SessionEvent, ...]:
    match command:
        case EndSession():
            return (SessionEnded(at=command.now, cause=command.cause),)
        case ExpireSession():
            return (
                (SessionExpired(at=command.now, cause=command.cause),) if _has_run_out(command, state) else ()
            )
        case RevokeSession():
            revoked = SessionRevoked(
                at=command.now, by=command.by, cause=command.cause, reason=command.reason
            )
            return (revoked,)
        case DismissSession():
            return (_dismissed(command, state),)
        case _:
            assert_never(command)


def _dismissed(command: DismissSession, state: Active) -> SessionEnded | SessionRevoked:
    """Let its owner log out of it from afar, and an administrator take it away; white space is no reason."""
    require(command.by, EVERYBODY)
    if command.by.person == state.person:
        return SessionEnded(at=command.now, cause=EndCause.LOGOUT)
    require(command.by, ADMINS)
    if command.reason.isspace():
        raise ReasonMissing
    return SessionRevoked(
        at=command.now,
        by=command.by.person,
        cause=RevocationCause.ADMINISTRATOR,
        reason=command.reason,
    )


def _has_run_out(command: ExpireSession, state: Active) -> bool:
    match command.cause:
        case ExpiryCause.ABSOLUTE:
            return command.now >= state.expires_at
        case ExpiryCause.IDLE:
            last_seen = state.opened_at if command.last_seen is None else command.last_seen
            return command.now >= last_seen + timedelta(seconds=state.idle_seconds)
        case _:
            assert_never(command.cause)


SESSION: Final = Decider[SessionCommand, SessionState, SessionEvent](
    category="session",
    event_types=get_args(SessionEvent),
    state_type=SessionState,
    initial=NotOpened(),
    decide=decide,
    evolve=evolve,
    version=3,
)
"""The AnalystSession aggregate, as a value."""

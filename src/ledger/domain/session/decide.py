"""What a command does to a session: the events it causes, or the reason why not."""

from datetime import timedelta
from typing import Final, assert_never, get_args

from ledger.domain.decider import Decider
from ledger.domain.errors import NotFound, RuleViolation
from ledger.domain.session.commands import (
    EndSession,
    ExpireSession,
    OpenSession,
    RevokeSession,
    SessionCommand,
)
from ledger.domain.session.events import (
    ExpiryCause,
    SessionEnded,
    SessionEvent,
    SessionExpired,
    SessionOpened,
    SessionRevoked,
)
from ledger.domain.session.state import Active, NotOpened, SessionState, evolve


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


def decide(command: SessionCommand, state: SessionState) -> tuple[SessionEvent, ...]:
    """Say what ``command`` causes; no events: it is over already, or not yet.

    Raises:
        InactiveUser: the account is deactivated.
        SessionAlreadyOpened: the id has been used.
        SessionNotFound: nobody opened it.
    """
    if isinstance(command, OpenSession):
        return _open(command, state)
    if isinstance(state, NotOpened):
        raise SessionNotFound
    return _finish(command, state) if isinstance(state, Active) else ()


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
    )
    return (opened,)


def _finish(command: EndSession | ExpireSession | RevokeSession, state: Active) -> tuple[SessionEvent, ...]:
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
        case _:
            assert_never(command)


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
)
"""The AnalystSession aggregate, as a value."""

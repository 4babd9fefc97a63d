"""What is told of failed attempts: at most one sum a minute, and each lock-out once."""

from datetime import timedelta
from typing import Final, assert_never, get_args

from ledger.domain.decider import Decider
from ledger.domain.login.commands import LoginCommand, RecordFailures, RecordLockOut
from ledger.domain.login.events import LoginEvent, LoginFailed, LoginLockedOut
from ledger.domain.login.state import Guessed, LoginState, Unguessed, evolve

TOLD_EVERY: Final = timedelta(minutes=1)


def decide(command: LoginCommand, state: LoginState) -> tuple[LoginEvent, ...]:
    """Say what ``command`` causes; no events: it is too early for another sum, or the lock-out is told."""
    known = state if isinstance(state, Guessed) else Guessed()
    match command:
        case RecordFailures():
            return _sum_up(command, known)
        case RecordLockOut():
            return _lock_out(command, known)
        case _:
            assert_never(command)


def _sum_up(command: RecordFailures, known: Guessed) -> tuple[LoginEvent, ...]:
    if known.told_at is not None and command.now < known.told_at + TOLD_EVERY:
        return ()
    failed = LoginFailed(
        at=command.now,
        person=command.person,
        passwords=command.passwords,
        codes=command.codes,
        since=command.since,
    )
    return (failed,)


def _lock_out(command: RecordLockOut, known: Guessed) -> tuple[LoginEvent, ...]:
    if known.locked_until is not None and command.now < known.locked_until:
        return ()
    return (LoginLockedOut(at=command.now, person=command.person, until=command.until),)


LOGIN: Final = Decider[LoginCommand, LoginState, LoginEvent](
    category="login",
    event_types=get_args(LoginEvent),
    state_type=LoginState,
    initial=Unguessed(),
    decide=decide,
    evolve=evolve,
)
"""The failed logins of one person, as a value."""

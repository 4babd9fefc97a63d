"""What has been told of somebody's failed attempts.

The legal moves, by state and command. ``-`` is nothing to do; ``or`` separates what the same command may
cause, depending on the clock. ``tests/domain/test_legal_moves.py`` walks it.

    Unguessed  RecordFailures  LoginFailed
    Unguessed  RecordLockOut   LoginLockedOut
    Guessed    RecordFailures  - or LoginFailed
    Guessed    RecordLockOut   - or LoginLockedOut
"""

from typing import TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.event import Utc
from ledger.domain.login.events import LoginEvent, LoginFailed, LoginLockedOut


class Unguessed(msgspec.Struct, frozen=True, tag="unguessed"):
    """Nothing ever failed."""


class Guessed(msgspec.Struct, frozen=True, kw_only=True, tag="guessed"):
    """Something failed; ``told_at`` is when it was last summed up (``None``: never)."""

    told_at: Utc | None = None
    locked_until: Utc | None = None


LoginState: TypeAlias = Unguessed | Guessed


def evolve(state: LoginState, event: LoginEvent) -> LoginState:
    """Apply what happened."""
    known = state if isinstance(state, Guessed) else Guessed()
    match event:
        case LoginFailed():
            return replace(known, told_at=event.at)
        case LoginLockedOut():
            return replace(known, locked_until=event.until)
        case _:
            assert_never(event)

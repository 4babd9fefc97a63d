"""What a session is at a moment: one struct per life stage, and what each event makes of it.

The legal moves, by state and command. ``-`` is nothing to do; ``or`` separates what the same
command may cause, depending on the case; ``refused`` says that it never can. Where events are listed, the
guards in ``decide`` may still refuse.
``tests/domain/test_legal_moves.py`` walks it.

    NotOpened  OpenSession     SessionOpened
    NotOpened  EndSession      refused SessionNotFound
    NotOpened  ExpireSession   refused SessionNotFound
    NotOpened  RevokeSession   refused SessionNotFound
    NotOpened  DismissSession  refused SessionNotFound
    NotOpened  StepUp          refused SessionNotFound
    NotOpened  PauseSession    refused SessionNotFound
    NotOpened  ResumeSession   refused SessionNotFound
    Active     OpenSession     refused SessionAlreadyOpened
    Active     EndSession      SessionEnded
    Active     ExpireSession   - or SessionExpired
    Active     RevokeSession   SessionRevoked
    Active     DismissSession  SessionEnded or SessionRevoked
    Active     StepUp          SessionStepUpCompleted or SessionStepUpFailed
    Active     PauseSession    - or SessionPaused
    Active     ResumeSession   - or SessionResumed
    Ended      OpenSession     refused SessionAlreadyOpened
    Ended      EndSession      -
    Ended      ExpireSession   -
    Ended      RevokeSession   -
    Ended      DismissSession  -
    Ended      StepUp          -
    Ended      PauseSession    -
    Ended      ResumeSession   -
    Expired    OpenSession     refused SessionAlreadyOpened
    Expired    EndSession      -
    Expired    ExpireSession   -
    Expired    RevokeSession   -
    Expired    DismissSession  -
    Expired    StepUp          -
    Expired    PauseSession    -
    Expired    ResumeSession   -
    Revoked    OpenSession     refused SessionAlreadyOpened
    Revoked    EndSession      -
    Revoked    ExpireSession   -
    Revoked    RevokeSession   -
    Revoked    DismissSession  -
    Revoked    StepUp          -
    Revoked    PauseSession    -
    Revoked    ResumeSession   -

There is no way back to ``Active``: a session that has ended in any manner stays ended.
"""

from typing import Final, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.event import Utc
from ledger.domain.ids import Digest, PersonId, SessionId
from ledger.domain.session.events import (
    EndCause,
    ExpiryCause,
    Factor,
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

SECOND_FACTORS: Final = frozenset({Factor.TOTP, Factor.BACKUP_CODE})


class NotOpened(msgspec.Struct, frozen=True, tag="not-opened"):
    """Nobody has logged in under this id."""


class Active(msgspec.Struct, frozen=True, kw_only=True, tag="active"):
    """Somebody is logged in, at most until ``expires_at``.

    ``epoch`` is the account's credential epoch at login; ``stepped_up_at`` is when a second factor was
    last proven in this session (``None``: never). ``family`` is what its refresh tokens must commit to, ``None`` where
    nobody said.
    """

    session: SessionId
    person: PersonId
    factors: tuple[Factor, ...]
    epoch: int
    idle_seconds: int
    opened_at: Utc
    expires_at: Utc
    stepped_up_at: Utc | None
    is_paused: bool = False
    family: Digest | None = None


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """The person logged out, or opened more sessions than are allowed."""

    session: SessionId
    person: PersonId
    at: Utc
    cause: EndCause


class Expired(msgspec.Struct, frozen=True, kw_only=True, tag="expired"):
    """A limit ran out."""

    session: SessionId
    person: PersonId
    at: Utc
    cause: ExpiryCause


class Revoked(msgspec.Struct, frozen=True, kw_only=True, tag="revoked"):
    """It was taken away."""

    session: SessionId
    person: PersonId
    at: Utc
    cause: RevocationCause


SessionState: TypeAlias = NotOpened | Active | Ended | Expired | Revoked


def is_live(state: SessionState, now: Utc) -> bool:
    """Say whether the session itself is good at ``now``; whether its account still keeps it, ``keeps`` says.

    Its absolute limit counts by itself, the idle one from ``SessionExpired`` on: when it was last used
    is not in the ledger.
    """
    return isinstance(state, Active) and now < state.expires_at


def evolve(state: SessionState, event: SessionEvent) -> SessionState:
    """Apply what happened; an event that does not fit the stage leaves it as it is."""
    match state:
        case NotOpened():
            return _opened(event) if isinstance(event, SessionOpened) else state
        case Active():
            return _evolve_active(state, event)
        case Ended() | Expired() | Revoked():
            return state
        case _:
            assert_never(state)


def _opened(event: SessionOpened) -> Active:
    return Active(
        session=event.session,
        person=event.person,
        factors=event.factors,
        epoch=event.epoch,
        idle_seconds=event.idle_seconds,
        opened_at=event.at,
        expires_at=event.expires_at,
        stepped_up_at=None if SECOND_FACTORS.isdisjoint(event.factors) else event.at,
        family=event.family,
    )


def _evolve_active(state: Active, event: SessionEvent) -> SessionState:
    match event:
        case SessionOpened() | SessionStepUpFailed():
            return state
        case SessionStepUpCompleted():
            return replace(state, stepped_up_at=event.at)
        case SessionPaused():
            return replace(state, is_paused=True)
        case SessionResumed():
            return replace(state, is_paused=False)
        case _:
            return _over(state, event)


def _over(state: Active, event: SessionEnded | SessionExpired | SessionRevoked) -> SessionState:
    match event:
        case SessionEnded():
            return Ended(session=state.session, person=state.person, at=event.at, cause=event.cause)
        case SessionExpired():
            return Expired(session=state.session, person=state.person, at=event.at, cause=event.cause)
        case SessionRevoked():
            return Revoked(session=state.session, person=state.person, at=event.at, cause=event.cause)
        case _:
            assert_never(event)

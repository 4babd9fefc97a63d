"""What an account is at a moment, and what each event makes of it.

The legal moves, by state and command. ``-`` is nothing to do; ``or`` separates what the same
command may cause, depending on the account; ``refused`` says that it never can. Where events are listed,
the guards in ``decide`` may still refuse. ``tests/domain/test_legal_moves.py`` walks it.

    Unregistered  RegisterAccount     AccountRegistered
    Unregistered  ChangeRole          refused AccountNotFound
    Unregistered  DeactivateAccount   refused AccountNotFound
    Unregistered  ReactivateAccount   refused AccountNotFound
    Unregistered  ChangePassword      refused AccountNotFound
    Unregistered  EnableSecondFactor  refused AccountNotFound
    Registered    RegisterAccount     refused AlreadyRegistered
    Registered    ChangeRole          - or RoleChanged
    Registered    DeactivateAccount   - or AccountDeactivated
    Registered    ReactivateAccount   - or AccountReactivated
    Registered    ChangePassword      PasswordChanged
    Registered    EnableSecondFactor  - or SecondFactorEnabled

The credential epoch is how sessions die without being touched: whatever ends them raises it, and a
session of an earlier epoch is good only while it is the one that the last raise kept. It never falls,
and every raise names anew whom it keeps, so nothing brings a dead session back.
"""

from typing import TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.account.events import (
    AccountDeactivated,
    AccountEvent,
    AccountReactivated,
    AccountRegistered,
    PasswordChanged,
    RoleChanged,
    SecondFactorEnabled,
)
from ledger.domain.authority import Role
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId, SessionId


class Unregistered(msgspec.Struct, frozen=True, tag="unregistered"):
    """Nobody is known under this id."""


class Registered(msgspec.Struct, frozen=True, kw_only=True, tag="registered"):
    """A person or a machine can log in, while ``is_active``.

    ``kept_session`` is the one session of an earlier epoch that survived the last raise (``None``: none).
    """

    person: PersonId
    role: Role
    registered_at: Utc
    is_active: bool = True
    is_lead: bool = False
    epoch: int = 0
    kept_session: SessionId | None = None
    second_factor: bool = False


AccountState: TypeAlias = Unregistered | Registered


def keeps(account: AccountState, session: SessionId, epoch: int) -> bool:
    """Say whether a session opened in ``epoch`` is still good for its account."""
    match account:
        case Unregistered():
            return False
        case Registered():
            return epoch == account.epoch or session == account.kept_session
        case _:
            assert_never(account)


def evolve(state: AccountState, event: AccountEvent) -> AccountState:
    """Apply what happened; an event that does not fit the stage leaves it as it is."""
    match state:
        case Unregistered():
            return _registered(event) if isinstance(event, AccountRegistered) else state
        case Registered():
            return _evolve_registered(state, event)
        case _:
            assert_never(state)


def _registered(event: AccountRegistered) -> Registered:
    return Registered(person=event.person, role=event.role, registered_at=event.at)


def _evolve_registered(state: Registered, event: AccountEvent) -> Registered:
    match event:
        case AccountRegistered():
            return state
        case RoleChanged():
            return replace(_raised(state), role=event.role)
        case AccountDeactivated():
            return replace(_raised(state), is_active=False)
        case AccountReactivated():
            return replace(state, is_active=True)
        case PasswordChanged():
            return _raised(state, event.kept_session)
        case SecondFactorEnabled():
            return replace(_raised(state, event.kept_session), second_factor=True)
        case _:
            assert_never(event)


def _raised(state: Registered, kept_session: SessionId | None = None) -> Registered:
    return replace(state, epoch=state.epoch + 1, kept_session=kept_session)

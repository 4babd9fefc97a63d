"""What an account is at a moment, and what each event makes of it.

The legal moves, by state and command. ``-`` is nothing to do; ``or`` separates what the same
command may cause, depending on the account; ``refused`` says that it never can. Where events are listed,
the guards in ``decide`` may still refuse. ``tests/domain/test_legal_moves.py`` walks it.

    Unregistered  RegisterAccount     AccountRegistered
    Unregistered  ChangeRole          refused AccountNotFound
    Unregistered  DeactivateAccount   refused AccountNotFound
    Unregistered  ReactivateAccount   refused AccountNotFound
    Unregistered  ChangeGroups        refused AccountNotFound
    Unregistered  GrantLead           refused AccountNotFound
    Unregistered  RevokeLead          refused AccountNotFound
    Unregistered  ChangePassword      refused AccountNotFound
    Unregistered  EnableSecondFactor  refused AccountNotFound
    Unregistered  DisableSecondFactor refused AccountNotFound
    Unregistered  RenewBackupCodes    refused AccountNotFound
    Unregistered  IssueApiKey         refused AccountNotFound
    Unregistered  RevokeApiKey        refused AccountNotFound
    Registered    RegisterAccount     refused AlreadyRegistered
    Registered    ChangeRole          - or RoleChanged
    Registered    DeactivateAccount   - or AccountDeactivated
    Registered    ReactivateAccount   - or AccountReactivated
    Registered    ChangeGroups        - or GroupsChanged
    Registered    GrantLead           - or LeadGranted
    Registered    RevokeLead          - or LeadRevoked
    Registered    ChangePassword      PasswordChanged
    Registered    EnableSecondFactor  - or SecondFactorEnabled
    Registered    DisableSecondFactor - or SecondFactorDisabled
    Registered    RenewBackupCodes    BackupCodesRenewed
    Registered    IssueApiKey         ApiKeyIssued
    Registered    RevokeApiKey        ApiKeyRevoked

The credential epoch is how sessions die without being touched: whatever ends them raises it, and a
session of an earlier epoch is good only while it is the one that the last raise kept. It never falls,
and every raise names anew whom it keeps, so nothing brings a dead session back.
"""

from typing import Final, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.account.events import (
    AccountDeactivated,
    AccountEvent,
    AccountReactivated,
    AccountRegistered,
    ApiKeyIssued,
    ApiKeyRevoked,
    BackupCodesRenewed,
    GroupsChanged,
    LeadGranted,
    LeadRevoked,
    PasswordChanged,
    RoleChanged,
    Scope,
    SecondFactorDisabled,
    SecondFactorEnabled,
)
from ledger.domain.authority import Role
from ledger.domain.event import Utc
from ledger.domain.ids import Digest, KeyId, PersonId, SessionId

DECIDERS: Final = frozenset({Role.ANALYST, Role.ADMIN})
"""They may be in groups, which say whose votes a policy counts."""


class Unregistered(msgspec.Struct, frozen=True, tag="unregistered"):
    """Nobody is known under this id."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was not revoked; ``expires_at`` is ``None`` when it is good until then.

    ``credential`` is what its hash must be, ``None`` where nobody said.
    """

    key: KeyId
    scopes: tuple[Scope, ...]
    expires_at: Utc | None
    credential: Digest | None = None


class Registered(msgspec.Struct, frozen=True, kw_only=True, tag="registered"):
    """A person or a machine can log in, while ``is_active``.

    ``kept_session`` is the one session of an earlier epoch that survived the last raise (``None``: none).
    ``groups`` are sorted. ``credential`` is what the password's hash must be, ``None`` where nobody said.
    """

    person: PersonId
    role: Role
    registered_at: Utc
    is_active: bool = True
    is_lead: bool = False
    epoch: int = 0
    kept_session: SessionId | None = None
    second_factor: bool = False
    keys: tuple[ApiKey, ...] = ()
    groups: tuple[str, ...] = ()
    credential: Digest | None = None


AccountState: TypeAlias = Unregistered | Registered
_Place: TypeAlias = GroupsChanged | LeadGranted | LeadRevoked
_OfCredentials: TypeAlias = (
    PasswordChanged
    | SecondFactorEnabled
    | SecondFactorDisabled
    | BackupCodesRenewed
    | ApiKeyIssued
    | ApiKeyRevoked
)


def keeps(account: AccountState, session: SessionId, epoch: int) -> bool:
    """Say whether a session opened in ``epoch`` is still good for its account."""
    match account:
        case Unregistered():
            return False
        case Registered():
            return epoch == account.epoch or session == account.kept_session
        case _:
            assert_never(account)


def key_of(event: ApiKeyIssued) -> ApiKey:
    """Give the key that was issued."""
    return ApiKey(
        key=event.key, scopes=event.scopes, expires_at=event.expires_at, credential=event.credential
    )


def live_key(account: AccountState, key: KeyId, now: Utc) -> ApiKey | None:
    """Find a key that opens the account at ``now``; ``None``: it does not, or the account is no machine's."""
    if not (isinstance(account, Registered) and account.is_active and account.role is Role.SERVICE):
        return None
    found = next((issued for issued in account.keys if issued.key == key), None)
    if found is None or (found.expires_at is not None and now >= found.expires_at):
        return None
    return found


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
    return Registered(
        person=event.person, role=event.role, registered_at=event.at, credential=event.credential
    )


def _evolve_registered(state: Registered, event: AccountEvent) -> Registered:
    match event:
        case AccountRegistered():
            return state
        case RoleChanged():
            return _in_role(_raised(state), event.role)
        case AccountDeactivated():
            return replace(_raised(state), is_active=False)
        case AccountReactivated():
            return replace(state, is_active=True)
        case GroupsChanged() | LeadGranted() | LeadRevoked():
            return _evolve_place(state, event)
        case _:
            return _evolve_credentials(state, event)


def _evolve_place(state: Registered, event: _Place) -> Registered:
    match event:
        case GroupsChanged():
            return replace(state, groups=event.groups)
        case LeadGranted():
            return replace(state, is_lead=True)
        case LeadRevoked():
            return replace(state, is_lead=False)
        case _:
            assert_never(event)


def _in_role(state: Registered, role: Role) -> Registered:
    """Give another job, without the flag and the groups that are not for it."""
    return replace(
        state,
        role=role,
        is_lead=state.is_lead and role is Role.ANALYST,
        groups=state.groups if role in DECIDERS else (),
    )


def _evolve_credentials(state: Registered, event: _OfCredentials) -> Registered:
    match event:
        case PasswordChanged():
            return replace(_raised(state, event.kept_session), credential=event.credential)
        case SecondFactorEnabled():
            return replace(_raised(state, event.kept_session), second_factor=True)
        case SecondFactorDisabled():
            return replace(_raised(state, event.kept_session), second_factor=False)
        case BackupCodesRenewed():
            return state
        case ApiKeyIssued():
            return replace(state, keys=(*state.keys, key_of(event)))
        case ApiKeyRevoked():
            return replace(state, keys=tuple(key for key in state.keys if key.key != event.key))
        case _:
            assert_never(event)


def _raised(state: Registered, kept_session: SessionId | None = None) -> Registered:
    return replace(state, epoch=state.epoch + 1, kept_session=kept_session)

"""What a command does to an account: the events it causes, or the reason why not.

Asking for what is so already (the same role, a second deactivation) is no event: the history of an
account holds changes, and a repeated request does not end sessions again.
"""

from typing import Final, TypeAlias, assert_never, get_args

from ledger.domain.account.commands import (
    AccountCommand,
    ChangeGroups,
    ChangePassword,
    ChangeRole,
    DeactivateAccount,
    DisableSecondFactor,
    EnableSecondFactor,
    GrantLead,
    IssueApiKey,
    ReactivateAccount,
    RegisterAccount,
    RenewBackupCodes,
    RevokeApiKey,
    RevokeLead,
)
from ledger.domain.account.events import (
    AccountDeactivated,
    AccountEvent,
    AccountReactivated,
    AccountRegistered,
    ApiKeyIssued,
    ApiKeyRevoked,
    BackupCodesRenewed,
    PasswordChanged,
    RoleChanged,
    SecondFactorDisabled,
    SecondFactorEnabled,
)
from ledger.domain.account.placing import place
from ledger.domain.account.state import AccountState, Registered, Unregistered, evolve
from ledger.domain.authority import (
    ADMINS,
    Authority,
    Role,
    require,
    require_fresh_factor,
    require_fresh_factor_if_any,
    require_or_operator,
)
from ledger.domain.decider import Decider
from ledger.domain.errors import NotFound, ReasonMissing, Refused, RuleViolation
from ledger.domain.event import Utc

_OnCredentials: TypeAlias = (
    ChangePassword | EnableSecondFactor | DisableSecondFactor | RenewBackupCodes | IssueApiKey | RevokeApiKey
)

_Reasoned: TypeAlias = (
    ChangeRole | DeactivateAccount | ReactivateAccount | ChangePassword | DisableSecondFactor | RevokeApiKey
)

EVERYBODY: Final = frozenset(Role)


class AlreadyRegistered(RuleViolation):
    """The account is already registered."""

    code = "already-registered"


class AccountNotFound(NotFound):
    """Account not found."""

    code = "account-not-found"
    advice = "'ledger user list' or 'GET /api/auth/users' lists those there are."


class LastAdmin(RuleViolation):
    """The last active administrator stays."""

    code = "last-admin"
    advice = "Make somebody else an administrator first."


class OwnAccountOnly(Refused):
    """Only the person themself may do this."""

    code = "own-account-only"


class SecondFactorNotEnabled(RuleViolation):
    """No second factor is enabled."""

    code = "second-factor-not-enabled"
    advice = "Set one up first."


class SecondFactorNeeded(RuleViolation):
    """Your role may not do without a second factor."""

    code = "second-factor-needed"


class NotAServiceAccount(RuleViolation):
    """Only active service accounts have API keys."""

    code = "not-a-service-account"
    advice = "Register an account with the role 'service'; people log in."


class KeyNotFound(NotFound):
    """API key not found."""

    code = "key-not-found"


def decide(command: AccountCommand, state: AccountState) -> tuple[AccountEvent, ...]:
    """Say what ``command`` causes; no events: it is so already.

    Raises:
        RuleViolation: the state forbids it.
        Refused: this person may not.
        NotFound: there is no such account.
        Unauthenticated: the asking person's session has ended.
        ReasonMissing: the reason is white space.
    """
    if isinstance(command, _Reasoned) and command.reason.isspace():
        raise ReasonMissing
    match command:
        case RegisterAccount():
            return _register(command, state)
        case ChangeRole():
            return _change_role(command, state)
        case DeactivateAccount():
            return _deactivate(command, state)
        case ReactivateAccount():
            return _reactivate(command, state)
        case ChangeGroups() | GrantLead() | RevokeLead():
            by = require_or_operator(command.by, ADMINS)
            return place(command, _known(state), by)
        case _:
            return _decide_on_credentials(command, state)


def _decide_on_credentials(command: _OnCredentials, state: AccountState) -> tuple[AccountEvent, ...]:
    match command:
        case ChangePassword():
            return _change_password(command, state)
        case EnableSecondFactor():
            return _enable_second_factor(command, state)
        case DisableSecondFactor():
            return _disable_second_factor(command, state)
        case RenewBackupCodes():
            return _renew_backup_codes(command, state)
        case IssueApiKey():
            return _issue_key(command, state)
        case RevokeApiKey():
            return _revoke_key(command, state)
        case _:
            assert_never(command)


def _register(command: RegisterAccount, state: AccountState) -> tuple[AccountEvent, ...]:
    by = require_or_operator(command.by, ADMINS)
    if isinstance(state, Registered):
        raise AlreadyRegistered(person=command.person)
    _must_be_fresh_for(command.role, command.by, command.now)
    registered = AccountRegistered(
        at=command.now,
        person=command.person,
        role=command.role,
        commitment=command.commitment,
        by=by,
        credential=command.credential,
    )
    return (registered,)


def _change_role(command: ChangeRole, state: AccountState) -> tuple[AccountEvent, ...]:
    by = require_or_operator(command.by, ADMINS)
    account = _known(state)
    if command.role is account.role:
        return ()
    _must_be_fresh_for(command.role, command.by, command.now)
    _must_leave_an_administrator(account, another_admin=command.another_admin)
    return (RoleChanged(at=command.now, role=command.role, by=by, reason=command.reason),)


def _deactivate(command: DeactivateAccount, state: AccountState) -> tuple[AccountEvent, ...]:
    by = require_or_operator(command.by, ADMINS)
    account = _known(state)
    if not account.is_active:
        return ()
    _must_leave_an_administrator(account, another_admin=command.another_admin)
    return (AccountDeactivated(at=command.now, by=by, reason=command.reason),)


def _reactivate(command: ReactivateAccount, state: AccountState) -> tuple[AccountEvent, ...]:
    by = require_or_operator(command.by, ADMINS)
    account = _known(state)
    if account.is_active:
        return ()
    _must_be_fresh_for(account.role, command.by, command.now)
    return (AccountReactivated(at=command.now, by=by, reason=command.reason),)


def _change_password(command: ChangePassword, state: AccountState) -> tuple[AccountEvent, ...]:
    """Change it for oneself, or for anybody as an administrator; every session of the account ends."""
    by = command.by
    if by is not None:
        require(by, EVERYBODY)
    account = _known(state)
    if by is not None and by.person != account.person:
        require(by, ADMINS)
        _must_be_fresh_for(account.role, by, command.now)
    changed = PasswordChanged(
        at=command.now,
        by=None if by is None else by.person,
        kept_session=None,
        reason=command.reason,
        credential=command.credential,
    )
    return (changed,)


def _enable_second_factor(command: EnableSecondFactor, state: AccountState) -> tuple[AccountEvent, ...]:
    require(command.by, EVERYBODY)
    account = _known(state)
    if command.by.person != account.person:
        raise OwnAccountOnly(person=command.by.person)
    if account.second_factor:
        return ()
    return (SecondFactorEnabled(at=command.now, kept_session=command.by.session),)


def _disable_second_factor(command: DisableSecondFactor, state: AccountState) -> tuple[AccountEvent, ...]:
    """Give up one's own, which it takes a fresh proof of it to do, or take away a lost one as an administrator."""
    by = command.by
    if by is not None:
        require(by, EVERYBODY)
    account = _known(state)
    is_own = by is not None and by.person == account.person
    if by is not None and not is_own:
        require(by, ADMINS)
        require_fresh_factor_if_any(by, command.now)
    if not account.second_factor:
        return ()
    if by is not None and is_own:
        require_fresh_factor(by, command.now)
        if command.is_demanded:
            raise SecondFactorNeeded
    disabled = SecondFactorDisabled(
        at=command.now,
        by=None if by is None else by.person,
        kept_session=by.session if by is not None and is_own else None,
        reason=command.reason,
    )
    return (disabled,)


def _renew_backup_codes(command: RenewBackupCodes, state: AccountState) -> tuple[AccountEvent, ...]:
    require(command.by, EVERYBODY)
    account = _known(state)
    if command.by.person != account.person:
        raise OwnAccountOnly(person=command.by.person)
    if not account.second_factor:
        raise SecondFactorNotEnabled
    require_fresh_factor(command.by, command.now)
    return (BackupCodesRenewed(at=command.now),)


def _issue_key(command: IssueApiKey, state: AccountState) -> tuple[AccountEvent, ...]:
    by = require_or_operator(command.by, ADMINS)
    account = _known(state)
    if not account.is_active or account.role is not Role.SERVICE:
        raise NotAServiceAccount(role=account.role.value)
    require_fresh_factor_if_any(command.by, command.now)
    issued = ApiKeyIssued(
        at=command.now,
        key=command.key,
        scopes=command.scopes,
        expires_at=command.expires_at,
        by=by,
        credential=command.credential,
    )
    return (issued,)


def _revoke_key(command: RevokeApiKey, state: AccountState) -> tuple[AccountEvent, ...]:
    by = require_or_operator(command.by, ADMINS)
    if command.key not in (key.key for key in _known(state).keys):
        raise KeyNotFound
    return (ApiKeyRevoked(at=command.now, key=command.key, by=by, reason=command.reason),)


def _must_be_fresh_for(role: Role, by: Authority | None, now: Utc) -> None:
    """Ask for a fresh factor before anybody comes to act as an administrator: they might have none to be asked for."""
    if role is Role.ADMIN:
        require_fresh_factor_if_any(by, now)


def _known(state: AccountState) -> Registered:
    if isinstance(state, Unregistered):
        raise AccountNotFound
    return state


def _must_leave_an_administrator(account: Registered, *, another_admin: bool) -> None:
    if account.role is Role.ADMIN and account.is_active and not another_admin:
        raise LastAdmin(person=account.person)


ACCOUNT: Final = Decider[AccountCommand, AccountState, AccountEvent](
    category="account",
    event_types=get_args(AccountEvent),
    state_type=AccountState,
    initial=Unregistered(),
    decide=decide,
    evolve=evolve,
    version=4,
)
"""The Account aggregate, as a value."""

"""What happened to an account and what somebody wants of it: ``registered(ANA)``, ``deactivate(by=ADA)``."""

from datetime import datetime
from typing import Final
from uuid import UUID

from ledger.domain.account.commands import (
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
from ledger.domain.authority import Authority, Role
from ledger.domain.ids import Digest, KeyId, PersonId, SessionId
from tests.builders.people import ADA, ANA, NOW, ROLES, acting, session_of

COMMITMENT: Final = Digest("c" * 64)
CREDENTIAL: Final = Digest("d" * 64)
KEY: Final = KeyId(UUID(int=70))


def _who(by: PersonId | Authority | None) -> Authority | None:
    return None if by is None else acting(by)


def registered(
    person: PersonId = ANA,
    *,
    role: Role | None = None,
    by: PersonId | None = ADA,
    at: datetime = NOW,
    credential: Digest | None = CREDENTIAL,
) -> AccountRegistered:
    return AccountRegistered(
        at=at,
        person=person,
        role=role or ROLES[person],
        commitment=COMMITMENT,
        by=by,
        credential=credential,
    )


def role_changed(
    role: Role, *, by: PersonId | None = ADA, reason: str = "moved", at: datetime = NOW
) -> RoleChanged:
    return RoleChanged(at=at, role=role, by=by, reason=reason)


def deactivated(*, by: PersonId | None = ADA, reason: str = "left", at: datetime = NOW) -> AccountDeactivated:
    return AccountDeactivated(at=at, by=by, reason=reason)


def reactivated(
    *, by: PersonId | None = ADA, reason: str = "came back", at: datetime = NOW
) -> AccountReactivated:
    return AccountReactivated(at=at, by=by, reason=reason)


def groups_changed(
    *groups: str, by: PersonId | None = ADA, reason: str = "new team", at: datetime = NOW
) -> GroupsChanged:
    return GroupsChanged(at=at, groups=groups, by=by, reason=reason)


def lead_granted(
    *, by: PersonId | None = ADA, reason: str = "runs the shift", at: datetime = NOW
) -> LeadGranted:
    return LeadGranted(at=at, by=by, reason=reason)


def lead_revoked(
    *, by: PersonId | None = ADA, reason: str = "left the shift", at: datetime = NOW
) -> LeadRevoked:
    return LeadRevoked(at=at, by=by, reason=reason)


def password_changed(
    *,
    by: PersonId | None = ANA,
    kept_session: SessionId | None = None,
    reason: str = "",
    at: datetime = NOW,
    credential: Digest | None = CREDENTIAL,
) -> PasswordChanged:
    return PasswordChanged(at=at, by=by, kept_session=kept_session, reason=reason, credential=credential)


def second_factor_enabled(
    kept_session: SessionId | None = None, *, at: datetime = NOW
) -> SecondFactorEnabled:
    return SecondFactorEnabled(at=at, kept_session=kept_session or session_of(ANA))


def register(
    person: PersonId = ANA,
    *,
    role: Role | None = None,
    by: PersonId | Authority | None = ADA,
    now: datetime = NOW,
) -> RegisterAccount:
    return RegisterAccount(
        now=now,
        by=_who(by),
        person=person,
        role=role or ROLES[person],
        commitment=COMMITMENT,
        credential=CREDENTIAL,
    )


def change_role(
    role: Role,
    *,
    by: PersonId | Authority | None = ADA,
    reason: str = "moved",
    another_admin: bool = True,
    now: datetime = NOW,
) -> ChangeRole:
    return ChangeRole(now=now, by=_who(by), role=role, reason=reason, another_admin=another_admin)


def deactivate(
    *,
    by: PersonId | Authority | None = ADA,
    reason: str = "left",
    another_admin: bool = True,
    now: datetime = NOW,
) -> DeactivateAccount:
    return DeactivateAccount(now=now, by=_who(by), reason=reason, another_admin=another_admin)


def reactivate(
    *, by: PersonId | Authority | None = ADA, reason: str = "came back", now: datetime = NOW
) -> ReactivateAccount:
    return ReactivateAccount(now=now, by=_who(by), reason=reason)


def change_groups(
    *groups: str,
    by: PersonId | Authority | None = ADA,
    reason: str = "new team",
    now: datetime = NOW,
) -> ChangeGroups:
    return ChangeGroups(now=now, by=_who(by), groups=groups, reason=reason)


def grant_lead(
    *, by: PersonId | Authority | None = ADA, reason: str = "runs the shift", now: datetime = NOW
) -> GrantLead:
    return GrantLead(now=now, by=_who(by), reason=reason)


def revoke_lead(
    *, by: PersonId | Authority | None = ADA, reason: str = "left the shift", now: datetime = NOW
) -> RevokeLead:
    return RevokeLead(now=now, by=_who(by), reason=reason)


def change_password(
    *, by: PersonId | Authority | None = ANA, reason: str = "", now: datetime = NOW
) -> ChangePassword:
    return ChangePassword(now=now, by=_who(by), reason=reason, credential=CREDENTIAL)


def enable_second_factor(*, by: PersonId | Authority = ANA, now: datetime = NOW) -> EnableSecondFactor:
    return EnableSecondFactor(now=now, by=acting(by))


def second_factor_disabled(
    *,
    by: PersonId | None = ANA,
    kept_session: SessionId | None = None,
    reason: str = "",
    at: datetime = NOW,
) -> SecondFactorDisabled:
    return SecondFactorDisabled(at=at, by=by, kept_session=kept_session, reason=reason)


def backup_codes_renewed(*, at: datetime = NOW) -> BackupCodesRenewed:
    return BackupCodesRenewed(at=at)


def key_issued(
    key: KeyId = KEY,
    *,
    scopes: tuple[Scope, ...] = tuple(Scope),
    expires_at: datetime | None = None,
    by: PersonId | None = ADA,
    at: datetime = NOW,
    credential: Digest | None = CREDENTIAL,
) -> ApiKeyIssued:
    return ApiKeyIssued(at=at, key=key, scopes=scopes, expires_at=expires_at, by=by, credential=credential)


def key_revoked(
    key: KeyId = KEY, *, by: PersonId | None = ADA, reason: str = "leaked", at: datetime = NOW
) -> ApiKeyRevoked:
    return ApiKeyRevoked(at=at, key=key, by=by, reason=reason)


def disable_second_factor(
    *,
    by: PersonId | Authority | None = ANA,
    reason: str = "",
    is_demanded: bool = False,
    now: datetime = NOW,
) -> DisableSecondFactor:
    return DisableSecondFactor(now=now, by=_who(by), reason=reason, is_demanded=is_demanded)


def renew_backup_codes(*, by: PersonId | Authority = ANA, now: datetime = NOW) -> RenewBackupCodes:
    return RenewBackupCodes(now=now, by=acting(by))


def issue_key(
    key: KeyId = KEY,
    *,
    by: PersonId | Authority | None = ADA,
    scopes: tuple[Scope, ...] = tuple(Scope),
    expires_at: datetime | None = None,
    now: datetime = NOW,
) -> IssueApiKey:
    return IssueApiKey(
        now=now, by=_who(by), key=key, scopes=scopes, expires_at=expires_at, credential=CREDENTIAL
    )


def revoke_key(
    key: KeyId = KEY,
    *,
    by: PersonId | Authority | None = ADA,
    reason: str = "leaked",
    now: datetime = NOW,
) -> RevokeApiKey:
    return RevokeApiKey(now=now, by=_who(by), key=key, reason=reason)

"""What somebody wants of an account; ``by`` is ``None`` for the operator of the machine."""

from typing import TypeAlias

import msgspec

from ledger.domain.account.events import Scope
from ledger.domain.authority import Authority, Role
from ledger.domain.event import Utc
from ledger.domain.ids import Digest, KeyId, PersonId


class RegisterAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Let a person in."""

    now: Utc
    by: Authority | None
    person: PersonId
    role: Role
    commitment: Digest
    credential: Digest


class ChangeRole(msgspec.Struct, frozen=True, kw_only=True):
    """Give the person another job; ``another_admin`` says that some other active administrator exists."""

    now: Utc
    by: Authority | None
    role: Role
    reason: str
    another_admin: bool


class DeactivateAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Keep the person out; ``another_admin`` says that some other active administrator exists."""

    now: Utc
    by: Authority | None
    reason: str
    another_admin: bool


class ReactivateAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Let the person in again."""

    now: Utc
    by: Authority | None
    reason: str


class ChangeGroups(msgspec.Struct, frozen=True, kw_only=True):
    """Put the person into these groups and take them out of all others; in any order, once or twice."""

    now: Utc
    by: Authority | None
    groups: tuple[str, ...]
    reason: str


class GrantLead(msgspec.Struct, frozen=True, kw_only=True):
    """Let an analyst lead others."""

    now: Utc
    by: Authority | None
    reason: str


class RevokeLead(msgspec.Struct, frozen=True, kw_only=True):
    """Let the analyst lead nobody any more."""

    now: Utc
    by: Authority | None
    reason: str


class ChangePassword(msgspec.Struct, frozen=True, kw_only=True):
    """Record that the password is another: one's own, or anybody's for an administrator."""

    now: Utc
    by: Authority | None
    reason: str
    credential: Digest


class EnableSecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """Record that a second factor is asked for from now on; only the person can."""

    now: Utc
    by: Authority


class DisableSecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for no second factor any more: one's own, or anybody's for an administrator.

    ``is_demanded``: the account's role may not do without one, so that nobody gives up their own.
    """

    now: Utc
    by: Authority | None
    reason: str
    is_demanded: bool


class RenewBackupCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Record that there are new backup codes; only the person can."""

    now: Utc
    by: Authority


class IssueApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """Let a machine use a service account without logging in."""

    now: Utc
    by: Authority | None
    key: KeyId
    scopes: tuple[Scope, ...]
    expires_at: Utc | None
    credential: Digest


class RevokeApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """Take a key away."""

    now: Utc
    by: Authority | None
    key: KeyId
    reason: str


AccountCommand: TypeAlias = (
    RegisterAccount
    | ChangeRole
    | DeactivateAccount
    | ReactivateAccount
    | ChangeGroups
    | GrantLead
    | RevokeLead
    | ChangePassword
    | EnableSecondFactor
    | DisableSecondFactor
    | RenewBackupCodes
    | IssueApiKey
    | RevokeApiKey
)

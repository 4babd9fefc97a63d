"""What happens to an account.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).
Version 1 of the types that have ``imported`` is the form of the prototype's own records; ``imported`` is absent
where this ledger is where it happened.

No name, address or secret is ever in here: people and credentials live beside the log, under
commitments inside it. ``credential`` commits to the stored hash of a password or key; it is ``None`` where it was
written by a release that did not commit to any, or comes from the prototype.
"""

from enum import StrEnum
from typing import ClassVar, TypeAlias

from ledger.domain.authority import Role
from ledger.domain.event import Event, Imported, Utc
from ledger.domain.ids import Digest, KeyId, PersonId, SessionId


class Scope(StrEnum):
    """What an API key is good for, within what its account may do."""

    SUBMIT = "decisions:submit"
    READ = "decisions:read"


class AccountRegistered(Event, frozen=True, kw_only=True, omit_defaults=True, tag="account-registered"):
    """A person can log in from now on; ``by`` is ``None`` for the operator of the machine.

    ``commitment`` is SHA-256(salt ‖ canonical record of user name, address and full name).
    """

    schema_version: ClassVar[int] = 2

    person: PersonId
    role: Role
    commitment: Digest
    by: PersonId | None
    imported: Imported | None = None
    credential: Digest | None = None


class RoleChanged(Event, frozen=True, kw_only=True, tag="role-changed"):
    """The person does another job now; their sessions end.

    Who is no analyst any more is no lead, and who is neither analyst nor administrator is in no group.
    """

    role: Role
    by: PersonId | None
    reason: str


class AccountDeactivated(Event, frozen=True, kw_only=True, omit_defaults=True, tag="account-deactivated"):
    """The person may not log in any more; their sessions end."""

    schema_version: ClassVar[int] = 2

    by: PersonId | None
    reason: str
    imported: Imported | None = None


class AccountReactivated(Event, frozen=True, kw_only=True, tag="account-reactivated"):
    """The person may log in again; sessions of before stay ended."""

    by: PersonId | None
    reason: str


class GroupsChanged(Event, frozen=True, kw_only=True, tag="groups-changed"):
    """The person is in these groups now and in no other, sorted by name; their sessions go on."""

    groups: tuple[str, ...]
    by: PersonId | None
    reason: str


class LeadGranted(Event, frozen=True, kw_only=True, tag="lead-granted"):
    """The analyst leads others from now on: takes over what they hold, and assigns; sessions go on."""

    by: PersonId | None
    reason: str


class LeadRevoked(Event, frozen=True, kw_only=True, tag="lead-revoked"):
    """The analyst leads nobody any more; sessions go on."""

    by: PersonId | None
    reason: str


class PasswordChanged(Event, frozen=True, kw_only=True, omit_defaults=True, tag="password-changed"):
    """The password is another; all sessions but ``kept_session`` end."""

    by: PersonId | None
    kept_session: SessionId | None
    reason: str
    credential: Digest | None = None


class SecondFactorEnabled(Event, frozen=True, kw_only=True, tag="second-factor-enabled"):
    """Logging in asks for a second factor from now on; all sessions but ``kept_session`` end."""

    kept_session: SessionId | None


class SecondFactorDisabled(Event, frozen=True, kw_only=True, tag="second-factor-disabled"):
    """Logging in asks for no second factor any more; all sessions but ``kept_session`` end.

    ``by`` is ``None`` for the operator of the machine.
    """

    by: PersonId | None
    kept_session: SessionId | None
    reason: str


class BackupCodesRenewed(Event, frozen=True, kw_only=True, tag="backup-codes-renewed"):
    """The person had new backup codes made; the ones before are good for nothing."""


class ApiKeyIssued(Event, frozen=True, kw_only=True, omit_defaults=True, tag="api-key-issued"):
    """A machine can use the account without logging in, until ``expires_at`` (``None``: until it is revoked)."""

    key: KeyId
    scopes: tuple[Scope, ...]
    expires_at: Utc | None
    by: PersonId | None
    credential: Digest | None = None


class ApiKeyRevoked(Event, frozen=True, kw_only=True, tag="api-key-revoked"):
    """The key is good for nothing any more."""

    key: KeyId
    by: PersonId | None
    reason: str


AccountEvent: TypeAlias = (
    AccountRegistered
    | RoleChanged
    | AccountDeactivated
    | AccountReactivated
    | GroupsChanged
    | LeadGranted
    | LeadRevoked
    | PasswordChanged
    | SecondFactorEnabled
    | SecondFactorDisabled
    | BackupCodesRenewed
    | ApiKeyIssued
    | ApiKeyRevoked
)

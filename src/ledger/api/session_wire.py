"""The bodies of the calls on sessions, step-up, keys and the rules of coming in; all of them ours."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from ledger.api.account_wire import Reason
from ledger.domain.account.events import Scope
from ledger.domain.authority import Role
from ledger.domain.event import Utc
from ledger.domain.session.events import Factor


class SessionShown(msgspec.Struct, frozen=True, kw_only=True):
    """A living session; ``stepped_up_at`` is when a second factor was last proven in it (``None``: never)."""

    session_id: UUID
    username: str
    opened_at: Utc
    last_seen: Utc
    expires_at: Utc
    idle_seconds: int
    factors: tuple[Factor, ...]
    stepped_up_at: Utc | None
    is_paused: bool
    is_current: bool
    address: str
    user_agent: str


class MayHaveReason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done, if that is to be said."""

    reason: Reason = ""


class FreshCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code of the second factor, or a backup code."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class SteppedUp(msgspec.Struct, frozen=True, kw_only=True):
    """The second factor is fresh until ``fresh_until``, for what accounts ask; a decision's policy says its own."""

    stepped_up_at: Utc
    fresh_until: Utc


class BackupCodes(msgspec.Struct, frozen=True, kw_only=True):
    """New backup codes; shown once."""

    backup_codes: tuple[str, ...]


class FactorRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a role may do without a second factor, and why."""

    role: Role
    is_required: bool
    reason: Annotated[Reason, msgspec.Meta(min_length=1)]


class FactorRules(msgspec.Struct, frozen=True, kw_only=True):
    """The roles that may not do without a second factor."""

    roles: tuple[Role, ...]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key for a service account; without ``expires_at`` it is good until it is revoked."""

    username: Annotated[str, msgspec.Meta(max_length=1_000)]
    name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=10)] = tuple(Scope)
    expires_at: datetime | None = None


class KeyShown(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret; ``prefix`` is how it begins."""

    key_id: UUID
    prefix: str
    username: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: Utc
    expires_at: Utc | None
    last_used_at: Utc | None


class KeyIssued(msgspec.Struct, frozen=True, kw_only=True):
    """A new key; ``key`` is the secret, shown in the first answer only (``None`` in a repeated one)."""

    key_id: UUID
    key: str | None
    prefix: str
    username: str
    name: str
    scopes: tuple[Scope, ...]
    expires_at: Utc | None

"""What somebody wants of an account; ``by`` is ``None`` for the operator of the machine."""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority, Role
from ledger.domain.event import Utc
from ledger.domain.ids import Digest, PersonId


class RegisterAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Let a person in."""

    now: Utc
    by: Authority | None
    person: PersonId
    role: Role
    commitment: Digest


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


class ChangePassword(msgspec.Struct, frozen=True, kw_only=True):
    """Record that the password is another: one's own, or anybody's for an administrator."""

    now: Utc
    by: Authority | None
    reason: str


class EnableSecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """Record that a second factor is asked for from now on; only the person can."""

    now: Utc
    by: Authority


AccountCommand: TypeAlias = (
    RegisterAccount | ChangeRole | DeactivateAccount | ReactivateAccount | ChangePassword | EnableSecondFactor
)

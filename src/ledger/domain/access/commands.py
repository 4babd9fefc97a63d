"""What somebody wants of the rules of coming in; ``by`` is ``None`` for the operator of the machine."""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority, Role
from ledger.domain.event import Utc


class DemandSecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """Ask everybody of this role for a second factor."""

    now: Utc
    by: Authority | None
    role: Role
    reason: str


class WaiveSecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """Leave it to everybody of this role whether they have one."""

    now: Utc
    by: Authority | None
    role: Role
    reason: str


AccessCommand: TypeAlias = DemandSecondFactor | WaiveSecondFactor

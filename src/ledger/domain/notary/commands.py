"""What the operator wants of the notary."""

from typing import TypeAlias

import msgspec

from ledger.domain.event import Utc


class RotateNotaryKey(msgspec.Struct, frozen=True, kw_only=True):
    """Write down that ``vkey`` signs from now on, where ``previous`` did."""

    now: Utc
    reason: str
    vkey: str
    previous: str


class AdoptLog(msgspec.Struct, frozen=True, kw_only=True):
    """Write down that what the database holds is the log, and what the guard knew (``None``: nothing)."""

    now: Utc
    reason: str
    cause: str
    origin: str
    vkey: str
    size: int
    root: str
    guard_size: int | None
    guard_root: str | None


NotaryCommand: TypeAlias = RotateNotaryKey | AdoptLog

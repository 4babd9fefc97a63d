"""What is to be told of failed attempts."""

from typing import TypeAlias

import msgspec

from ledger.domain.event import Utc
from ledger.domain.ids import PersonId


class RecordFailures(msgspec.Struct, frozen=True, kw_only=True):
    """Sum up what failed from ``since`` on."""

    now: Utc
    person: PersonId
    passwords: int
    codes: int
    since: Utc


class RecordLockOut(msgspec.Struct, frozen=True, kw_only=True):
    """Tell that a limit is reached."""

    now: Utc
    person: PersonId
    until: Utc


LoginCommand: TypeAlias = RecordFailures | RecordLockOut

"""The bodies of the calls that claim, hand over, assign and reprioritise."""

from typing import Annotated, Final
from uuid import UUID

import msgspec

from ledger.api.decision_wire import ITEM
from ledger.api.wire import Long
from ledger.domain.decision.events import Priority

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]
UserName = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]

CLAIMED: Final = ITEM
"""Whoever claims something is shown it as it is at that moment, with the lease."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which work is asked for; what is left out may be any."""

    priority: Priority | None = None
    kind: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class TakeOver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is taken over, where somebody holds it."""

    reason: Long = ""


class LeaseNamed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lease that the caller holds."""

    lease_id: UUID


class HandOver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lease that the caller holds, and the colleague who is asked to take it over."""

    lease_id: UUID
    to: UserName


class Nothing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """There is nothing to say."""


class Assignment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is to do it (null: whoever comes), and why."""

    to: UserName | None
    reason: Reason


class Reprioritisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How urgent it really is, and why."""

    priority: Priority
    reason: Reason

"""What administrators want of the policies of a kind."""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority
from ledger.domain.event import Utc
from ledger.domain.terms import Policy


class DraftPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Propose ``terms``; their name and version are given by the aggregate, whatever they say."""

    now: Utc
    by: Authority
    kind: str
    terms: Policy
    reason: str = ""


class PublishPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Let a draft hold for what is submitted from now on."""

    now: Utc
    by: Authority
    kind: str
    version: int
    reason: str = ""


class WithdrawPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Give a draft up."""

    now: Utc
    by: Authority
    kind: str
    version: int
    reason: str


class RetirePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Let the default hold in place of what is published."""

    now: Utc
    by: Authority
    kind: str
    version: int
    reason: str


PolicyCommand: TypeAlias = DraftPolicy | PublishPolicy | WithdrawPolicy | RetirePolicy

"""What administrators want of a kind of item."""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority
from ledger.domain.event import Utc


class RegisterKind(msgspec.Struct, frozen=True, kw_only=True):
    """Let items of a new kind be submitted; whoever builds this has checked that ``schema`` is a JSON Schema."""

    now: Utc
    by: Authority
    name: str
    title: str
    schema: str
    reason: str = ""


class ReviseKind(msgspec.Struct, frozen=True, kw_only=True):
    """Give later items another shape, as ``RegisterKind``; ``title`` is ``None`` to keep it."""

    now: Utc
    by: Authority
    name: str
    title: str | None
    schema: str
    reason: str = ""


class RetireKind(msgspec.Struct, frozen=True, kw_only=True):
    """Take no more items of it."""

    now: Utc
    by: Authority
    name: str
    reason: str


KindCommand: TypeAlias = RegisterKind | ReviseKind | RetireKind

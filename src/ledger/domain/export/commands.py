"""What somebody wants to take out of the ledger; ``by`` is ``None`` for the operator of the machine."""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority
from ledger.domain.event import Utc
from ledger.domain.export.events import Tier
from ledger.domain.ids import DecisionId, Position


class ExportLedger(msgspec.Struct, frozen=True, kw_only=True):
    """Take the positions from ``first`` to ``last``, of a tree of ``size`` leaves."""

    now: Utc
    by: Authority | None
    tier: Tier
    first: Position
    last: Position
    size: int


class ExportDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Take all about one decision, as it is after its event at ``last``."""

    now: Utc
    by: Authority | None
    decision_id: DecisionId
    last: Position


ExportCommand: TypeAlias = ExportLedger | ExportDecision

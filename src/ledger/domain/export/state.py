"""What somebody was given leave to take.

The legal moves, by state and command; ``refused`` says that it never can. Where events are listed, the guards in
``decide`` may still refuse. ``tests/domain/test_legal_moves.py`` walks it.

    NotExported    ExportLedger    LedgerExported
    NotExported    ExportDecision  DecisionExported
    LedgerLeft     ExportLedger    refused AlreadyExported
    LedgerLeft     ExportDecision  refused AlreadyExported
    DecisionLeft   ExportLedger    refused AlreadyExported
    DecisionLeft   ExportDecision  refused AlreadyExported
"""

from typing import TypeAlias, assert_never

import msgspec

from ledger.domain.event import Utc
from ledger.domain.export.events import DecisionExported, ExportEvent, LedgerExported, Tier
from ledger.domain.ids import DecisionId, PersonId, Position


class NotExported(msgspec.Struct, frozen=True, tag="not-exported"):
    """Nobody has asked under this id."""


class LedgerLeft(msgspec.Struct, frozen=True, kw_only=True, tag="ledger-left"):
    """``by`` may take the positions from ``first`` to ``last``, of a tree of ``size`` leaves, since ``at``."""

    by: PersonId | None
    tier: Tier
    first: Position
    last: Position
    size: int
    at: Utc


class DecisionLeft(msgspec.Struct, frozen=True, kw_only=True, tag="decision-left"):
    """``by`` took all about one decision."""

    by: PersonId | None
    decision_id: DecisionId
    at: Utc


ExportState: TypeAlias = NotExported | LedgerLeft | DecisionLeft


def evolve(state: ExportState, event: ExportEvent) -> ExportState:
    """Apply what happened."""
    del state
    match event:
        case LedgerExported():
            return LedgerLeft(
                by=event.by,
                tier=event.tier,
                first=event.first,
                last=event.last,
                size=event.size,
                at=event.at,
            )
        case DecisionExported():
            return DecisionLeft(by=event.by, decision_id=event.decision_id, at=event.at)
        case _:
            assert_never(event)

"""What leaves the ledger and who wants it: ``export_ledger(by=AUDREY)``, ``ledger_exported(tier=Tier.PAYLOAD)``."""

from datetime import datetime
from typing import Final

from ledger.domain.authority import Authority
from ledger.domain.export.commands import ExportDecision, ExportLedger
from ledger.domain.export.events import DecisionExported, LedgerExported, Tier
from ledger.domain.ids import DecisionId, PersonId, Position
from tests.builders.people import AUDREY, NOW, acting

SUSPECT: Final = DecisionId("SUSPECT-1")


def export_ledger(
    *,
    by: PersonId | Authority | None = AUDREY,
    tier: Tier = Tier.PAYLOAD,
    first: int = 1,
    last: int = 10,
    size: int = 12,
    now: datetime = NOW,
) -> ExportLedger:
    return ExportLedger(
        now=now,
        by=None if by is None else acting(by),
        tier=tier,
        first=Position(first),
        last=Position(last),
        size=size,
    )


def ledger_exported(
    *,
    by: PersonId | None = AUDREY,
    tier: Tier = Tier.PAYLOAD,
    first: int = 1,
    last: int = 10,
    size: int = 12,
    at: datetime = NOW,
) -> LedgerExported:
    return LedgerExported(at=at, by=by, tier=tier, first=Position(first), last=Position(last), size=size)


def export_decision(*, by: PersonId | Authority | None = None, now: datetime = NOW) -> ExportDecision:
    return ExportDecision(
        now=now, by=None if by is None else acting(by), decision_id=SUSPECT, last=Position(7)
    )


def decision_exported(*, by: PersonId | None = None, at: datetime = NOW) -> DecisionExported:
    return DecisionExported(at=at, by=by, decision_id=SUSPECT, last=Position(7))

"""The rules of coming in, and who wants to change them: ``demanded(Role.ADMIN)``, ``demand(Role.ADMIN)``."""

from datetime import datetime

from ledger.domain.access.commands import DemandSecondFactor, WaiveSecondFactor
from ledger.domain.access.events import SecondFactorDemanded, SecondFactorWaived
from ledger.domain.authority import Authority, Role
from ledger.domain.ids import PersonId
from tests.builders.people import ADA, NOW, acting


def demanded(
    role: Role = Role.ADMIN, *, by: PersonId | None = ADA, reason: str = "policy", at: datetime = NOW
) -> SecondFactorDemanded:
    return SecondFactorDemanded(at=at, role=role, by=by, reason=reason)


def waived(
    role: Role = Role.ADMIN, *, by: PersonId | None = ADA, reason: str = "policy", at: datetime = NOW
) -> SecondFactorWaived:
    return SecondFactorWaived(at=at, role=role, by=by, reason=reason)


def demand(
    role: Role = Role.ADMIN,
    *,
    by: PersonId | Authority | None = ADA,
    reason: str = "policy",
    now: datetime = NOW,
) -> DemandSecondFactor:
    return DemandSecondFactor(now=now, by=None if by is None else acting(by), role=role, reason=reason)


def waive(
    role: Role = Role.ADMIN,
    *,
    by: PersonId | Authority | None = ADA,
    reason: str = "policy",
    now: datetime = NOW,
) -> WaiveSecondFactor:
    return WaiveSecondFactor(now=now, by=None if by is None else acting(by), role=role, reason=reason)

"""Policies and who wants to change them: ``drafted(2)``, ``publish(2, by=BOSS)``."""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from ledger.domain.authority import Authority, Role
from ledger.domain.ids import PersonId
from ledger.domain.policy.commands import DraftPolicy, PublishPolicy, RetirePolicy, WithdrawPolicy
from ledger.domain.policy.events import PolicyDrafted, PolicyPublished, PolicyRetired, PolicyWithdrawn
from ledger.domain.terms import Policy, default_policy
from tests.builders.kinds import PAYMENT
from tests.builders.people import ADA, NOW, acting, authority

BOSS: Final = PersonId(UUID(int=60))
"""Another administrator."""
AS_BOSS: Final = authority(BOSS, role=Role.ADMIN)


def terms(version: int = 2, **changes: object) -> Policy:
    return replace(default_policy(PAYMENT), version=version, **changes)


def drafted(version: int = 2, *, by: PersonId = ADA, **changes: object) -> PolicyDrafted:
    return PolicyDrafted(
        at=NOW, kind=PAYMENT, version=version, terms=terms(version, **changes), by=by, reason=""
    )


def published(version: int = 2, *, by: PersonId = BOSS) -> PolicyPublished:
    return PolicyPublished(at=NOW, kind=PAYMENT, version=version, by=by, reason="agreed")


def withdrawn(version: int = 2, *, by: PersonId = ADA) -> PolicyWithdrawn:
    return PolicyWithdrawn(at=NOW, kind=PAYMENT, version=version, by=by, reason="too lax")


def retired(version: int = 2, *, by: PersonId = ADA) -> PolicyRetired:
    return PolicyRetired(at=NOW, kind=PAYMENT, version=version, by=by, reason="too lax")


def draft(by: PersonId | Authority = ADA, **changes: object) -> DraftPolicy:
    return DraftPolicy(now=NOW, by=acting(by), kind=PAYMENT, terms=terms(0, **changes))


def publish(version: int = 2, *, by: PersonId | Authority = AS_BOSS, now: datetime = NOW) -> PublishPolicy:
    return PublishPolicy(now=now, by=acting(by), kind=PAYMENT, version=version, reason="agreed")


def withdraw(version: int = 2, *, by: PersonId | Authority = ADA, reason: str = "too lax") -> WithdrawPolicy:
    return WithdrawPolicy(now=NOW, by=acting(by), kind=PAYMENT, version=version, reason=reason)


def retire(
    version: int = 2,
    *,
    by: PersonId | Authority = ADA,
    reason: str = "too lax",
    now: datetime = NOW,
) -> RetirePolicy:
    return RetirePolicy(now=now, by=acting(by), kind=PAYMENT, version=version, reason=reason)

"""Personal data and who wants it gone: ``requested()``, ``approve(by=BOSS)``, about Sam unless said otherwise."""

from datetime import datetime
from typing import Final
from uuid import UUID

from ledger.domain.authority import Authority
from ledger.domain.ids import HoldId, PersonId, SubjectId
from ledger.domain.subject.commands import (
    ApproveErasure,
    LiftHold,
    PlaceHold,
    RefuseErasure,
    RequestErasure,
    Subject,
    WithdrawErasure,
)
from ledger.domain.subject.events import (
    ErasureRefused,
    ErasureRequested,
    ErasureWithdrawn,
    LegalBasis,
    LegalHoldLifted,
    LegalHoldPlaced,
    Removed,
    SubjectErased,
    SubjectKind,
)
from tests.builders.people import ADA, NOW, SAM, acting
from tests.builders.policies import AS_BOSS, BOSS

PERSON, DATA_SUBJECT = SubjectKind.PERSON, SubjectKind.DATA_SUBJECT
SAM_S: Final = Subject(kind=PERSON, subject=SubjectId(SAM))
A_CUSTOMERS: Final = Subject(kind=DATA_SUBJECT, subject=SubjectId(UUID(int=70)))
HOLD: Final = HoldId(UUID(int=80))
OTHER_HOLD: Final = HoldId(UUID(int=81))
REMOVED: Final = Removed(names=1, credentials=2, sessions=3)


def requested(
    *, by: PersonId | None = ADA, about: Subject = SAM_S, basis: LegalBasis = LegalBasis.CONSENT_WITHDRAWN
) -> ErasureRequested:
    return ErasureRequested(
        at=NOW, kind=about.kind, subject=about.subject, basis=basis, by=by, reason="ticket 17"
    )


def withdrawn(*, by: PersonId = ADA) -> ErasureWithdrawn:
    return ErasureWithdrawn(at=NOW, by=by, reason="a mistake")


def refused(*, by: PersonId = BOSS) -> ErasureRefused:
    return ErasureRefused(at=NOW, by=by, reason="still needed")


def erased(
    *,
    by: PersonId = BOSS,
    requested_by: PersonId | None = ADA,
    about: Subject = SAM_S,
    basis: LegalBasis = LegalBasis.CONSENT_WITHDRAWN,
    removed: Removed = REMOVED,
) -> SubjectErased:
    return SubjectErased(
        at=NOW,
        kind=about.kind,
        subject=about.subject,
        basis=basis,
        requested_by=requested_by,
        approved_by=by,
        removed=removed,
    )


def hold_placed(
    hold: HoldId = HOLD, *, by: PersonId | None = BOSS, about: Subject = SAM_S
) -> LegalHoldPlaced:
    return LegalHoldPlaced(
        at=NOW, kind=about.kind, subject=about.subject, hold=hold, by=by, reason="case 2041"
    )


def hold_lifted(hold: HoldId = HOLD, *, by: PersonId | None = BOSS) -> LegalHoldLifted:
    return LegalHoldLifted(at=NOW, hold=hold, by=by, reason="case closed")


def request(
    by: PersonId | Authority | None = ADA,
    *,
    about: Subject = SAM_S,
    basis: LegalBasis = LegalBasis.CONSENT_WITHDRAWN,
    is_kept: bool = True,
    reason: str = "ticket 17",
) -> RequestErasure:
    return RequestErasure(now=NOW, by=_acting(by), about=about, is_kept=is_kept, basis=basis, reason=reason)


def withdraw(
    by: PersonId | Authority = ADA, *, about: Subject = SAM_S, reason: str = "a mistake"
) -> WithdrawErasure:
    return WithdrawErasure(now=NOW, by=acting(by), about=about, reason=reason)


def refuse(
    by: PersonId | Authority = AS_BOSS, *, about: Subject = SAM_S, reason: str = "still needed"
) -> RefuseErasure:
    return RefuseErasure(now=NOW, by=acting(by), about=about, reason=reason)


def approve(
    by: PersonId | Authority = AS_BOSS,
    *,
    about: Subject = SAM_S,
    is_active: bool = False,
    removed: Removed = REMOVED,
    now: datetime = NOW,
) -> ApproveErasure:
    return ApproveErasure(now=now, by=acting(by), about=about, is_active=is_active, removed=removed)


def place(
    by: PersonId | Authority | None = AS_BOSS,
    *,
    hold: HoldId = HOLD,
    about: Subject = SAM_S,
    is_kept: bool = True,
    reason: str = "case 2041",
) -> PlaceHold:
    return PlaceHold(now=NOW, by=_acting(by), about=about, is_kept=is_kept, hold=hold, reason=reason)


def lift(
    by: PersonId | Authority | None = AS_BOSS,
    *,
    hold: HoldId = HOLD,
    about: Subject = SAM_S,
    reason: str = "case closed",
) -> LiftHold:
    return LiftHold(now=NOW, by=_acting(by), about=about, hold=hold, reason=reason)


def _acting(by: PersonId | Authority | None) -> Authority | None:
    return None if by is None else acting(by)

"""Whether somebody's data is kept, is to be erased or has been, and what each event makes of it.

The legal moves, by state and command; ``refused`` says that it never can. Where events are listed, the guards in
``decide`` may still refuse. ``tests/domain/test_legal_moves.py`` walks it.

    Kept       RequestErasure   ErasureRequested
    Kept       WithdrawErasure  refused NoErasureRequested
    Kept       RefuseErasure    refused NoErasureRequested
    Kept       ApproveErasure   refused NoErasureRequested
    Kept       PlaceHold        LegalHoldPlaced
    Kept       LiftHold         LegalHoldLifted
    Requested  RequestErasure   refused ErasureAlreadyRequested
    Requested  WithdrawErasure  ErasureWithdrawn
    Requested  RefuseErasure    ErasureRefused
    Requested  ApproveErasure   SubjectErased
    Requested  PlaceHold        LegalHoldPlaced
    Requested  LiftHold         LegalHoldLifted
    Erased     RequestErasure   ErasureRequested
    Erased     WithdrawErasure  refused AlreadyErased
    Erased     RefuseErasure    refused AlreadyErased
    Erased     ApproveErasure   refused AlreadyErased
    Erased     PlaceHold        LegalHoldPlaced
    Erased     LiftHold         refused AlreadyErased

Items may tell of a data subject again who has been erased: that is kept, and may be held and erased, as ever. A
person never comes back as themself.

Holds and requests go their own ways: one may be asked for under a hold, and waits until the last hold is lifted.
"""

from typing import TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.event import Utc
from ledger.domain.ids import HoldId, PersonId
from ledger.domain.subject.events import (
    ErasureRefused,
    ErasureRequested,
    ErasureWithdrawn,
    LegalBasis,
    LegalHoldLifted,
    LegalHoldPlaced,
    Removed,
    SubjectErased,
    SubjectEvent,
    SubjectKind,
)


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A legal hold that stands; ``by`` is ``None`` for the operator."""

    hold: HoldId
    at: Utc
    by: PersonId | None
    reason: str


class Kept(msgspec.Struct, frozen=True, kw_only=True, tag="kept"):
    """Nobody asks for its erasure."""

    holds: tuple[Hold, ...] = ()


class Requested(msgspec.Struct, frozen=True, kw_only=True, tag="requested"):
    """Somebody asks for it; ``by`` is ``None`` for the operator."""

    basis: LegalBasis
    at: Utc
    by: PersonId | None
    reason: str
    holds: tuple[Hold, ...] = ()


class Erased(msgspec.Struct, frozen=True, kw_only=True, tag="erased"):
    """It is gone; ``requested_by`` is ``None`` for the operator."""

    basis: LegalBasis
    at: Utc
    requested_by: PersonId | None
    approved_by: PersonId
    removed: Removed


SubjectState: TypeAlias = Kept | Requested | Erased


def holds_of(state: SubjectState) -> tuple[Hold, ...]:
    """List the holds that stand."""
    return () if isinstance(state, Erased) else state.holds


def evolve(state: SubjectState, event: SubjectEvent) -> SubjectState:
    """Apply what happened; an event that does not fit the stage leaves it as it is."""
    if isinstance(state, Erased):
        return _evolve_erased(state, event)
    match event:
        case ErasureRequested():
            return Requested(
                basis=event.basis, at=event.at, by=event.by, reason=event.reason, holds=state.holds
            )
        case ErasureWithdrawn() | ErasureRefused():
            return Kept(holds=state.holds)
        case SubjectErased():
            return _erased(event)
        case LegalHoldPlaced():
            placed = Hold(hold=event.hold, at=event.at, by=event.by, reason=event.reason)
            return replace(state, holds=(*state.holds, placed))
        case LegalHoldLifted():
            return replace(state, holds=tuple(hold for hold in state.holds if hold.hold != event.hold))
        case _:
            assert_never(event)


def _evolve_erased(state: Erased, event: SubjectEvent) -> SubjectState:
    comes_back = (
        isinstance(event, ErasureRequested | LegalHoldPlaced) and event.kind is SubjectKind.DATA_SUBJECT
    )
    return evolve(Kept(), event) if comes_back else state


def _erased(event: SubjectErased) -> Erased:
    return Erased(
        basis=event.basis,
        at=event.at,
        requested_by=event.requested_by,
        approved_by=event.approved_by,
        removed=event.removed,
    )

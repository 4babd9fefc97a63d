"""The bodies of the calls about somebody's personal data, in and out.

Who is told by name is a user name, ``null`` the operator of the machine; whoever is erased is called ``erased``.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, assert_never

import msgspec

from ledger.domain.event import Utc
from ledger.domain.ids import HoldId, PersonId
from ledger.domain.subject.events import LegalBasis, Removed, SubjectKind
from ledger.domain.subject.state import Erased, Hold, Kept, Requested, SubjectState, holds_of
from ledger.erasing.rows import Named
from ledger.identity.people import ERASED

Why = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]


class ErasureWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On which ground, and why. The reason stays in the history for good: it names nobody, and tells nothing of them.

    The first six grounds are those of the GDPR, Article 17(1), (a) to (f); ``other_law`` is one that the reason names.
    """

    basis: LegalBasis
    reason: Why


class SubjectReason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done. It stays in the history for good: it names nobody, and tells nothing of them."""

    reason: Why


class SubjectChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it."""

    message: str
    kind: SubjectKind


class HoldPlaced(msgspec.Struct, frozen=True, kw_only=True):
    """A legal hold, which is lifted by its id."""

    message: str
    kind: SubjectKind
    hold_id: HoldId


class RequestTold(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure that is asked for."""

    basis: LegalBasis
    requested_by: str | None
    requested_at: Utc
    reason: str


class HoldTold(msgspec.Struct, frozen=True, kw_only=True):
    """A legal hold that stands."""

    hold_id: HoldId
    placed_by: str | None
    placed_at: Utc
    reason: str


class ErasureTold(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure that happened, and how much it removed."""

    basis: LegalBasis
    requested_by: str | None
    approved_by: str
    erased_at: Utc
    removed: Removed


class SubjectTold(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody's personal data stands: ``kept``, ``requested`` or ``erased``."""

    kind: SubjectKind
    subject: str
    state: str
    request: RequestTold | None
    holds: tuple[HoldTold, ...]
    erasure: ErasureTold | None


def people_in(named: Named, state: SubjectState) -> Iterator[PersonId | None]:
    """List everybody whom this tells of."""
    if named.about.kind is SubjectKind.PERSON:
        yield PersonId(named.about.subject)
    yield from (hold.by for hold in holds_of(state))
    match state:
        case Kept():
            return
        case Requested():
            yield state.by
        case Erased():
            yield from (state.requested_by, state.approved_by)
        case _:
            assert_never(state)


def told(named: Named, state: SubjectState, names: Mapping[PersonId, str]) -> SubjectTold:
    """Tell how somebody's data stands."""
    return SubjectTold(
        kind=named.about.kind,
        subject=_called(named, state, names),
        state=_word(state),
        request=_request(state, names) if isinstance(state, Requested) else None,
        holds=tuple(_hold(hold, names) for hold in holds_of(state)),
        erasure=_erasure(state, names) if isinstance(state, Erased) else None,
    )


def _word(state: SubjectState) -> str:
    match state:
        case Kept():
            return "kept"
        case Requested():
            return "requested"
        case Erased():
            return "erased"
        case _:
            assert_never(state)


def _called(named: Named, state: SubjectState, names: Mapping[PersonId, str]) -> str:
    if isinstance(state, Erased):
        return ERASED
    if named.about.kind is SubjectKind.PERSON:
        return names.get(PersonId(named.about.subject), ERASED)
    return named.label or ERASED


def _by(person: PersonId | None, names: Mapping[PersonId, str]) -> str | None:
    return None if person is None else names.get(person, ERASED)


def _request(state: Requested, names: Mapping[PersonId, str]) -> RequestTold:
    return RequestTold(
        basis=state.basis, requested_by=_by(state.by, names), requested_at=state.at, reason=state.reason
    )


def _hold(hold: Hold, names: Mapping[PersonId, str]) -> HoldTold:
    return HoldTold(hold_id=hold.hold, placed_by=_by(hold.by, names), placed_at=hold.at, reason=hold.reason)


def _erasure(state: Erased, names: Mapping[PersonId, str]) -> ErasureTold:
    return ErasureTold(
        basis=state.basis,
        requested_by=_by(state.requested_by, names),
        approved_by=names.get(state.approved_by, ERASED),
        erased_at=state.at,
        removed=state.removed,
    )

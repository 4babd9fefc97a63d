"""What a command does to the personal data of one person or data subject: the event it causes, or why not.

It takes two: whoever asks, and another administrator who approves. Nobody has a say in their own case but to ask.
"""

from typing import Final, assert_never, get_args

from ledger.domain.authority import ADMINS, Authority, require_fresh_factor_if_any, require_or_operator
from ledger.domain.decider import Decider
from ledger.domain.errors import NotFound, ReasonMissing, Refused, RuleViolation
from ledger.domain.ids import PersonId, SubjectId
from ledger.domain.subject.commands import (
    ApproveErasure,
    LiftHold,
    PlaceHold,
    RefuseErasure,
    RequestErasure,
    Subject,
    SubjectCommand,
    WithdrawErasure,
)
from ledger.domain.subject.events import (
    ErasureRefused,
    ErasureRequested,
    ErasureWithdrawn,
    LegalHoldLifted,
    LegalHoldPlaced,
    SubjectErased,
    SubjectEvent,
    SubjectKind,
)
from ledger.domain.subject.state import Erased, Kept, Requested, SubjectState, evolve, holds_of

MOST_HOLDS: Final = 20


class SubjectNotFound(NotFound):
    """Nothing is known of this subject: it was not found."""

    code = "subject-not-found"


class HoldNotFound(NotFound):
    """There is no such legal hold, or not any more: it was not found."""

    code = "hold-not-found"


class SubjectRule(RuleViolation):
    """What became of the subject's data forbids it."""

    code = "subject-rule"


class AlreadyErased(SubjectRule):
    """This subject's data has been erased."""

    code = "already-erased"


class NoErasureRequested(SubjectRule):
    """Nobody asks for this erasure, or not any more."""

    code = "no-erasure-requested"
    advice = "Ask for it first; another administrator approves."


class ErasureAlreadyRequested(SubjectRule):
    """This erasure is asked for already."""

    code = "erasure-already-requested"
    advice = "Another administrator approves or refuses it."


class LegalHold(SubjectRule):
    """A legal hold forbids the erasure.

    Context: how many ``holds`` stand.
    """

    code = "legal-hold"
    advice = "It can be approved once every hold is lifted."


class AccountStillActive(SubjectRule):
    """The person can log in still."""

    code = "account-still-active"
    advice = "Deactivate the account first; what it holds and its sessions end with that."


class HoldExists(SubjectRule):
    """This hold stands already."""

    code = "hold-exists"


class TooManyHolds(SubjectRule):
    """At most 20 holds stand on one subject."""

    code = "too-many-holds"
    advice = "Lift some."


class ApprovedByItsRequester(Refused):
    """Nobody approves the erasure that they asked for."""

    code = "approved-by-its-requester"
    advice = "Ask another administrator to; you may withdraw it."


class RefusedByItsRequester(Refused):
    """Nobody refuses what they asked for themselves."""

    code = "refused-by-its-requester"
    advice = "Withdraw it."


class NotItsRequester(Refused):
    """Somebody else asked for this erasure."""

    code = "not-its-requester"
    advice = "Only they withdraw it; you may refuse it."


class OwnErasure(Refused):
    """Nobody has a say in their own erasure."""

    code = "own-erasure"
    advice = "You may ask for it, and withdraw that; everything else another administrator does."


def decide(command: SubjectCommand, state: SubjectState) -> tuple[SubjectEvent, ...]:
    """Say what ``command`` causes.

    Raises:
        ReasonMissing: it does not say why.
        RuleViolation: the state forbids it.
        NotFound: there is no such hold.
        Refused: only administrators may, and it takes two of them.
        Unauthenticated: the asking person's session has ended, or their second factor must be proven again.
    """
    by = require_or_operator(command.by, ADMINS)
    match command:
        case RequestErasure():
            return (_request(command, state, by),)
        case WithdrawErasure():
            return (_withdraw(command, state),)
        case RefuseErasure():
            return (_refuse(command, state),)
        case ApproveErasure():
            return (_approve(command, state),)
        case PlaceHold():
            return (_place(command, state, by),)
        case LiftHold():
            return (_lift(command, state, by),)
        case _:
            assert_never(command)


def _request(command: RequestErasure, state: SubjectState, by: PersonId | None) -> ErasureRequested:
    if isinstance(state, Requested):
        raise ErasureAlreadyRequested
    _must_be_kept(command, state)
    _must_say_why(command.reason)
    require_fresh_factor_if_any(command.by, command.now)
    return ErasureRequested(
        at=command.now,
        kind=command.about.kind,
        subject=command.about.subject,
        basis=command.basis,
        by=by,
        reason=command.reason,
    )


def _withdraw(command: WithdrawErasure, state: SubjectState) -> ErasureWithdrawn:
    request = _open_request(state)
    if request.by != command.by.person:
        raise NotItsRequester
    _must_say_why(command.reason)
    return ErasureWithdrawn(at=command.now, by=command.by.person, reason=command.reason)


def _refuse(command: RefuseErasure, state: SubjectState) -> ErasureRefused:
    request = _open_request(state)
    if request.by == command.by.person:
        raise RefusedByItsRequester
    _must_be_another(command.by, command.about)
    _must_say_why(command.reason)
    return ErasureRefused(at=command.now, by=command.by.person, reason=command.reason)


def _approve(command: ApproveErasure, state: SubjectState) -> SubjectErased:
    request = _open_request(state)
    if request.by == command.by.person:
        raise ApprovedByItsRequester
    _must_be_another(command.by, command.about)
    if request.holds:
        raise LegalHold(holds=len(request.holds))
    if command.is_active:
        raise AccountStillActive
    require_fresh_factor_if_any(command.by, command.now)
    return SubjectErased(
        at=command.now,
        kind=command.about.kind,
        subject=command.about.subject,
        basis=request.basis,
        requested_by=request.by,
        approved_by=command.by.person,
        removed=command.removed,
    )


def _place(command: PlaceHold, state: SubjectState, by: PersonId | None) -> LegalHoldPlaced:
    _must_be_kept(command, state)
    _must_be_another(command.by, command.about)
    holds = holds_of(state)
    if command.hold in (hold.hold for hold in holds):
        raise HoldExists
    if len(holds) >= MOST_HOLDS:
        raise TooManyHolds
    _must_say_why(command.reason)
    return LegalHoldPlaced(
        at=command.now,
        kind=command.about.kind,
        subject=command.about.subject,
        hold=command.hold,
        by=by,
        reason=command.reason,
    )


def _lift(command: LiftHold, state: SubjectState, by: PersonId | None) -> LegalHoldLifted:
    kept = _not_erased(state)
    _must_be_another(command.by, command.about)
    if command.hold not in (hold.hold for hold in kept.holds):
        raise HoldNotFound
    _must_say_why(command.reason)
    require_fresh_factor_if_any(command.by, command.now)
    return LegalHoldLifted(at=command.now, hold=command.hold, by=by, reason=command.reason)


def _must_be_kept(command: RequestErasure | PlaceHold, state: SubjectState) -> None:
    """Refuse once it is erased: a person never comes back as themself, but items may tell of a data subject again."""
    is_back = command.about.kind is SubjectKind.DATA_SUBJECT and command.is_kept
    if isinstance(state, Erased) and not is_back:
        raise AlreadyErased


def _not_erased(state: SubjectState) -> Kept | Requested:
    if isinstance(state, Erased):
        raise AlreadyErased
    return state


def _open_request(state: SubjectState) -> Requested:
    kept = _not_erased(state)
    if not isinstance(kept, Requested):
        raise NoErasureRequested
    return kept


def _must_be_another(by: Authority | None, about: Subject) -> None:
    """Refuse whoever it is about: what protects or forgets them is for others to say."""
    if by is not None and about.kind is SubjectKind.PERSON and SubjectId(by.person) == about.subject:
        raise OwnErasure


def _must_say_why(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissing


SUBJECT: Final = Decider[SubjectCommand, SubjectState, SubjectEvent](
    category="subject",
    event_types=get_args(SubjectEvent),
    state_type=SubjectState,
    initial=Kept(),
    decide=decide,
    evolve=evolve,
)
"""The Subject aggregate, as a value."""

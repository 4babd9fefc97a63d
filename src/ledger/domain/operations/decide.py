"""What a command does to a projection: the event it causes, or the reason why not."""

from typing import Final, TypedDict, assert_never, get_args

from ledger.domain.authority import ADMINS, require_or_operator
from ledger.domain.decider import Decider
from ledger.domain.errors import Invalid, ReasonMissing, RuleViolation
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId, Position
from ledger.domain.operations.commands import (
    CancelRebuild,
    FailRebuild,
    FixFailure,
    OperationsCommand,
    PauseProjection,
    ReplayRange,
    ResetProjection,
    ResumeProjection,
    RetryFailure,
    RollBackRebuild,
    SkipFailure,
    StartRebuild,
    SwitchRebuild,
    Wish,
)
from ledger.domain.operations.events import (
    FailureFixed,
    FailureRetried,
    FailureSkipped,
    OperationsEvent,
    ProjectionPaused,
    ProjectionReset,
    ProjectionResumed,
    RangeReplayed,
    RebuildCancelled,
    RebuildFailed,
    RebuildStarted,
    RebuildSwitched,
    RollbackStarted,
)
from ledger.domain.operations.state import (
    OperationsState,
    Paused,
    Running,
    Switched,
    UnderWay,
    evolve,
)


class ProjectionState(RuleViolation):
    """The projection's state forbids it."""

    code = "projection-state"


class AlreadyPaused(ProjectionState):
    """The projection is already paused."""

    code = "already-paused"


class NotPaused(ProjectionState):
    """The projection is not paused."""

    code = "not-paused"


class RebuildUnderWay(ProjectionState):
    """A rebuild of the projection is under way."""

    code = "rebuild-under-way"
    advice = "Wait until it is done, or cancel it."


class NoRebuildUnderWay(ProjectionState):
    """No rebuild of the projection is under way."""

    code = "no-rebuild-under-way"


class NothingToRollBack(ProjectionState):
    """There is no rebuild to roll back."""

    code = "nothing-to-roll-back"
    advice = "The rows of before a rebuild are kept until the next one begins."


class BadRange(Invalid):
    """The range does not lie in the log."""

    code = "bad-range"
    advice = "The first position is at least 1, the last at least the first and at most the head."


def decide(command: OperationsCommand, state: OperationsState) -> tuple[OperationsEvent, ...]:
    """Say what ``command`` causes.

    Raises:
        ProjectionState: what was done before forbids it.
        BadRange: the positions to replay are not in the log.
        ReasonMissing: an event is to be given up without a reason, or the reason for anything is white space.
        Refused: only an administrator may, or the operator of the machine.
        Unauthenticated: the asking person's session has ended.
    """
    if not isinstance(command, SwitchRebuild | FailRebuild) and command.reason.isspace():
        raise ReasonMissing
    match command:
        case PauseProjection() | ResumeProjection():
            return _follow(command, state)
        case ReplayRange():
            return _replay(command)
        case RetryFailure() | SkipFailure() | FixFailure():
            return _resolve(command)
        case _:
            return _rebuild(command, state)


def _follow(command: PauseProjection | ResumeProjection, state: OperationsState) -> tuple[OperationsEvent]:
    by = require_or_operator(command.by, ADMINS)
    if isinstance(command, PauseProjection):
        if isinstance(state, Paused):
            raise AlreadyPaused(projection=command.projection)
        fact: type[ProjectionPaused | ProjectionResumed] = ProjectionPaused
    else:
        if isinstance(state, Running):
            raise NotPaused(projection=command.projection)
        fact = ProjectionResumed
    done = fact(
        **_about(command),
        by=by,
        reason=command.reason,
    )
    return (done,)


def _replay(command: ReplayRange) -> tuple[OperationsEvent]:
    by = require_or_operator(command.by, ADMINS)
    require_range(command.first, command.last, head=command.head)
    replayed = RangeReplayed(
        **_about(command),
        by=by,
        reason=command.reason,
        first=command.first,
        last=command.last,
        sequences=command.sequences,
        events_replayed=command.events_replayed,
        events_skipped=command.events_skipped,
        events_failed=command.events_failed,
    )
    return (replayed,)


def require_range(first: int, last: int, *, head: Position) -> None:
    """Refuse positions that are not in a log that ends at ``head``.

    Raises:
        BadRange: naming all three.
    """
    if not 1 <= first <= last <= head:
        raise BadRange(first=first, last=last, head=head)


def _resolve(command: RetryFailure | SkipFailure | FixFailure) -> tuple[OperationsEvent]:
    by = require_or_operator(command.by, ADMINS)
    if isinstance(command, RetryFailure):
        return (_retried(command, by),)
    if not command.reason.strip():
        raise ReasonMissing
    given_up: type[FailureSkipped | FailureFixed]
    given_up = FailureSkipped if isinstance(command, SkipFailure) else FailureFixed
    done = given_up(
        **_about(command),
        by=by,
        reason=command.reason,
        failure=command.failure,
        event=command.event,
        events_applied=command.events_applied,
    )
    return (done,)


def _retried(command: RetryFailure, by: PersonId | None) -> FailureRetried:
    return FailureRetried(
        **_about(command),
        by=by,
        reason=command.reason,
        failure=command.failure,
        event=command.event,
        is_resolved=command.is_resolved,
        events_applied=command.events_applied,
    )


def _rebuild(
    command: ResetProjection | StartRebuild | SwitchRebuild | CancelRebuild | FailRebuild | RollBackRebuild,
    state: OperationsState,
) -> tuple[OperationsEvent]:
    match command:
        case ResetProjection() | StartRebuild():
            return _begin(command, state)
        case SwitchRebuild() | FailRebuild():
            return _end(command, state)
        case CancelRebuild():
            return _cancel(command, state)
        case RollBackRebuild():
            return _roll_back(command, state)
        case _:
            assert_never(command)


def _begin(command: ResetProjection | StartRebuild, state: OperationsState) -> tuple[OperationsEvent]:
    by = require_or_operator(command.by, ADMINS)
    if isinstance(state.rebuild, UnderWay):
        raise RebuildUnderWay(projection=command.projection)
    begun: type[ProjectionReset | RebuildStarted]
    begun = ProjectionReset if isinstance(command, ResetProjection) else RebuildStarted
    done = begun(
        **_about(command),
        by=by,
        reason=command.reason,
        rebuild=command.rebuild,
        accept_failures=command.accept_failures,
    )
    return (done,)


def _end(command: SwitchRebuild | FailRebuild, state: OperationsState) -> tuple[OperationsEvent]:
    """Let the service end the very rebuild it worked on, and no other that was begun meanwhile."""
    under_way = _under_way(command.projection, state)
    if under_way.rebuild != command.rebuild:
        raise NoRebuildUnderWay(projection=command.projection)
    if isinstance(command, SwitchRebuild):
        return (_switched(command, under_way.by),)
    failed = RebuildFailed(
        **_about(command),
        rebuild=command.rebuild,
        reason=command.reason,
    )
    return (failed,)


def _switched(command: SwitchRebuild, by: PersonId | None) -> RebuildSwitched:
    return RebuildSwitched(
        **_about(command),
        by=by,
        rebuild=command.rebuild,
        position=command.position,
        events_applied=command.events_applied,
        events_parked=command.events_parked,
        diff=command.diff,
    )


def _cancel(command: CancelRebuild, state: OperationsState) -> tuple[OperationsEvent]:
    by = require_or_operator(command.by, ADMINS)
    cancelled = RebuildCancelled(
        **_about(command),
        by=by,
        reason=command.reason,
        rebuild=_under_way(command.projection, state).rebuild,
    )
    return (cancelled,)


def _roll_back(command: RollBackRebuild, state: OperationsState) -> tuple[OperationsEvent]:
    by = require_or_operator(command.by, ADMINS)
    if isinstance(state.rebuild, UnderWay):
        raise RebuildUnderWay(projection=command.projection)
    if not isinstance(state.rebuild, Switched):
        raise NothingToRollBack(projection=command.projection)
    begun = RollbackStarted(
        **_about(command),
        by=by,
        reason=command.reason,
        rebuild=command.rebuild,
        of=state.rebuild.rebuild,
        accept_failures=command.accept_failures,
    )
    return (begun,)


def _under_way(projection: str, state: OperationsState) -> UnderWay:
    if not isinstance(state.rebuild, UnderWay):
        raise NoRebuildUnderWay(projection=projection)
    return state.rebuild


class _About(TypedDict):
    at: Utc
    projection: str
    projection_version: int


def _about(command: Wish) -> _About:
    """Say what every event says first: when, and of which version of which projection."""
    return _About(
        at=command.now, projection=command.projection, projection_version=command.projection_version
    )


OPERATIONS: Final = Decider[OperationsCommand, OperationsState, OperationsEvent](
    category="operations",
    event_types=get_args(OperationsEvent),
    state_type=OperationsState,
    initial=Running(),
    decide=decide,
    evolve=evolve,
    version=2,
)
"""The Operations aggregate, as a value."""

"""What has been done to a projection, as far as it decides what may be done next.

The legal moves, by state and command; ``refused`` says that it never can. Where events are listed, the guards
in ``decide`` may still refuse. ``tests/domain/test_legal_moves.py`` walks it.

    Running  PauseProjection   ProjectionPaused
    Running  ResumeProjection  refused NotPaused
    Running  ReplayRange       RangeReplayed
    Running  RetryFailure      FailureRetried
    Running  SkipFailure       FailureSkipped
    Running  FixFailure        FailureFixed
    Running  ResetProjection   ProjectionReset
    Running  StartRebuild      RebuildStarted
    Running  SwitchRebuild     RebuildSwitched
    Running  CancelRebuild     RebuildCancelled
    Running  FailRebuild       RebuildFailed
    Running  RollBackRebuild   RollbackStarted
    Paused   PauseProjection   refused AlreadyPaused
    Paused   ResumeProjection  ProjectionResumed
    Paused   ReplayRange       RangeReplayed
    Paused   RetryFailure      FailureRetried
    Paused   SkipFailure       FailureSkipped
    Paused   FixFailure        FailureFixed
    Paused   ResetProjection   ProjectionReset
    Paused   StartRebuild      RebuildStarted
    Paused   SwitchRebuild     RebuildSwitched
    Paused   CancelRebuild     RebuildCancelled
    Paused   FailRebuild       RebuildFailed
    Paused   RollBackRebuild   RollbackStarted

A rebuild is under way, or it has switched and can be rolled back, or there is none of either; that is so
beside running and pausing, and the guards look at it.
"""

from typing import TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.ids import PersonId, RebuildId
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


class NoRebuild(msgspec.Struct, frozen=True, tag="none"):
    """None is under way, and there is nothing to roll back to."""


class UnderWay(msgspec.Struct, frozen=True, kw_only=True, tag="under-way"):
    """The projection is being made anew; ``by`` asked for it (``None``: the operator of the machine).

    ``undoes`` is the rebuild that a rollback takes back: its rows stay kept until it has (``None``: it is no rollback).
    """

    rebuild: RebuildId
    by: PersonId | None
    undoes: RebuildId | None = None


class Switched(msgspec.Struct, frozen=True, kw_only=True, tag="switched"):
    """The rows of before are kept, and may serve again."""

    rebuild: RebuildId


Rebuild: TypeAlias = NoRebuild | UnderWay | Switched


class Running(msgspec.Struct, frozen=True, kw_only=True, tag="running"):
    """It follows the log."""

    rebuild: Rebuild = NoRebuild()


class Paused(msgspec.Struct, frozen=True, kw_only=True, tag="paused"):
    """Somebody stopped it where it is."""

    rebuild: Rebuild = NoRebuild()


OperationsState: TypeAlias = Running | Paused


def evolve(state: OperationsState, event: OperationsEvent) -> OperationsState:
    """Apply what happened."""
    match event:
        case ProjectionPaused():
            return Paused(rebuild=state.rebuild)
        case ProjectionResumed():
            return Running(rebuild=state.rebuild)
        case RangeReplayed() | FailureRetried() | FailureSkipped() | FailureFixed():
            return state
        case ProjectionReset() | RebuildStarted() | RollbackStarted():
            undoes = event.of if isinstance(event, RollbackStarted) else None
            return replace(state, rebuild=UnderWay(rebuild=event.rebuild, by=event.by, undoes=undoes))
        case RebuildSwitched():
            return replace(state, rebuild=Switched(rebuild=event.rebuild))
        case RebuildCancelled() | RebuildFailed():
            return replace(state, rebuild=_before(state.rebuild))
        case _:
            assert_never(event)


def _before(rebuild: Rebuild) -> Rebuild:
    """Say what is left of a rebuild that came to nothing: a rollback puts the kept rows back."""
    if isinstance(rebuild, UnderWay) and rebuild.undoes is not None:
        return Switched(rebuild=rebuild.undoes)
    return NoRebuild()

"""What was done to a projection and what somebody wants done: ``paused(by=ADA)``, ``skip(reason="known")``."""

from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from ledger.domain.authority import Authority
from ledger.domain.ids import EventId, FailureId, PersonId, Position, RebuildId
from ledger.domain.operations import commands, events
from ledger.domain.operations.events import TableDiff
from tests.builders.people import ADA, NOW, acting

REBUILD: Final = RebuildId(UUID(int=70))
ROLLBACK: Final = RebuildId(UUID(int=73))
FAILURE: Final = FailureId(UUID(int=71))
CULPRIT: Final = EventId(UUID(int=72))
QUEUE_V1: Final = {"projection": "queue", "projection_version": 1}
DIFF: Final = (
    TableDiff(table="queue_v1", rows_before=5, rows_after=4, only_before=1, only_after=0, differing=2),
)
COUNTS: Final = {"sequences": 2, "events_replayed": 7, "events_skipped": 1, "events_failed": 0}

E = TypeVar("E", bound=events.Act)
W = TypeVar("W", bound=commands.Wish)


def _act(kind: type[E], by: PersonId | None, reason: str, at: datetime, **facts: object) -> E:
    return kind(at=at, by=by, reason=reason, **QUEUE_V1, **facts)


def _wish(kind: type[W], by: PersonId | Authority | None, reason: str, now: datetime, **facts: object) -> W:
    return kind(now=now, by=None if by is None else acting(by), reason=reason, **QUEUE_V1, **facts)


def paused(*, by: PersonId | None = ADA, reason: str = "", at: datetime = NOW) -> events.ProjectionPaused:
    return _act(events.ProjectionPaused, by, reason, at)


def resumed(*, by: PersonId | None = ADA, reason: str = "", at: datetime = NOW) -> events.ProjectionResumed:
    return _act(events.ProjectionResumed, by, reason, at)


def replayed(
    first: int = 1, last: int = 9, *, by: PersonId | None = ADA, reason: str = "", at: datetime = NOW
) -> events.RangeReplayed:
    return _act(events.RangeReplayed, by, reason, at, first=first, last=last, **COUNTS)


def retried(
    *, by: PersonId | None = ADA, reason: str = "", is_resolved: bool = True, at: datetime = NOW
) -> events.FailureRetried:
    facts = {"failure": FAILURE, "event": CULPRIT, "is_resolved": is_resolved, "events_applied": 3}
    return _act(events.FailureRetried, by, reason, at, **facts)


def skipped(
    *, by: PersonId | None = ADA, reason: str = "a test", at: datetime = NOW
) -> events.FailureSkipped:
    return _act(events.FailureSkipped, by, reason, at, failure=FAILURE, event=CULPRIT, events_applied=3)


def fixed(*, by: PersonId | None = ADA, reason: str = "by hand", at: datetime = NOW) -> events.FailureFixed:
    return _act(events.FailureFixed, by, reason, at, failure=FAILURE, event=CULPRIT, events_applied=3)


def was_reset(
    *, by: PersonId | None = ADA, rebuild: RebuildId = REBUILD, at: datetime = NOW
) -> events.ProjectionReset:
    return _act(events.ProjectionReset, by, "", at, rebuild=rebuild, accept_failures=False)


def rebuild_started(
    *, by: PersonId | None = ADA, rebuild: RebuildId = REBUILD, at: datetime = NOW
) -> events.RebuildStarted:
    return _act(events.RebuildStarted, by, "", at, rebuild=rebuild, accept_failures=False)


def rebuild_switched(
    *, by: PersonId | None = ADA, rebuild: RebuildId = REBUILD, at: datetime = NOW
) -> events.RebuildSwitched:
    return events.RebuildSwitched(
        at=at,
        by=by,
        rebuild=rebuild,
        position=Position(9),
        events_applied=8,
        events_parked=0,
        diff=DIFF,
        **QUEUE_V1,
    )


def rebuild_cancelled(
    *, by: PersonId | None = ADA, reason: str = "", at: datetime = NOW
) -> events.RebuildCancelled:
    return _act(events.RebuildCancelled, by, reason, at, rebuild=REBUILD)


def rebuild_failed(
    *, rebuild: RebuildId = REBUILD, reason: str = "an event fails", at: datetime = NOW
) -> events.RebuildFailed:
    return events.RebuildFailed(at=at, rebuild=rebuild, reason=reason, **QUEUE_V1)


def rollback_started(
    *, by: PersonId | None = ADA, reason: str = "", at: datetime = NOW
) -> events.RollbackStarted:
    facts = {"rebuild": ROLLBACK, "of": REBUILD, "accept_failures": False}
    return _act(events.RollbackStarted, by, reason, at, **facts)


def pause(
    *, by: PersonId | Authority | None = ADA, reason: str = "", now: datetime = NOW
) -> commands.PauseProjection:
    return _wish(commands.PauseProjection, by, reason, now)


def resume(
    *, by: PersonId | Authority | None = ADA, reason: str = "", now: datetime = NOW
) -> commands.ResumeProjection:
    return _wish(commands.ResumeProjection, by, reason, now)


def replay(
    first: int = 1,
    last: int = 9,
    *,
    head: int = 9,
    by: PersonId | Authority | None = ADA,
    reason: str = "",
    now: datetime = NOW,
) -> commands.ReplayRange:
    return _wish(commands.ReplayRange, by, reason, now, first=first, last=last, head=head, **COUNTS)


def retry(
    *,
    by: PersonId | Authority | None = ADA,
    reason: str = "",
    is_resolved: bool = True,
    now: datetime = NOW,
) -> commands.RetryFailure:
    facts = {"failure": FAILURE, "event": CULPRIT, "is_resolved": is_resolved, "events_applied": 3}
    return _wish(commands.RetryFailure, by, reason, now, **facts)


def skip(
    *, by: PersonId | Authority | None = ADA, reason: str = "a test", now: datetime = NOW
) -> commands.SkipFailure:
    return _wish(commands.SkipFailure, by, reason, now, failure=FAILURE, event=CULPRIT, events_applied=3)


def fix(
    *, by: PersonId | Authority | None = ADA, reason: str = "by hand", now: datetime = NOW
) -> commands.FixFailure:
    return _wish(commands.FixFailure, by, reason, now, failure=FAILURE, event=CULPRIT, events_applied=3)


def reset(
    *,
    by: PersonId | Authority | None = ADA,
    reason: str = "",
    rebuild: RebuildId = REBUILD,
    now: datetime = NOW,
) -> commands.ResetProjection:
    return _wish(commands.ResetProjection, by, reason, now, rebuild=rebuild, accept_failures=False)


def start_rebuild(
    *,
    by: PersonId | Authority | None = ADA,
    reason: str = "",
    rebuild: RebuildId = REBUILD,
    now: datetime = NOW,
) -> commands.StartRebuild:
    return _wish(commands.StartRebuild, by, reason, now, rebuild=rebuild, accept_failures=False)


def switch_rebuild(*, rebuild: RebuildId = REBUILD, now: datetime = NOW) -> commands.SwitchRebuild:
    return commands.SwitchRebuild(
        now=now,
        rebuild=rebuild,
        position=Position(9),
        events_applied=8,
        events_parked=0,
        diff=DIFF,
        **QUEUE_V1,
    )


def cancel_rebuild(
    *, by: PersonId | Authority | None = ADA, reason: str = "", now: datetime = NOW
) -> commands.CancelRebuild:
    return _wish(commands.CancelRebuild, by, reason, now)


def fail_rebuild(
    *, rebuild: RebuildId = REBUILD, reason: str = "an event fails", now: datetime = NOW
) -> commands.FailRebuild:
    return commands.FailRebuild(now=now, rebuild=rebuild, reason=reason, **QUEUE_V1)


def roll_back(
    *, by: PersonId | Authority | None = ADA, reason: str = "", now: datetime = NOW
) -> commands.RollBackRebuild:
    return _wish(commands.RollBackRebuild, by, reason, now, rebuild=ROLLBACK, accept_failures=False)

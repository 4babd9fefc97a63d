"""The bodies of the calls about projections, in and out; names are the wire contract's."""

from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from ledger.domain.event import Utc
from ledger.operations.mending import Mended, Wish
from ledger.operations.replaying import Replayed as Done
from ledger.projections.failures import Failure, Resolution
from ledger.projections.rehearsal import Rehearsed, RowChange
from ledger.projections.replay import Replay
from ledger.projections.reports import HealthStatus, Report, worst
from ledger.projections.retries import Retried

Why = Annotated[str, msgspec.Meta(max_length=65_536)]
Place = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class ProjectionsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """All projections at a glance."""

    overall_status: HealthStatus
    total_projections: int
    healthy_projections: int
    degraded_projections: int
    critical_projections: int
    offline_projections: int
    total_active_failures: int
    total_events_processed: int
    timestamp: Utc


class ProjectionState(msgspec.Struct, frozen=True, kw_only=True):
    """One projection: applied, not wanted, parked and skipped events add up to ``position``.

    ``is_alive``: some process feeds it right now; ``state`` is what that one does.
    """

    projection_name: str
    health_status: HealthStatus
    total_events_processed: int
    total_failures: int
    active_failures: int
    last_success_at: Utc | None
    last_failure_at: Utc | None
    lag_seconds: float
    lag_events: int
    position: int
    head: int
    version: int
    is_alive: bool
    is_paused: bool
    state: str
    error: str | None
    events_not_wanted: int
    events_parked: int
    events_skipped: int
    oldest_parked_seconds: float | None


class CheckpointState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a projection has come; the last event is ``None`` before the first."""

    projection_name: str
    last_event_id: UUID | None
    last_event_type: str | None
    last_event_sequence: int
    events_processed: int
    checkpoint_at: Utc | None


class FailureState(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be applied; its error's words may quote what was submitted."""

    id: UUID
    projection_name: str
    event_id: UUID
    event_type: str
    event_sequence: int
    stream: str
    error_type: str
    error_message: str
    category: str
    attempts: int
    followers: int
    failed_at: Utc
    last_seen_at: Utc
    next_retry_at: Utc | None
    resolved_at: Utc | None
    state: str
    resolution_method: str | None
    reason: str | None
    fingerprint: str
    schema_version: int
    code_version: str


class OptionalReason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done."""

    reason: Why = ""


class ReplayAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Positions to replay, both included; by default from the first to the last.

    ``skip_failed``: what was given up before stays so; else it is tried again.
    """

    from_sequence: Place | None = None
    to_sequence: Place | None = None
    skip_failed: bool = True
    dry_run: bool = False
    reason: Why = ""


class ResolutionAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a failure; skipping and mending by hand need a reason."""

    compensation_strategy: Literal["retry", "skip", "manual_fix"]
    reason: Why = ""
    dry_run: bool = False


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did, or would do (``dry_run``, with the first rows that it would change)."""

    projection_name: str
    events_replayed: int
    events_skipped: int
    events_failed: int
    started_at: Utc
    completed_at: Utc
    status: str
    sequences: int
    dry_run: bool = False
    rows_changed: int | None = None
    changes: tuple[RowChange, ...] | None = None


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; ``resolved_at`` is ``None`` while it is not resolved."""

    status: str
    failure_id: UUID
    projection_name: str
    resolution_method: str | None
    message: str
    resolved_at: Utc | None
    events_applied: int
    dry_run: bool = False
    rows_changed: int | None = None
    changes: tuple[RowChange, ...] | None = None


class Switched(msgspec.Struct, frozen=True, kw_only=True):
    """A projection was paused or resumed."""

    status: str
    message: str
    projection_name: str


def status_of(reports: tuple[Report, ...], now: Utc) -> ProjectionsStatus:
    """Sum up; the worst projection decides about all."""
    statuses = [report.status() for report in reports]
    return ProjectionsStatus(
        overall_status=worst(statuses),
        total_projections=len(reports),
        healthy_projections=statuses.count(HealthStatus.HEALTHY),
        degraded_projections=statuses.count(HealthStatus.DEGRADED),
        critical_projections=statuses.count(HealthStatus.CRITICAL),
        offline_projections=statuses.count(HealthStatus.OFFLINE),
        total_active_failures=sum(report.active_failures for report in reports),
        total_events_processed=sum(report.applied for report in reports),
        timestamp=now,
    )


def state_of(report: Report) -> ProjectionState:
    """Tell how one is doing."""
    return ProjectionState(
        projection_name=report.name,
        health_status=report.status(),
        total_events_processed=report.applied,
        total_failures=report.total_failures,
        active_failures=report.active_failures,
        last_success_at=report.checkpoint_at,
        last_failure_at=report.last_failure_at,
        lag_seconds=round(report.lag_seconds, 3),
        lag_events=report.lag_events(),
        position=report.position,
        head=report.head,
        version=report.version,
        is_alive=report.is_alive,
        is_paused=report.paused_at is not None,
        state=report.doing(),
        error=report.error,
        events_not_wanted=report.not_wanted,
        events_parked=report.parked,
        events_skipped=report.skipped,
        oldest_parked_seconds=report.oldest_parked_seconds,
    )


def checkpoint_of(report: Report) -> CheckpointState:
    """Tell how far one has come."""
    return CheckpointState(
        projection_name=report.name,
        last_event_id=report.last_event_id,
        last_event_type=report.last_event_type,
        last_event_sequence=report.position,
        events_processed=report.applied,
        checkpoint_at=report.checkpoint_at,
    )


def failure_of(failure: Failure) -> FailureState:
    """Tell of one failure."""
    return FailureState(
        id=failure.failure_id,
        projection_name=failure.projection,
        event_id=failure.event_id,
        event_type=failure.event_type,
        event_sequence=failure.position,
        stream=failure.stream,
        error_type=failure.error_type,
        error_message=failure.error_message,
        category=failure.category.value,
        attempts=failure.attempts,
        followers=failure.followers,
        failed_at=failure.first_seen_at,
        last_seen_at=failure.last_seen_at,
        next_retry_at=failure.next_retry_at,
        resolved_at=failure.resolved_at,
        state=failure.state.value,
        resolution_method=None if failure.resolution is None else failure.resolution.value,
        reason=failure.reason,
        fingerprint=failure.fingerprint,
        schema_version=failure.schema_version,
        code_version=failure.code_version,
    )


def replayed(done: Done) -> Replayed:
    """Tell what a replay did."""
    return Replayed(
        projection_name=done.projection,
        events_replayed=done.counts.replayed,
        events_skipped=done.counts.skipped,
        events_failed=done.counts.failed,
        started_at=done.started_at,
        completed_at=done.completed_at,
        status=_how(done.counts),
        sequences=done.counts.sequences,
    )


def would_replay(name: str, tried: Rehearsed[Replay], *, started_at: Utc, completed_at: Utc) -> Replayed:
    """Tell what a replay would do."""
    return Replayed(
        projection_name=name,
        events_replayed=tried.done.replayed,
        events_skipped=tried.done.skipped,
        events_failed=tried.done.failed,
        started_at=started_at,
        completed_at=completed_at,
        status=_how(tried.done),
        sequences=tried.done.sequences,
        dry_run=True,
        rows_changed=tried.rows_changed,
        changes=tried.changes,
    )


def _how(counts: Replay) -> str:
    return "completed_with_failures" if counts.failed else "completed"


MESSAGES: Final = {
    Resolution.MANUAL_REPLAY: "Applied, with what waited behind it",
    Resolution.MANUAL_SKIP: "Skipped; what waited behind it goes on",
    Resolution.MANUAL_FIX: "Taken as mended by hand; what waited behind it goes on",
}


def resolved(done: Mended) -> Resolved:
    """Tell what came of a repair."""
    is_resolved = done.resolved_at is not None
    return Resolved(
        status="resolved" if is_resolved else "failed",
        failure_id=done.failure,
        projection_name=done.projection,
        resolution_method=done.way.value if is_resolved else None,
        message=MESSAGES.get(done.way, "") if is_resolved else "It failed again, and stays parked",
        resolved_at=done.resolved_at,
        events_applied=done.events_applied,
    )


def would_resolve(wish: Wish, tried: Rehearsed[Retried]) -> Resolved:
    """Tell what would come of a repair."""
    done = tried.done
    if done.blocked is None:
        message = "It would be resolved, and nothing of its sequence left parked"
    else:
        fault, culprit = done.blocked.fault, done.blocked.culprit
        message = f"The event at {culprit.position} would fail: {fault.error_type}: {fault.message}"
    return Resolved(
        status="would_resolve" if done.is_resolved else "would_fail",
        failure_id=wish.failure,
        projection_name=done.failure.projection,
        resolution_method=wish.way.value if done.is_resolved else None,
        message=message,
        resolved_at=None,
        events_applied=done.applied,
        dry_run=True,
        rows_changed=tried.rows_changed,
        changes=tried.changes,
    )

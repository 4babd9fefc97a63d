"""The bodies of the calls about projections, in and out; names are the wire contract's."""

from uuid import UUID

import msgspec

from ledger.domain.event import Utc
from ledger.projections.failures import Failure
from ledger.projections.reports import HealthStatus, Report, worst


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

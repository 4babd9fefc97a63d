"""The bodies of the calls that mend projections, in and out; names are the wire contract's."""

from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from ledger.domain.event import Utc
from ledger.operations.mending import Mended, Wish
from ledger.operations.replaying import Replayed as Done
from ledger.projections.failures import Resolution
from ledger.projections.rehearsal import Rehearsed, RowChange
from ledger.projections.replay import Replay
from ledger.projections.retries import Retried

Why = Annotated[str, msgspec.Meta(max_length=65_536)]
Place = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class OptionalReason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done."""

    reason: Why = ""


class ReplayAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Positions to replay, both included; by default from the first to the last.

    ``skip_failed``: what was given up before stays so; else it is tried again.
    """

    from_sequence: Place | None = None
    to_sequence: Place | None = None
    skip_failed: bool = True
    dry_run: bool = False
    reason: Why = ""


class ResolutionAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    Resolution.MANUAL_SKIP: "Skipped; what waited behind it has had its turn",
    Resolution.MANUAL_FIX: "Taken as mended by hand; what waited behind it has had its turn",
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

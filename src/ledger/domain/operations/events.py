"""What people, and the service on their behalf, do to a projection: one stream per projection and version.

STORAGE FORMAT. Tags, field names and meanings are in every ledger out there. Add a field only with a
default; anything else is a new schema version and owes an upcaster and a golden file (ADR 0004).

``by`` is ``None`` for the operator of the machine. What the service does by the clock, a retry for example, is
nobody's act and no event.
"""

from typing import TypeAlias

import msgspec

from ledger.domain.event import Event
from ledger.domain.ids import EventId, FailureId, PersonId, Position, RebuildId


class TableDiff(msgspec.Struct, frozen=True, kw_only=True):
    """One table before and after a rebuild: rows, and keys found in one only or with other values in both."""

    table: str
    rows_before: int
    rows_after: int
    only_before: int
    only_after: int
    differing: int


class Act(Event, frozen=True, kw_only=True):
    """Something was done to a projection of one version."""

    projection: str
    projection_version: int


class ProjectionPaused(Act, frozen=True, kw_only=True, tag="projection-paused"):
    """It follows the log no more, until it is resumed."""

    by: PersonId | None
    reason: str


class ProjectionResumed(Act, frozen=True, kw_only=True, tag="projection-resumed"):
    """It follows the log again."""

    by: PersonId | None
    reason: str


class RangeReplayed(Act, frozen=True, kw_only=True, tag="range-replayed"):
    """Whatever has events from ``first`` to ``last`` was removed and folded anew, in full.

    ``sequences`` counts what was folded, ``events_replayed`` what was applied to it, ``events_skipped`` what
    was passed over and ``events_failed`` what could not be applied and is parked.
    """

    by: PersonId | None
    reason: str
    first: Position
    last: Position
    sequences: int
    events_replayed: int
    events_skipped: int
    events_failed: int


class FailureRetried(Act, frozen=True, kw_only=True, tag="failure-retried"):
    """A parked event was tried again by hand, with those behind it; ``is_resolved``: with success."""

    by: PersonId | None
    reason: str
    failure: FailureId
    event: EventId
    is_resolved: bool
    events_applied: int


class FailureSkipped(Act, frozen=True, kw_only=True, tag="failure-skipped"):
    """A parked event will never be applied; ``events_applied`` behind it were."""

    by: PersonId | None
    reason: str
    failure: FailureId
    event: EventId
    events_applied: int


class FailureFixed(Act, frozen=True, kw_only=True, tag="failure-fixed"):
    """Somebody mended by hand what a parked event should have done; ``events_applied`` behind it were."""

    by: PersonId | None
    reason: str
    failure: FailureId
    event: EventId
    events_applied: int


class ProjectionReset(Act, frozen=True, kw_only=True, tag="projection-reset"):
    """It is being made anew without looking back at its rows; these serve until the new ones are level."""

    by: PersonId | None
    reason: str
    rebuild: RebuildId
    accept_failures: bool


class RebuildStarted(Act, frozen=True, kw_only=True, tag="rebuild-started"):
    """It is being made anew beside its rows, to be compared with them."""

    by: PersonId | None
    reason: str
    rebuild: RebuildId
    accept_failures: bool


class RebuildSwitched(Act, frozen=True, kw_only=True, tag="rebuild-switched"):
    """The new rows serve, level with the old ones at ``position``.

    ``by`` asked for it. ``events_applied`` and ``events_parked`` account for the new rows. ``diff`` is how old and
    new differed when they were compared (empty: a reset or a rollback, nobody compared).
    """

    by: PersonId | None
    rebuild: RebuildId
    position: Position
    events_applied: int
    events_parked: int
    diff: tuple[TableDiff, ...]


class RebuildCancelled(Act, frozen=True, kw_only=True, tag="rebuild-cancelled"):
    """Somebody stopped it; the old rows go on serving."""

    by: PersonId | None
    reason: str
    rebuild: RebuildId


class RebuildFailed(Act, frozen=True, kw_only=True, tag="rebuild-failed"):
    """The service gave it up for ``reason``; the old rows go on serving."""

    rebuild: RebuildId
    reason: str


class RollbackStarted(Act, frozen=True, kw_only=True, tag="rollback-started"):
    """The rows of before the switch of rebuild ``of`` are being brought level, to serve again."""

    by: PersonId | None
    reason: str
    rebuild: RebuildId
    of: RebuildId
    accept_failures: bool


OperationsEvent: TypeAlias = (
    ProjectionPaused
    | ProjectionResumed
    | RangeReplayed
    | FailureRetried
    | FailureSkipped
    | FailureFixed
    | ProjectionReset
    | RebuildStarted
    | RebuildSwitched
    | RebuildCancelled
    | RebuildFailed
    | RollbackStarted
)

"""What somebody wants of a projection; ``by`` is ``None`` for the operator of the machine.

The counts in a command are those of its effect, which happens in the transaction that records it.
"""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority
from ledger.domain.event import Utc
from ledger.domain.ids import EventId, FailureId, Position, RebuildId
from ledger.domain.operations.events import TableDiff


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Something is wanted of a projection of one version."""

    now: Utc
    projection: str
    projection_version: int


class PauseProjection(Wish, frozen=True, kw_only=True):
    """Let it follow the log no more."""

    by: Authority | None
    reason: str


class ResumeProjection(Wish, frozen=True, kw_only=True):
    """Let it follow the log again."""

    by: Authority | None
    reason: str


class ReplayRange(Wish, frozen=True, kw_only=True):
    """Fold anew whatever has events from ``first`` to ``last``, of a log that ends at ``head``."""

    by: Authority | None
    reason: str
    first: Position
    last: Position
    head: Position
    sequences: int
    events_replayed: int
    events_skipped: int
    events_failed: int


class RetryFailure(Wish, frozen=True, kw_only=True):
    """Try a parked event again, and those behind it."""

    by: Authority | None
    reason: str
    failure: FailureId
    event: EventId
    is_resolved: bool
    events_applied: int


class SkipFailure(Wish, frozen=True, kw_only=True):
    """Never apply a parked event; go on with those behind it."""

    by: Authority | None
    reason: str
    failure: FailureId
    event: EventId
    events_applied: int


class FixFailure(Wish, frozen=True, kw_only=True):
    """Take a parked event as mended by hand; go on with those behind it."""

    by: Authority | None
    reason: str
    failure: FailureId
    event: EventId
    events_applied: int


class ResetProjection(Wish, frozen=True, kw_only=True):
    """Make it anew without looking back at its rows."""

    by: Authority | None
    reason: str
    rebuild: RebuildId
    accept_failures: bool


class StartRebuild(Wish, frozen=True, kw_only=True):
    """Make it anew beside its rows, and compare."""

    by: Authority | None
    reason: str
    rebuild: RebuildId
    accept_failures: bool


class SwitchRebuild(Wish, frozen=True, kw_only=True):
    """Let the new rows serve: they are level. The service does this for whoever began it."""

    rebuild: RebuildId
    position: Position
    events_applied: int
    events_parked: int
    diff: tuple[TableDiff, ...]


class CancelRebuild(Wish, frozen=True, kw_only=True):
    """Stop the one that is under way."""

    by: Authority | None
    reason: str


class FailRebuild(Wish, frozen=True, kw_only=True):
    """Give it up: it cannot be brought to an end. The service does this."""

    rebuild: RebuildId
    reason: str


class RollBackRebuild(Wish, frozen=True, kw_only=True):
    """Let the rows of before the last switch serve again, once they are level."""

    by: Authority | None
    reason: str
    rebuild: RebuildId
    accept_failures: bool


OperationsCommand: TypeAlias = (
    PauseProjection
    | ResumeProjection
    | ReplayRange
    | RetryFailure
    | SkipFailure
    | FixFailure
    | ResetProjection
    | StartRebuild
    | SwitchRebuild
    | CancelRebuild
    | FailRebuild
    | RollBackRebuild
)

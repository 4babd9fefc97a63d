"""The bodies of the calls that rebuild and verify projections, in and out."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec

from ledger.api.projection_wire import FailureState, failure_of
from ledger.domain.event import Utc
from ledger.projections.comparing import Comparison
from ledger.projections.failures import Failure
from ledger.projections.rebuilds import RebuildProgress
from ledger.projections.verifying import Verification

Why = Annotated[str, msgspec.Meta(max_length=65_536)]


class RebuildAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, and whether to switch even if events could not be applied to the new rows: these are parked then."""

    reason: Why = ""
    accept_failures: bool = False


class ResetAsked(msgspec.Struct, frozen=True, kw_only=True):
    """As for a rebuild."""

    reason: Why = ""
    accept_failures: bool = False


class CancelAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is cancelled."""

    reason: Why = ""


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """A reset has begun; ``GET …/rebuild`` tells how far it has come."""

    status: str
    message: str
    projection_name: str
    reset_at: Utc


class RebuildBegun(msgspec.Struct, frozen=True, kw_only=True):
    """A rebuild or a rollback has begun; ``GET …/rebuild`` tells how far it has come."""

    status: str
    message: str
    projection_name: str
    started_at: Utc


class RebuildCancelledAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A rebuild is over; the rows that served go on serving."""

    status: str
    message: str
    projection_name: str
    cancelled_at: Utc


class TableDiff(msgspec.Struct, frozen=True, kw_only=True):
    """One table: rows before and after, and keys found in one only or with other values in both."""

    table: str
    rows_before: int
    rows_after: int
    only_before: int
    only_after: int
    differing: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A key that differs, and the columns in which; ``kind``: ``only before``, ``only after`` or ``differs``."""

    table: str
    kind: str
    key: dict[str, str | None]
    columns: list[str]


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """Old rows beside new ones; ``sample`` names at most 20 differences a table."""

    is_equal: bool
    tables: list[TableDiff]
    sample: list[Difference]


class RebuildState(msgspec.Struct, frozen=True, kw_only=True):
    """The latest rebuild, reset or rollback of a projection.

    ``failures`` are the first events that could not be applied to rows that do not serve (yet). ``target`` is where the rows that serve are; ``events_per_second`` and ``seconds_left`` are ``None`` while nobody
    knows, ``diff`` until it has been made; ``is_worked_on``: a process is at it right now.
    """

    projection_name: str
    rebuild_id: UUID
    kind: str
    status: str
    accept_failures: bool
    asked_at: Utc
    ended_at: Utc | None
    position: int
    target: int
    events_applied: int
    events_parked: int
    events_per_second: float | None
    seconds_left: float | None
    is_worked_on: bool
    error: str | None
    failures: list[FailureState]
    diff: Diff | None


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every position up to ``position``, and what does not add up."""

    position: int
    head: int
    events_applied: int
    events_not_wanted: int
    events_parked: int
    events_skipped: int
    problems: list[str]


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a projection is right: its accounts, and its rows (*before*) beside a fresh fold (*after*).

    ``streams_compared`` is ``None`` when all were; ``streams_left_out`` have parked or skipped events;
    ``streams_unfoldable`` cannot be applied by this release.
    """

    projection_name: str
    version: int
    is_clean: bool
    completeness: Accounts
    streams_compared: int | None
    streams_left_out: int
    streams_unfoldable: list[str]
    events_folded: int
    diff: Diff


def progress_of(name: str, progress: RebuildProgress, failures: Sequence[Failure]) -> RebuildState:
    """Tell how far a rebuild has come."""
    return RebuildState(
        projection_name=name,
        rebuild_id=progress.rebuild,
        kind=progress.kind.value,
        status=progress.state.value,
        accept_failures=progress.accept_failures,
        asked_at=progress.asked_at,
        ended_at=progress.ended_at,
        position=progress.position,
        target=progress.target,
        events_applied=progress.events_applied,
        events_parked=progress.events_parked,
        events_per_second=_rounded(progress.events_per_second),
        seconds_left=_rounded(progress.seconds_left),
        is_worked_on=progress.is_worked_on,
        error=progress.error,
        failures=[failure_of(failure) for failure in failures],
        diff=None if progress.comparison is None else diff_of(progress.comparison),
    )


def diff_of(comparison: Comparison) -> Diff:
    """Tell what differs."""
    return Diff(
        is_equal=comparison.is_equal(),
        tables=[msgspec.convert(table, TableDiff, from_attributes=True) for table in comparison.tables],
        sample=[msgspec.convert(one, Difference, from_attributes=True) for one in comparison.sample],
    )


def verified(found: Verification) -> Verified:
    """Tell what a verification found."""
    account = found.completeness
    return Verified(
        projection_name=found.projection,
        version=found.version,
        is_clean=found.is_clean(),
        completeness=Accounts(
            position=account.position,
            head=account.head,
            events_applied=account.applied,
            events_not_wanted=account.not_wanted,
            events_parked=account.parked,
            events_skipped=account.skipped,
            problems=list(account.problems),
        ),
        streams_compared=found.streams,
        streams_left_out=found.left_out,
        streams_unfoldable=list(found.unfoldable),
        events_folded=found.events,
        diff=diff_of(found.comparison),
    )


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)

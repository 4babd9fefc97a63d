"""``ledger projections``: looking at read models from outside, whether a service runs or not."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias
from uuid import UUID

import msgspec
from cyclopts import Parameter

from ledger.api.projection_wire import FailureState, ProjectionState, failure_of, state_of, status_of
from ledger.cli.operating import overseeing
from ledger.cli.refusals import printable, printable_lines
from ledger.cli.tables import age, print_json, print_table
from ledger.domain.ids import FailureId
from ledger.projections import failures as records
from ledger.projections.catalog import ALL
from ledger.projections.reports import Report, named, report
from ledger.projections.retries import FailureNotFound
from ledger.store.pool import reading
from ledger.store.true_log import read_held_against

Json: TypeAlias = Annotated[bool, Parameter(negative="", help="As JSON, for programs.")]

ALL_WELL, NOT_WELL = 0, 2
LABEL: Final = 18
SHOWN: Final = (
    "failure",
    "projection",
    "stream",
    "position",
    "event",
    "error",
    "followers",
    "tries",
    "next try",
)


class Everything(msgspec.Struct, frozen=True, kw_only=True):
    """What ``status --json`` prints."""

    overall_status: str
    projections: list[ProjectionState]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What ``show --json`` prints; ``event`` is the payload as it is stored, as text where it is no JSON, null where it is gone."""

    failure: FailureState
    traceback: str
    event: msgspec.Raw


def status(name: str | None = None, *, json: Json = False) -> int:
    """Show how each projection is doing, or NAME alone.

    Exit codes: 0 all are healthy, 2 some are not.
    """
    reports = asyncio.run(_reports(name))
    overall = status_of(reports, datetime.now(UTC)).overall_status
    if json:
        print_json(Everything(overall_status=overall, projections=[state_of(one) for one in reports]))
    else:
        _print_states(reports)
        print(f"Overall: {overall}")
    return ALL_WELL if overall == "healthy" else NOT_WELL


def failures(
    name: str | None = None,
    *,
    resolved: Annotated[bool, Parameter(negative="", help="Those that are over, too.")] = False,
    json: Json = False,
) -> int:
    """List the events that could not be applied, of all projections or of NAME.

    Exit codes: 0 there are none, 2 there are some.
    """
    found = asyncio.run(_failures(name, with_resolved=resolved))
    if json:
        print_json(found)
    elif found:
        print_table(SHOWN, [_cells(one) for one in found])
    else:
        print("Nothing is parked.")
    return ALL_WELL if all(one.state == "resolved" for one in found) else NOT_WELL


def show(failure: UUID, *, json: Json = False) -> int:
    """Show a failure with its event, whose payload may be personal, and its traceback."""
    found, payload = asyncio.run(_show(FailureId(failure)))
    if json:
        print_json(Shown(failure=failure_of(found), traceback=found.traceback, event=_event(payload)))
        return 0
    for label, value in msgspec.to_builtins(failure_of(found)).items():
        told = "-" if value is None else printable_lines(str(value), indent=LABEL + 1)
        print(f"{label.replace('_', ' '):<{LABEL}} {told}")
    gone = "The event is in the log no more: somebody removed it."
    told = gone if payload is None else f"The event, as it is stored:\n  {printable(_text(payload))}"
    print(f"\n{told}")
    print("\nThe error:")
    for line in found.traceback.splitlines():
        print(f"  {printable(line)}")
    return 0


def _event(payload: bytes | None) -> msgspec.Raw:
    """Give a payload as JSON; one that is none, which may be why it was parked, as text."""
    try:
        msgspec.json.decode(payload or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.Raw(msgspec.json.encode(_text(payload or b"")))
    return msgspec.Raw(payload or b"null")


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "backslashreplace")


async def _reports(name: str | None) -> tuple[Report, ...]:
    async with overseeing() as ledger, reading(ledger.pool) as conn:
        return await report(conn, ledger.ledger_id, ALL if name is None else [named(name)])


async def _failures(name: str | None, *, with_resolved: bool) -> list[FailureState]:
    feeds = ALL if name is None else (named(name),)
    async with overseeing() as ledger, reading(ledger.pool) as conn:
        return [
            failure_of(one)
            for feed in feeds
            for one in await records.list_of(conn, ledger.ledger_id, feed, with_resolved=with_resolved)
        ]


async def _show(failure: FailureId) -> tuple[records.Failure, bytes | None]:
    async with overseeing() as ledger, reading(ledger.pool) as conn:
        found = await records.find(conn, ledger.ledger_id, failure)
        if found is None:
            raise FailureNotFound(failure=failure)
        events, _ = await read_held_against(conn, ledger.ledger_id, [found.position])
        return found, events[0].payload if events else None


def _print_states(reports: tuple[Report, ...]) -> None:
    columns = ("projection", "health", "state", "position", "behind", "lag", "culprits", "parked", "skipped")
    rows = [
        (
            f"{one.name} v{one.version}",
            one.status(),
            one.why(),
            f"{one.position} of {one.head}",
            one.lag_events(),
            age(one.lag_seconds),
            one.active_failures,
            f"{one.parked} ({age(one.oldest_parked_seconds)})" if one.parked else 0,
            one.skipped,
        )
        for one in reports
    ]
    print_table(columns, rows)


def _cells(one: FailureState) -> tuple[object, ...]:
    return (
        one.id,
        one.projection_name,
        one.stream,
        one.event_sequence,
        one.event_type,
        one.error_type,
        one.followers,
        one.attempts,
        _next(one),
    )


def _next(one: FailureState) -> str:
    if one.resolution_method is not None:
        return one.resolution_method
    return "by a person" if one.next_retry_at is None else f"{one.next_retry_at:%H:%M:%S} UTC"

"""``ledger projections reset | rebuild | verify``: making read models anew, and proving them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from ledger.api.rebuild_wire import Diff, RebuildState, Verified, progress_of, verified
from ledger.cli.operating import operator, overseeing
from ledger.cli.progress import Bar
from ledger.cli.reasons import PerhapsWhy
from ledger.cli.refusals import printable
from ledger.cli.tables import age, print_json, print_table
from ledger.domain.errors import Invalid
from ledger.operations import rebuilding
from ledger.operations.rebuilder import Rebuilder
from ledger.projections import rebuilds
from ledger.projections.catalog import ALL
from ledger.projections.projection import Feed
from ledger.projections.rebuilds import Kind
from ledger.projections.reports import named
from ledger.projections.verifying import SAMPLE
from ledger.projections.verifying import verify as verify_rows
from ledger.store.ledger import Ledger
from ledger.store.pool import reading

Json: TypeAlias = Annotated[bool, Parameter(negative="", help="As JSON, for programs.")]
Wait: TypeAlias = Annotated[
    bool,
    Parameter(negative="", help="Show how it comes on until it is over; work on it if nobody else does."),
]
AcceptFailures: TypeAlias = Annotated[
    bool, Parameter(negative="", help="Switch even if events cannot be applied; they are parked then.")
]

DONE, NOT_WELL = 0, 2
LOOK_EVERY: Final = 0.3
LEFT_TO_SERVICES: Final = 7
"""How often a rebuild is looked at, without anybody at work on it, before we lend a hand: two seconds."""


class SayYes(Invalid):
    """A reset makes every row anew, without a look at what is there."""

    code = "say-yes"
    advice = "Say --yes if that is what you want, or 'rebuild' to see what differs."


class OneAtATime(Invalid):
    """--cancel, --rollback and --show exclude each other."""

    code = "one-at-a-time"


def reset(
    name: str,
    *,
    yes: Annotated[bool, Parameter(negative="", help="Yes, do it.")] = False,
    wait: Wait = False,
    accept_failures: AcceptFailures = False,
    reason: PerhapsWhy = None,
    json: Json = False,
) -> int:
    """Make NAME anew without looking back; its rows serve until the new ones are level.

    Exit codes: 0 begun, or with --wait switched; 2 it ended without a switch.
    """
    if not yes:
        raise SayYes(projection=name)
    return _tell(
        asyncio.run(_ask(name, Kind.RESET, reason=reason or "", accept_failures=accept_failures, wait=wait)),
        json=json,
    )


def rebuild(
    name: str,
    *,
    wait: Wait = False,
    cancel: Annotated[
        bool, Parameter(negative="", help="Stop what is under way; the old rows go on serving.")
    ] = False,
    rollback: Annotated[
        bool, Parameter(negative="", help="Bring back the rows of before the last rebuild, made level.")
    ] = False,
    show: Annotated[bool, Parameter(negative="", help="Only show the latest one.")] = False,
    accept_failures: AcceptFailures = False,
    reason: PerhapsWhy = None,
    json: Json = False,
) -> int:
    """Make NAME anew beside its rows, compare old and new, and switch.

    Exit codes: 0 begun, or with --wait or --show switched; 2 it ended without a switch.
    """
    if cancel + rollback + show > 1:
        raise OneAtATime
    if show:
        return _tell(asyncio.run(_show(name)), json=json)
    if cancel:
        return _tell_cancelled(asyncio.run(_cancel(name, reason or "")), json=json)
    kind = Kind.ROLLBACK if rollback else Kind.REBUILD
    return _tell(
        asyncio.run(_ask(name, kind, reason=reason or "", accept_failures=accept_failures, wait=wait)),
        json=json,
    )


def verify(
    name: str | None = None,
    *,
    all: Annotated[bool, Parameter(name="--all", negative="", help="Every row, not a sample.")] = False,  # noqa: A002 - the option's name
    json: Json = False,
) -> int:
    """Recount what became of every event, and compare rows with a fresh fold; of all projections or of NAME.

    Exit codes: 0 nothing is wrong, 2 something is.
    """
    feeds = ALL if name is None else (named(name),)
    found = asyncio.run(_verify(feeds, None if all else SAMPLE))
    if json:
        print_json(found)
    else:
        _print_verified(found)
    return DONE if all_clean(found) else NOT_WELL


def all_clean(found: Sequence[Verified]) -> bool:
    """Say whether nothing is wrong anywhere."""
    return all(one.is_clean for one in found)


async def _ask(name: str, kind: Kind, *, reason: str, accept_failures: bool, wait: bool) -> RebuildState:
    feed = named(name)
    async with overseeing() as ledger:
        await rebuilding.ask(ledger, feed, operator(), kind, reason=reason, accept_failures=accept_failures)
        return await _watch(ledger, feed) if wait else await _progress(ledger, feed)


async def _cancel(name: str, reason: str) -> RebuildState:
    feed = named(name)
    async with overseeing() as ledger:
        await rebuilding.cancel(ledger, feed, operator(), reason=reason)
        return await _progress(ledger, feed)


async def _show(name: str) -> RebuildState:
    async with overseeing() as ledger:
        return await _progress(ledger, named(name))


async def _progress(ledger: Ledger, feed: Feed) -> RebuildState:
    async with reading(ledger.pool) as conn:
        found = await rebuilds.find(conn, ledger.ledger_id, feed)
        failures = await rebuilds.failures_in(conn, ledger.ledger_id, feed, found)
    if found is None:
        raise rebuilding.NeverRebuilt(projection=feed.name)
    return progress_of(feed.name, found, failures)


async def _watch(ledger: Ledger, feed: Feed) -> RebuildState:
    """Show progress until it is over; lend a hand when no service takes it up."""
    hands: asyncio.Task[None] | None = None
    looks = 0
    try:
        with Bar(f"{feed.name}:") as bar:
            while (found := await _progress(ledger, feed)).ended_at is None:
                bar.to(found.position, max(found.target, 1))
                looks = 0 if found.is_worked_on else looks + 1
                if hands is None and looks > LEFT_TO_SERVICES:
                    hands = asyncio.create_task(Rebuilder(ledger).run_forever(), name="rebuilds")
                await asyncio.sleep(LOOK_EVERY)
    finally:
        if hands is not None:
            hands.cancel()
            with suppress(asyncio.CancelledError):
                await hands
    return found


async def _verify(feeds: Sequence[Feed], sample: int | None) -> list[Verified]:
    found: list[Verified] = []
    async with overseeing() as ledger:
        with Bar("Verifying:") as bar:
            for feed in feeds:
                one = await verify_rows(ledger.url, ledger.ledger_id, feed, sample=sample)
                found.append(verified(one))
                bar.to(len(found), len(feeds))
    return found


def _tell(found: RebuildState, *, json: bool) -> int:
    if json:
        print_json(found)
    else:
        _print_state(found)
    return DONE if found.ended_at is None or found.status == "switched" else NOT_WELL


def _tell_cancelled(found: RebuildState, *, json: bool) -> int:
    if json:
        print_json(found)
    else:
        print(f"The {found.kind} of {found.projection_name} is cancelled; the old rows go on serving.")
    return DONE


def _print_state(found: RebuildState) -> None:
    print(f"{found.kind.capitalize()} of {found.projection_name}: {found.status}")
    print(f"{'position':<16} {found.position} of {found.target}")
    if found.events_per_second is not None:
        print(
            f"{'rate':<16} {found.events_per_second:.0f} events/s, {age(found.seconds_left)} left at this rate"
        )
    print(f"{'applied, parked':<16} {found.events_applied}, {found.events_parked}")
    if found.ended_at is None and not found.is_worked_on:
        print("No process is at work on it yet: a running service takes it up, or --wait does.")
    if found.error is not None:
        print(f"{'given up':<16} {printable(found.error)}")
        print("The old rows go on serving.")
    for failure in found.failures:
        words = f"{failure.error_type}: {failure.error_message}".splitlines()[0]
        print(f"  {failure.event_sequence} {failure.event_type} of {failure.stream}: {printable(words)}")
    if found.diff is not None:
        _print_diff(found.diff, before="old", after="new")


def _print_verified(found: Sequence[Verified]) -> None:
    columns = (
        "projection",
        "verdict",
        "position",
        "applied",
        "not wanted",
        "parked",
        "skipped",
        "rows",
        "of streams",
    )
    rows = [
        (
            f"{one.projection_name} v{one.version}",
            "right" if one.is_clean else "WRONG",
            f"{one.completeness.position} of {one.completeness.head}",
            one.completeness.events_applied,
            one.completeness.events_not_wanted,
            one.completeness.events_parked,
            one.completeness.events_skipped,
            sum(table.rows_before for table in one.diff.tables),
            _streams(one),
        )
        for one in found
    ]
    print_table(columns, rows)
    for one in found:
        if not one.is_clean:
            _print_wrong(one)


def _streams(one: Verified) -> str:
    compared = "all" if one.streams_compared is None else str(one.streams_compared)
    return f"{compared} but {one.streams_left_out}" if one.streams_left_out else compared


def _print_wrong(one: Verified) -> None:
    print(f"\n{one.projection_name}:")
    for problem in one.completeness.problems:
        print(f"  {problem}")
    for stream in one.streams_unfoldable:
        print(f"  {printable(stream)}: an event cannot be applied by this release")
    _print_diff(one.diff, before="view", after="fold")


def _print_diff(diff: Diff, *, before: str, after: str) -> None:
    columns = ("table", f"rows {before}", f"rows {after}", f"only {before}", f"only {after}", "differing")
    print_table(
        columns,
        [
            (
                table.table,
                table.rows_before,
                table.rows_after,
                table.only_before,
                table.only_after,
                table.differing,
            )
            for table in diff.tables
        ],
    )
    for one in diff.sample:
        key = ", ".join(f"{name} {value}" for name, value in one.key.items() if name != "ledger_id")
        kind = {"only before": f"only in {before}", "only after": f"only in {after}"}.get(one.kind, "differs")
        changed = f" in {', '.join(one.columns)}" if one.columns else ""
        print(f"  {one.table} {printable(key)}: {kind}{changed}")

"""``ledger projections``: what an operator does about read models; every act is on the record."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Final, TypeAlias
from uuid import UUID

import msgspec
from cyclopts import Parameter

from ledger.api.mending_wire import (
    Replayed,
    Resolved,
    Switched,
    replayed,
    resolved,
    would_replay,
    would_resolve,
)
from ledger.cli.operating import operator, overseeing
from ledger.cli.progress import Bar
from ledger.cli.reasons import PerhapsWhy, Why
from ledger.cli.refusals import printable_lines
from ledger.cli.tables import print_changes, print_json
from ledger.domain.errors import Invalid
from ledger.domain.ids import FailureId
from ledger.identity.identity import utc_now
from ledger.operations import mending, pausing, replaying
from ledger.operations.mending import Wish
from ledger.projections import failures as records
from ledger.projections.catalog import ALL
from ledger.projections.failures import Failure, Resolution
from ledger.projections.reports import named
from ledger.projections.retries import FailureResolved, ParkedEventGone
from ledger.store.ledger import Ledger
from ledger.store.pool import ImpossibleTime, reading
from ledger.store.true_log import PayloadChanged

Json: TypeAlias = Annotated[bool, Parameter(negative="", help="As JSON, for programs.")]
DryRun: TypeAlias = Annotated[
    bool, Parameter(negative="", help="Show which rows would change, and change none.")
]

DONE, STILL_BROKEN = 0, 2
RESOLVED: Final = frozenset({"resolved", "would_resolve"})


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of those that were chosen.

    ``overtaken`` were resolved meanwhile, ``changed`` are not what was recorded, or gone, ``left`` are parked afterwards.
    """

    answers: list[Resolved]
    overtaken: int
    changed: int
    left: int


class SayWhich(Invalid):
    """Name one failure, or a stream with --sequence, or say --all."""

    code = "say-which"
    advice = "'ledger projections failures' lists them."


def retry(
    failure: UUID | None = None,
    *,
    sequence: Annotated[str | None, Parameter(help="Those of this stream, in every projection.")] = None,
    all: Annotated[bool, Parameter(name="--all", negative="", help="All of them.")] = False,  # noqa: A002 - the option's name
    reason: PerhapsWhy = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Try FAILURE again, with what waits behind it.

    Of several, those that the service's own try or somebody else has resolved meanwhile are passed over and counted, and
    so are those whose event was changed or removed after it was recorded.

    Exit codes: 0 nothing of it is left parked, 2 something is.
    """
    if sum((failure is not None, sequence is not None, all)) != 1:
        raise SayWhich
    tried = asyncio.run(_retry(failure, sequence, reason=reason or "", dry_run=dry_run))
    passed_over = tried.overtaken + tried.changed
    told = _tell(tried.answers, json=json, is_single=failure is not None, passed_over=passed_over)
    if tried.overtaken:
        seen = "Resolved meanwhile, by the service's own try or by somebody else, and passed over"
        print(f"{seen}: {tried.overtaken}.", file=sys.stderr if json else sys.stdout)
    if tried.changed:
        seen = f"Changed or removed after they were recorded, and passed over: {tried.changed}."
        print(seen, PayloadChanged.advice, file=sys.stderr)
    if tried.left and told == DONE:
        print(f"Still parked: {tried.left}. 'ledger projections failures' lists them.", file=sys.stderr)
    return STILL_BROKEN if tried.left else told


def skip(failure: UUID, *, reason: Why, dry_run: DryRun = False, json: Json = False) -> int:
    """Never apply the event of FAILURE; what waits behind it is applied without it."""
    return _give_up(failure, Resolution.MANUAL_SKIP, reason=reason, dry_run=dry_run, json=json)


def fix(failure: UUID, *, reason: Why, dry_run: DryRun = False, json: Json = False) -> int:
    """Take FAILURE as mended by hand; what waits behind it is applied."""
    return _give_up(failure, Resolution.MANUAL_FIX, reason=reason, dry_run=dry_run, json=json)


def replay(
    name: str,
    *,
    first: Annotated[int | None, Parameter(name="--from", help="The first position; else 1.")] = None,
    last: Annotated[int | None, Parameter(name="--to", help="The last position; else the head.")] = None,
    again: Annotated[
        bool, Parameter(name="--skipped-too", negative="", help="Try again what was given up before.")
    ] = False,
    reason: PerhapsWhy = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Remove the rows of everything with an event in the range, and fold it anew in full.

    Exit codes: 0 all of it could be applied, 2 something is parked.
    """
    done = asyncio.run(_replay(name, first, last, again=again, reason=reason or "", dry_run=dry_run))
    if json:
        print_json(done)
    else:
        print(
            f"{'Would replay' if dry_run else 'Replayed'} {done.events_replayed} events of "
            f"{done.sequences} sequences; {done.events_skipped} skipped, {done.events_failed} parked."
        )
        print_changes(done.rows_changed, done.changes)
    return STILL_BROKEN if done.events_failed else DONE


def pause(name: str, *, reason: PerhapsWhy = None, json: Json = False) -> int:
    """Let projection NAME stand where it is, in every process. Commands go on."""
    asyncio.run(_switch(name, to_pause=True, reason=reason or ""))
    return _switched(Switched(status="paused", message="Projection paused", projection_name=name), json=json)


def resume(name: str, *, reason: PerhapsWhy = None, json: Json = False) -> int:
    """Let projection NAME go on."""
    asyncio.run(_switch(name, to_pause=False, reason=reason or ""))
    return _switched(
        Switched(status="running", message="Projection resumed", projection_name=name), json=json
    )


def _give_up(failure: UUID, way: Resolution, *, reason: str, dry_run: bool, json: bool) -> int:
    wish = Wish(failure=FailureId(failure), way=way, reason=reason)
    return _tell([asyncio.run(_mend_one(wish, dry_run=dry_run))], json=json, is_single=True)


def _tell(answers: Sequence[Resolved], *, json: bool, is_single: bool, passed_over: int = 0) -> int:
    if json:
        print_json(answers[0] if is_single else answers)
    else:
        for answer in answers:
            told = printable_lines(answer.message.rstrip("."), indent=2)
            print(f"{answer.failure_id} {answer.projection_name}: {told}.")
            print_changes(answer.rows_changed, answer.changes)
        if not answers and not passed_over:
            print("Nothing is parked.")
    return DONE if all(answer.status in RESOLVED for answer in answers) else STILL_BROKEN


def _switched(answer: Switched, *, json: bool) -> int:
    if json:
        print_json(answer)
    else:
        print(f"{answer.message}: {answer.projection_name}.")
    return DONE


async def _mend_one(wish: Wish, *, dry_run: bool) -> Resolved:
    async with overseeing() as ledger:
        return await _mend(ledger, wish, dry_run=dry_run)


async def _mend(ledger: Ledger, wish: Wish, *, dry_run: bool) -> Resolved:
    if dry_run:
        return would_resolve(wish, await mending.rehearse_mend(ledger, wish))
    return resolved(await mending.mend(ledger, wish, operator()))


async def _retry(failure: UUID | None, sequence: str | None, *, reason: str, dry_run: bool) -> Tried:
    """Try again what was chosen, and look what is parked afterwards in the same sequences."""
    async with overseeing() as ledger:
        before = await _active(ledger)
        chosen = {one.failure_id for one in before if sequence in (None, one.sequence)}
        if failure is not None:
            chosen = {FailureId(failure)}
        wishes = [Wish(failure=one, way=Resolution.MANUAL_REPLAY, reason=reason) for one in sorted(chosen)]
        answers, changed = await _mend_each(ledger, wishes, dry_run=dry_run, are_several=failure is None)
        touched = {(one.projection, one.sequence) for one in before if one.failure_id in chosen}
        after = () if dry_run else await _active(ledger)
        left = sum((one.projection, one.sequence) in touched for one in after)
        overtaken = len(wishes) - len(answers) - changed
        return Tried(answers=answers, overtaken=overtaken, changed=changed, left=left)


async def _mend_each(
    ledger: Ledger, wishes: Sequence[Wish], *, dry_run: bool, are_several: bool
) -> tuple[list[Resolved], int]:
    """Mend one after the other; count those of several that were changed, and pass over what somebody else resolved."""
    passed_over = (FailureResolved,) if are_several else ()
    answers, changed = list[Resolved](), 0
    with Bar("Retrying") as bar:
        for tried, wish in enumerate(wishes, 1):
            try:
                with suppress(*passed_over):
                    answers.append(await _mend(ledger, wish, dry_run=dry_run))
            except (PayloadChanged, ImpossibleTime, ParkedEventGone):
                if not are_several:
                    raise
                changed += 1
            bar.to(tried, len(wishes))
    return answers, changed


async def _active(ledger: Ledger) -> list[Failure]:
    async with reading(ledger.pool) as conn:
        return [one for feed in ALL for one in await records.list_of(conn, ledger.ledger_id, feed)]


async def _replay(
    name: str, first: int | None, last: int | None, *, again: bool, reason: str, dry_run: bool
) -> Replayed:
    feed = named(name)
    async with overseeing() as ledger:
        asked, head = await replaying.range_of(ledger, first=first, last=last, skip_failed=not again)
        if dry_run:
            began = utc_now()
            tried = await replaying.rehearse_replay(ledger, feed, asked)
            return would_replay(name, tried, started_at=began, completed_at=utc_now())
        with Bar("Replaying") as bar:
            done = await replaying.replay_range(
                ledger, feed, asked, head=head, reason=reason, actor=operator(), told=bar.to
            )
        return replayed(done)


async def _switch(name: str, *, to_pause: bool, reason: str) -> None:
    feed = named(name)
    do = pausing.pause if to_pause else pausing.resume
    async with overseeing() as ledger:
        await do(ledger, feed, reason=reason, actor=operator())

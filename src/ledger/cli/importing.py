"""``ledger import``: a file's lines, submitted to a running service, each exactly once."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Final, assert_never

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from ledger.cli.client import client_of
from ledger.cli.client_settings import ClientSettings
from ledger.cli.import_progress import Progress
from ledger.cli.import_source import Line, lines_of
from ledger.cli.submitting import AlreadyThere, CannotGoOn, Differs, Imported, Refused, Submitter
from ledger.domain.errors import Invalid

AT_ONCE: Final = 16
PATIENCE: Final = 120.0
KEPT_REASONS: Final = 1000
TOLD_AGAIN_AFTER: Final = 0.1
ALL_THERE, CANNOT_GO_ON, SOME_ARE_NOT = 0, 1, 2


class NoSuchFile(Invalid):
    """The file cannot be read."""

    code = "no-such-file"


class RefusedLine(msgspec.Struct, frozen=True):
    """A line that is not in the ledger, and why."""

    line: int
    reason: str


class DifferentLine(msgspec.Struct, frozen=True):
    """A line whose id stands for something else in the ledger, and what differs."""

    line: int
    fields: tuple[str, ...]


class Summary(msgspec.Struct, kw_only=True):
    """What became of the lines; ``stopped`` says why the rest was not tried (``None``: all were).

    ``different_lines`` and ``refused_lines`` hold the first thousand of each.
    """

    imported: int = 0
    already_there: int = 0
    different: int = 0
    refused: int = 0
    stopped: str | None = None
    different_lines: list[DifferentLine] = msgspec.field(default_factory=list)
    refused_lines: list[RefusedLine] = msgspec.field(default_factory=list)

    @property
    def exit_code(self) -> int:
        if self.stopped is not None:
            return CANNOT_GO_ON
        return SOME_ARE_NOT if self.refused or self.different else ALL_THERE


def import_file(
    file: Path,
    *,
    url: Annotated[str | None, Parameter(help="The service; else LEDGER_URL, else this machine's.")] = None,
    at_once: Annotated[
        int,
        Parameter(validator=Number(gte=1, lte=1000), help="How many lines are under way at the same time."),
    ] = AT_ONCE,
    patience: Annotated[
        float, Parameter(validator=Number(gte=0), help="Seconds to try again while the service is away.")
    ] = PATIENCE,
    json: Annotated[bool, Parameter(negative="", help="The summary as JSON, for programs.")] = False,
) -> int:
    """Submit each line of FILE (NDJSON) to a running service.

    A line that is in the ledger already is counted and left alone, so an import may be repeated and resumed. A
    bad line, or one whose id stands for something else in the ledger, is reported with its number and does not
    stop the rest. LEDGER_TOKEN is the access token of an account that may submit.

    Exit codes: 0 all lines are in the ledger, 2 some were refused or differ, 1 it could not go on.
    """
    summary = asyncio.run(_import(file, ClientSettings.load(url=url), at_once, patience))
    if json:
        print(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode())
    else:
        print(
            f"{summary.imported} imported, {summary.already_there} already there, "
            f"{summary.different} different, {summary.refused} refused"
        )
    return summary.exit_code


async def _import(file: Path, settings: ClientSettings, at_once: int, patience: float) -> Summary:
    summary = Summary()
    try:
        source = file.open("rb")
    except OSError as reason:
        raise NoSuchFile(file=file, reason=reason.strerror) from reason
    with source:
        async with client_of(settings, connections=at_once) as client:
            with Progress(os.fstat(source.fileno()).st_size) as progress:
                submitter, lines = Submitter(client, patience, progress.say), lines_of(source)
                try:
                    await all_at_once(at_once, lambda: _work(submitter, lines, summary, progress))
                except CannotGoOn as stopped:
                    summary.stopped = str(stopped.context["reason"])
    if summary.stopped is not None:
        print(f"Stopped: {summary.stopped}", file=sys.stderr)
        if settings.hint:
            print(settings.hint, file=sys.stderr)
    return summary


async def all_at_once(workers: int, work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Have ``workers`` work side by side; the first that cannot go on stops all of them.

    A worker may miss that it was cancelled (what connects for it races with itself, and may take the cancellation
    for its own), so it is told until it has ended.
    """
    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        while left := [task for task in tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=TOLD_AGAIN_AFTER)
    failed = [
        task.exception() for task in tasks if not task.cancelled()
    ]  # of each, or asyncio complains of those left
    for reason in failed:
        if reason is not None:
            raise reason


async def _work(submitter: Submitter, lines: Iterator[Line], summary: Summary, progress: Progress) -> None:
    """Submit line after line of ``lines``, which all workers share."""
    for line in lines:
        outcome = await submitter.submit(line)
        match outcome:
            case Imported():
                summary.imported += 1
            case AlreadyThere():
                summary.already_there += 1
            case Differs():
                summary.different += 1
                if summary.different <= KEPT_REASONS:
                    summary.different_lines.append(DifferentLine(line.number, outcome.fields))
                fields = ", ".join(outcome.fields)
                progress.say(
                    f"line {line.number}: the ledger holds another item of this id, with another {fields}"
                )
            case Refused():
                summary.refused += 1
                if summary.refused <= KEPT_REASONS:
                    summary.refused_lines.append(RefusedLine(line.number, outcome.reason))
                progress.say(f"line {line.number}: {outcome.reason}")
            case _:
                assert_never(outcome)
        progress.advance(line.size)

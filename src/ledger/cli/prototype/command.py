"""``ledger import-prototype``: a dump of the prototype, appended as what it was."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from ledger.api.services import Services
from ledger.cli.operating import operating
from ledger.cli.prototype.clock import Clock
from ledger.cli.prototype.file import Dump, read_dump
from ledger.cli.prototype.payloads import Drafting
from ledger.cli.prototype.report import Report
from ledger.cli.prototype.run import Import
from ledger.cli.refusals import printable
from ledger.domain.errors import Invalid, NotFound
from ledger.domain.ids import PersonId
from ledger.identity import people


class NoBackup(Invalid):
    """What is imported cannot be taken out again: it needs a backup first."""

    code = "no-backup"
    advice = (
        "Back the database up (docs/migrating-from-the-prototype.md says how) and name the file with "
        "--i-have-a-backup FILE, or look first with --dry-run."
    )


class NoSuchSubmitter(NotFound):
    """Nobody here has this user name."""

    code = "no-such-submitter"
    advice = "Register the account that submits from now on first: 'ledger user add NAME --role service'."


def import_prototype(
    file: Path,
    *,
    timezone: Annotated[
        str | None, Parameter(help="Where the prototype's clock stood; else UTC, marked as assumed.")
    ] = None,
    submitter: Annotated[
        str | None, Parameter(help="Whose submissions they count as, by user name; else nobody's.")
    ] = None,
    i_have_a_backup: Annotated[Path | None, Parameter(help="The backup that an undo would restore.")] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Only say what would happen.")] = False,
    json: Annotated[bool, Parameter(negative="", help="The report as JSON, for programs.")] = False,
) -> int:
    """Import FILE, a dump of the prototype: one JSON object with users, decisions, responses and audit_log.

    Works beside a running service. May be repeated and resumed: what is in the ledger already is counted and left
    alone. A bad record is reported with its place and does not stop the rest. Nobody's password is imported.

    Exit codes: 0 everything is in the ledger, 2 some records are bad, 1 it could not go on or could not prove it.
    """
    clock, dump = Clock.of(timezone), read_dump(file)
    if not dry_run and (i_have_a_backup is None or not _is_backup(i_have_a_backup)):
        raise NoBackup(file=i_have_a_backup or "none was named")
    report = Report(dry_run=dry_run, time_zone=clock.name, time_zone_is_assumed=clock.is_assumed)
    asyncio.run(_import(dump, clock, submitter, report))
    for bad in report.bad:
        print(printable(f"{bad.place}: {bad.reason}"), file=sys.stderr)
    if json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        print("\n".join(lines_of(report)))
    return report.exit_code


def _is_backup(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


async def _import(dump: Dump, clock: Clock, submitter: str | None, report: Report) -> None:
    async with operating(only="api", may_begin=True) as services:
        person = await _person(services, submitter)
        identity = services.identity
        drafting = Drafting(services.ledger, clock, submitter=person, now=identity.clock())
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("importing", total=sum(_sizes(dump)))
            await Import(identity, drafting, report, moved=lambda: progress.advance(task)).run(dump)


def _sizes(dump: Dump) -> Iterator[int]:
    yield from (len(dump.users), len(dump.decisions), len(dump.responses), len(dump.audit_log))


async def _person(services: Services, username: str | None) -> PersonId | None:
    if username is None:
        return None
    found = await people.find(services.ledger.pool, services.ledger.ledger_id, username)
    if found is None:
        raise NoSuchSubmitter(username=username)
    return found.person


def lines_of(report: Report) -> Iterator[str]:
    """Tell a report to people."""
    if report.dry_run:
        yield "Nothing was written: this is what would happen."
    assumed = ", which nobody named" if report.time_zone_is_assumed else ""
    yield f"Local times were read as {report.time_zone}{assumed}."
    for kind, count in report.kinds.items():
        yield (
            f"{kind:<10} {count.in_dump} in the dump: {count.imported} imported, {count.already_there} already there, "
            f"{count.bad} bad" + (f", {count.was_here} had an account here" if count.was_here else "")
        )
        if not report.dry_run:
            same = "as" if count.digest == count.found else f"NOT {count.found}, as"
            yield f"{'':<10} {count.events} events say {count.digest}, {same} read back from the log"
    if report.by_name_only:
        yield f"{report.by_name_only} persons are known by name only: no user of the dump has it."
    if not report.dry_run:
        yield "Proven: the ledger says what the dump said." if report.proven else "NOT PROVEN: see above."

"""``ledger doctor``: what is well, what is not, and what to do about it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from ledger.cli.checks import Finding, Verdict, bad, good, is_healthy, warning
from ledger.cli.checks_of_database import check_database
from ledger.cli.checks_of_folder import check_folder
from ledger.cli.database import beside, named, what_can_be_read
from ledger.cli.operating import show_warnings_only
from ledger.cli.refusals import explain
from ledger.domain.errors import LedgerError
from ledger.settings import Settings, SettingsRefused
from ledger.store.local_postgres import attach
from ledger.store.postgres_folder import site_of

SIGNS: Final = {Verdict.GOOD: "✓", Verdict.WARNING: "!", Verdict.BAD: "✗"}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found."""

    healthy: bool
    findings: list[Finding]


def doctor(*, json: Annotated[bool, Parameter(negative="", help="As JSON, for programs.")] = False) -> int:
    """Check settings, folder, disk, database, migrations, rights and clock; works beside a running service.

    It changes nothing: an embedded PostgreSQL that does not run is started for the time of the check, unless it
    has never been started before.

    Exit codes: 0 nothing is wrong (though perhaps worth a look), 1 something is.
    """
    show_warnings_only()
    findings = asyncio.run(_all_findings())
    healthy = is_healthy(findings)
    if json:
        report = Report(healthy=healthy, findings=findings)
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        for line in _lines(findings):
            print(line)
    return 0 if healthy else 1


async def _all_findings() -> list[Finding]:
    findings: list[Finding] = []
    try:
        settings = Settings.load()
    except SettingsRefused as refused:
        findings += (bad("settings", problem.about, problem.advice) for problem in refused.problems)
        settings = what_can_be_read(refused)
    else:
        findings.append(good("settings", f"are readable, for {settings.environment.value}"))
    findings += (
        warning("settings", variable, "has no effect in this release") for variable in settings.without_effect
    )
    findings += check_folder(settings)
    try:
        findings += [finding async for finding in _database_findings(settings)]
    except LedgerError as refused:
        first, *facts = explain(refused)
        findings.append(bad("database", first, "; ".join(fact.strip() for fact in facts)))
    return findings


async def _database_findings(settings: Settings) -> AsyncIterator[Finding]:
    if named(settings) is None:
        if not site_of(settings.data_dir).data.exists():
            yield good("database", "the embedded PostgreSQL is not there yet; a start makes it")
            return
        if await attach(settings.data_dir) is None:
            yield good("service", "does not run here; its PostgreSQL is started for these checks")
    async with beside(settings) as (database, _):
        async for finding in check_database(database):
            yield finding


def _lines(findings: list[Finding]) -> Iterable[str]:
    for finding in findings:
        yield f"{SIGNS[finding.verdict]} {finding.check:<14} {finding.seen}"
        if finding.advice:
            yield f"  {'':<14} → {finding.advice}"

"""``ledger doctor``: what is well, what is not, and what to do about it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from ledger.cli.checks.database import check_database
from ledger.cli.checks.findings import Finding, Verdict, bad, good, is_healthy
from ledger.cli.checks.folder import check_folder, known_secret_keys
from ledger.cli.checks.limits import check_limits
from ledger.cli.checks.postgres import check_embedded
from ledger.cli.checks.sealing import check_sealing
from ledger.cli.checks.witnesses import check_witnesses
from ledger.cli.database import OWNER_VARIABLE, SERVICE_VARIABLE, Database, beside, named, what_can_be_read
from ledger.cli.operating import show_warnings_only
from ledger.cli.refusals import explain
from ledger.domain.errors import LedgerError
from ledger.settings import Settings, SettingsRefused
from ledger.store.local_postgres.folder import site_of
from ledger.store.local_postgres.server import attach

SIGNS: Final = {Verdict.GOOD: "✓", Verdict.WARNING: "!", Verdict.BAD: "✗"}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found."""

    healthy: bool
    findings: list[Finding]


def doctor(*, json: Annotated[bool, Parameter(negative="", help="As JSON, for programs.")] = False) -> int:
    """Check settings, folder, disk, Redis, database, migrations, rights, keys, snapshots, read models, sealing and clock, also beside a service.

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
    unusable = None
    try:
        settings = Settings.load()
    except SettingsRefused as refused:
        findings += (bad("settings", problem.about, problem.advice) for problem in refused.problems)
        settings = what_can_be_read(refused)
        unusable = _unusable_database(refused, settings)
    else:
        findings.append(good("settings", f"are readable, for {settings.environment.value}"))
    findings += check_folder(settings)
    limits = await check_limits(settings)
    findings += () if limits is None else (limits,)
    if unusable is not None:
        findings.append(bad("database", "was not looked at", f"mend {unusable} first"))
        return findings
    try:
        findings += [finding async for finding in _database_findings(settings)]
    except LedgerError as refused:
        first, *facts = explain(refused)
        findings.append(bad("database", first, "; ".join(fact.strip() for fact in facts)))
    return findings


def _unusable_database(refused: SettingsRefused, settings: Settings) -> str | None:
    """Name the setting that wants another database than the embedded one, in vain; ``None``: there is none."""
    wrong = {problem.about for problem in refused.problems}
    unusable = [name for name in (SERVICE_VARIABLE, OWNER_VARIABLE) if name in wrong]
    return unusable[0] if unusable and settings.database_url is None else None


async def _database_findings(settings: Settings) -> AsyncIterator[Finding]:
    if named(settings) is None and await attach(settings.data_dir) is None:
        found = list(check_embedded(settings))
        for finding in found:
            yield finding
        if not is_healthy(found):
            return
        if not site_of(settings.data_dir).data.exists():
            yield good("database", "the embedded PostgreSQL is not there yet; a start makes it")
            return
        yield good("service", "does not run here; its PostgreSQL is started for these checks")
    async with beside(settings) as (database, _):
        found = []
        async for finding in check_database(database, secret_keys=known_secret_keys(settings)):
            found.append(finding)
            yield finding
        if is_healthy(found):
            async for finding in _sealing_findings(database, settings):
                yield finding


async def _sealing_findings(database: Database, settings: Settings) -> AsyncIterator[Finding]:
    ledger = await database.open(settings)
    try:
        async for finding in check_sealing(ledger, settings):
            yield finding
        async for finding in check_witnesses(ledger, settings):
            yield finding
    finally:
        await ledger.pool.close()


def _lines(findings: list[Finding]) -> Iterable[str]:
    for finding in findings:
        yield f"{SIGNS[finding.verdict]} {finding.check:<14} {finding.seen}"
        if finding.advice:
            yield f"  {'':<14} → {finding.advice}"

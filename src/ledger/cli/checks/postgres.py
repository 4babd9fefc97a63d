"""What the doctor looks at before the embedded PostgreSQL runs: its programs, and as whom they would run."""

import os
import pwd
from collections.abc import Iterator

from ledger.cli.checks.findings import Finding, bad, good, warning
from ledger.domain.errors import LedgerError
from ledger.settings import Settings
from ledger.store.local_postgres.folder import site_of
from ledger.store.local_postgres.process import NoUserForPostgres, Runner, choose_runner
from ledger.store.local_postgres.programs import find_programs


def check_embedded(settings: Settings) -> Iterator[Finding]:
    """Try whether a start would find PostgreSQL's programs and somebody to run them; blocks for some milliseconds."""
    try:
        runner = _runner(settings)
    except NoUserForPostgres as nobody:
        yield bad("postgres user", f"{nobody.title()} {_tried(nobody)}".rstrip(), nobody.advice)
    except LedgerError as refused:
        yield bad("postgres", refused.title(), refused.advice)
    else:
        yield from (
            warning("postgres user", text, "name a user in LEDGER_PG_USER") for text in runner.warnings
        )
        if not runner.warnings:
            yield good("postgres user", f"PostgreSQL runs as {_name(runner)}")


def _runner(settings: Settings) -> Runner:
    site = site_of(settings.data_dir)
    there = next(place for place in (site.home, *site.home.absolute().parents) if place.exists())
    return choose_runner(
        find_programs(settings.pg_bin),
        there,
        owner=site.owner if site.home.exists() else os.geteuid(),
        pg_user=settings.pg_user,
        production=settings.is_production,
    )


def _tried(nobody: NoUserForPostgres) -> str:
    tried = nobody.context.get("tried")
    if not isinstance(tried, dict):
        return ""
    return "; ".join(f"{name}: {obstacle}" for name, obstacle in tried.items())


def _name(runner: Runner) -> str:
    try:
        return pwd.getpwuid(runner.owner).pw_name
    except KeyError:
        return str(runner.owner)

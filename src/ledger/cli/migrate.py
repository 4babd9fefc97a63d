"""``ledger migrate``: the database's shape, brought to this release's."""

import asyncio

from ledger.cli.database import OWNER_VARIABLE, beside, problems_with
from ledger.cli.operating import show_warnings_only
from ledger.setting_values import Problem
from ledger.settings import Settings, SettingsRefused
from ledger.store.migrate import all_migrations


def migrate() -> int:
    """Apply what the database lacks, as its owner.

    An embedded PostgreSQL is started for it if it does not run; 'ledger serve' migrates that one by itself.
    A database of your own needs LEDGER_OWNER_DATABASE_URL, the login of the role that owns it.
    """
    applied = asyncio.run(_migrate())
    for name in applied:
        print(f"applied {name}")
    if not applied:
        print(f"Nothing to do: the database has all {len(all_migrations())} migrations.")
    return 0


async def _migrate() -> tuple[str, ...]:
    show_warnings_only()
    settings = Settings.load()
    problems = await problems_with(settings)
    if settings.database_url is not None and settings.owner_database_url is None:
        advice = "is needed to migrate: the login of the role that owns the database"
        problems = [
            Problem(OWNER_VARIABLE, advice),
            *(p for p in problems if "'ledger migrate'" not in p.advice),
        ]
    if problems:
        raise SettingsRefused(problems)
    async with beside(settings) as (database, _):
        return await database.migrate()

"""The database of this installation: the embedded one or the one that was named, looked at and migrated."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from pydantic import SecretStr

from ledger.setting_values import Problem
from ledger.settings import Settings, SettingsRefused
from ledger.store.ledger import Ledger
from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.folder import site_of
from ledger.store.local_postgres.server import LocalPostgres
from ledger.store.migrate import (
    MigrationChanged,
    ServerTooOld,
    all_migrations,
    check_server,
    migrate,
    pending,
)
from ledger.store.pool import DatabaseUnreachable, DirectConnection, connect

SERVICE_VARIABLE: Final = "LEDGER_DATABASE_URL"
OWNER_VARIABLE: Final = "LEDGER_OWNER_DATABASE_URL"


WHERE_DATA_ARE: Final = (
    SERVICE_VARIABLE,
    OWNER_VARIABLE,
    "LEDGER_DATA_DIR",
    "LEDGER_PG_BIN",
    "LEDGER_PG_USER",
)


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Its two logins; ``owner_url`` is ``None`` where this installation may not migrate.

    ``server`` is the embedded PostgreSQL, ``None`` where another one was named.
    """

    service_url: str
    owner_url: str | None
    server: LocalPostgres | None = None

    async def migrate(self) -> tuple[str, ...]:
        """Apply what is pending, if that is ours to do; the names of what was applied."""
        return () if self.owner_url is None else await migrate(self.owner_url, self.service_url)

    async def open(self, settings: Settings) -> Ledger:
        """Open the ledger in it; see ``Ledger.open`` for what it raises."""
        return await Ledger.open(
            self.service_url,
            min_size=settings.db_pool_min_size,
            max_size=settings.db_pool_max_size,
            snapshot_every=settings.snapshot_every,
        )


def embedded(server: LocalPostgres) -> Database:
    """Describe the embedded one."""
    return Database(service_url=server.service_url, owner_url=server.owner_url, server=server)


def named(settings: Settings) -> Database | None:
    """Describe the one that the settings name; ``None``: they leave it to the embedded one."""
    if settings.database_url is None:
        return None
    return Database(
        service_url=settings.database_url.get_secret_value(), owner_url=_secret(settings.owner_database_url)
    )


async def is_there(settings: Settings) -> bool:
    """Say whether there is a database already; one that the settings name is, the embedded one is once made."""
    if named(settings) is not None or await local_postgres.attach(settings.data_dir) is not None:
        return True
    return site_of(settings.data_dir).data.exists()


@asynccontextmanager
async def beside(settings: Settings) -> AsyncIterator[tuple[Database, bool]]:
    """Reach the database for an operator's command, starting the embedded one if it does not run.

    Gives the database, and whether it is ours alone for the time of the command.
    """
    database = named(settings)
    if database is not None:
        yield database, False
        return
    attached = await local_postgres.attach(settings.data_dir)
    if attached is not None:
        yield embedded(attached), False
        return
    started = await local_postgres.start(
        settings.data_dir,
        pg_bin=settings.pg_bin,
        pg_user=settings.pg_user,
        production=settings.is_production,
    )
    async with started as server:
        yield embedded(server), True


def what_can_be_read(refused: SettingsRefused) -> Settings:
    """Read where the data are even where other settings are wrong: people want to know everything at once."""
    wrong = {problem.about for problem in refused.problems}
    right = {
        name: value for name, value in os.environ.items() if name in WHERE_DATA_ARE and name not in wrong
    }
    try:
        return Settings.load(right)
    except SettingsRefused:  # they make no sense without those that are wrong
        return Settings.load({})


async def problems_with(settings: Settings) -> list[Problem]:
    """Look for what keeps the service from the database that the settings name; none for the embedded one."""
    if settings.database_url is None:
        return []
    is_ours_to_migrate = settings.owner_database_url is not None
    problems = await _problems_at(
        SERVICE_VARIABLE, settings.database_url.get_secret_value(), must_be_current=not is_ours_to_migrate
    )
    owner = _secret(settings.owner_database_url)
    if owner is not None:
        problems += await _problems_at(OWNER_VARIABLE, owner, must_be_current=False)
    return problems


async def _problems_at(variable: str, url: str, *, must_be_current: bool) -> list[Problem]:
    try:
        conn = await connect(url)
    except DatabaseUnreachable as lost:
        reason = str(lost.context["reason"]).strip() or "no answer within 10 seconds"
        return [Problem(variable, f"the database cannot be reached: {reason.rstrip('.')}")]
    try:
        return await _problems_of(conn, variable, must_be_current=must_be_current)
    finally:
        await conn.close()


async def _problems_of(conn: DirectConnection, variable: str, *, must_be_current: bool) -> list[Problem]:
    try:
        await check_server(conn)
    except ServerTooOld as old:
        version = old.context["version"]
        return [Problem(variable, f"is PostgreSQL {version}; version 15 or later is needed")]
    try:
        missing = await pending(conn, all_migrations())
    except MigrationChanged as changed:
        return [
            Problem(variable, f"{changed.title()} ({changed.context['name']}) {changed.advice}".rstrip("."))
        ]
    if not missing or not must_be_current:
        return []
    names = ", ".join(migration.name for migration in missing)
    advice = (
        f"the database lacks {names}; run 'ledger migrate' with {OWNER_VARIABLE} set to its owner's login"
    )
    return [Problem(variable, advice)]


def _secret(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()

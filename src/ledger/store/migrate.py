"""Bring a database to this release's shape: pending migrations once, in order, checksummed.

A file ``NNNN_name.sql`` is run in one transaction by the owner role, or by the service's own role when its
first line is ``-- role: service`` (the service owns those tables). An applied file never changes.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Final, Literal

import asyncpg
import msgspec

from ledger.domain.errors import LedgerError, Unavailable
from ledger.store.pool import LOST, SESSION_SETTINGS, UNSETTLED, Connection, DirectConnection, connect

Runner = Literal["owner", "service"]

SERVICE_MARK: Final = "-- role: service\n"
OLDEST_SERVER: Final = 150000
ALL_MIGRATIONS_LOCK: Final = 0x1ED6E4
"""The advisory lock that migrators of one database take turns by; never taken while serving."""

# Large tables take their time, and so may whoever migrates at this moment; a table that is in use is not waited for
# longer than a service waits, because everybody else would queue behind the migration.
TAKE_TIME: Final = "set statement_timeout = 0"
WAIT_FOR_TURN: Final = "set lock_timeout = 0"
WAIT_NO_LONGER: Final = f"set lock_timeout = '{SESSION_SETTINGS['lock_timeout']}'"
# $1 the lock's key
LOCK: Final = "select pg_advisory_lock($1)"
# Such a lock is one database's: whoever gets it while it is held is in another one.
# $1 the lock's key
IS_ELSEWHERE: Final = "select case when pg_try_advisory_lock($1) then pg_advisory_unlock($1) else false end"
BOOTSTRAP: Final = """
create schema if not exists ledger;
create table if not exists ledger.migrations (
    number integer not null, name text not null, sha256 text not null,
    applied_at timestamptz not null default now(),
    constraint migrations_pkey primary key (number)
);
"""
BOOTSTRAP_SERVICE: Final = """
create table if not exists work.migrations (
    number integer not null, name text not null, sha256 text not null,
    applied_at timestamptz not null default now(),
    constraint work_migrations_pkey primary key (number)
);
"""
APPLIED: Final = "select number, name, sha256 from ledger.migrations"
APPLIED_SERVICE: Final = "select number, name, sha256 from work.migrations"
# $1 number, $2 name, $3 sha256
RECORD: Final = "insert into ledger.migrations (number, name, sha256) values ($1, $2, $3)"
RECORD_SERVICE: Final = "insert into work.migrations (number, name, sha256) values ($1, $2, $3)"
# $1 a schema-qualified name
EXISTS: Final = "select to_regclass($1) is not null"
# Temporary tables are what read models are verified with; an owner of the schema alone cannot grant them.
# $1 the service's role
GRANTS: Final = """
select format(s, $1::text, current_database()) from unnest(array[
    'grant usage on schema ledger to %1$I',
    'grant select on all tables in schema ledger to %1$I',
    'grant execute on function ledger.append_batch to %1$I',
    'grant execute on function ledger.append_one to %1$I',
    case when to_regproc('ledger.append_together') is not null  -- from migration 0025 on
         then 'grant execute on function ledger.append_together to %1$I' end,
    'grant usage, create on schema views, views_build, views_old, work to %1$I',
    case when has_database_privilege(current_database(), 'temporary with grant option')
         then 'grant temporary on database %2$I to %1$I' end
]) s
where s is not null
"""
WHO: Final = "select current_user"


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the database's shape."""

    number: int
    name: str
    sql: str
    runner: Runner

    def sha256(self) -> str:
        """Fingerprint the file; an applied one must not change."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


class MigrationChanged(LedgerError):
    """A migration that this database has applied was changed afterwards."""

    code = "migration-changed"
    advice = "Restore the file as it was released; a change of shape is a new migration."


class NotMigrated(Unavailable):
    """The database is not at this release's shape."""

    code = "not-migrated"
    advice = "Run 'ledger migrate' with LEDGER_OWNER_DATABASE_URL set to the owner's login."


class MigrationInterrupted(Unavailable):
    """A migration was not finished, and nothing of it is left behind.

    Context: ``reason``: what the server or the driver said.
    """

    code = "migration-interrupted"
    advice = (
        "Run 'ledger migrate' again, when nobody uses what it changes for long; those before it are applied."
    )


class NotOneDatabase(Unavailable):
    """The two logins lead to two databases; nothing was changed."""

    code = "not-one-database"
    advice = (
        "Let LEDGER_DATABASE_URL and LEDGER_OWNER_DATABASE_URL name the same database of the same server."
    )


class NotTheOwner(Unavailable):
    """The login that is to migrate may not change the database.

    Context: ``reason``: what the server said.
    """

    code = "not-the-owner"
    advice = (
        "LEDGER_OWNER_DATABASE_URL is the login of the role that owns the database, LEDGER_DATABASE_URL that of the "
        "service: they may be exchanged."
    )


class ServerTooOld(Unavailable):
    """This PostgreSQL is too old: version 15 or later is needed."""

    code = "server-too-old"
    advice = "Upgrade the server, or leave LEDGER_DATABASE_URL unset to use the embedded one."


def all_migrations() -> tuple[Migration, ...]:
    """Read this release's migrations, in order."""
    folder = files("ledger.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(_parse(name, (folder / name).read_text("utf-8")) for name in names)


def _parse(name: str, sql: str) -> Migration:
    runner: Runner = "service" if sql.startswith(SERVICE_MARK) else "owner"
    return Migration(number=int(name[:4]), name=name, sql=sql, runner=runner)


async def pending(conn: Connection, migrations: Sequence[Migration]) -> tuple[Migration, ...]:
    """Tell which of ``migrations`` this database lacks.

    Raises:
        MigrationChanged: an applied one differs from its file.
    """
    applied = await _applied(conn)
    for migration in migrations:
        recorded = applied.get(migration.number)
        if recorded is not None and recorded != migration.sha256():
            raise MigrationChanged(name=migration.name)
    return tuple(m for m in migrations if m.number not in applied)


async def _applied(conn: Connection) -> dict[int, str]:
    rows = []
    if await conn.fetchval(EXISTS, "ledger.migrations"):
        rows += await conn.fetch(APPLIED)
    if await conn.fetchval(EXISTS, "work.migrations"):
        rows += await conn.fetch(APPLIED_SERVICE)
    return {row["number"]: row["sha256"] for row in rows}


async def migrate(
    owner_url: str, service_url: str, migrations: Sequence[Migration] | None = None
) -> tuple[str, ...]:
    """Apply what is pending and grant the service its narrow rights; the names of what was applied.

    Several migrators at once take turns; a migration that fails leaves nothing of itself behind.

    Raises:
        MigrationChanged: an applied migration differs from its file.
        NotOneDatabase: the logins are not those of one database.
        NotTheOwner: the owner's may not change it.
        MigrationInterrupted: a table was in use for too long, or a connection was lost.
        ServerTooOld: the server is older than version 15.
        DatabaseUnreachable: one of the two logins fails.
    """
    owner = await connect(owner_url)
    try:
        service = await connect(service_url)
        try:
            return await _migrate(owner, service, all_migrations() if migrations is None else migrations)
        except asyncpg.InsufficientPrivilegeError as refused:
            raise NotTheOwner(reason=str(refused)) from refused
        except (*LOST, *UNSETTLED) as lost:
            raise MigrationInterrupted(reason=str(lost)) from lost
        finally:
            await _close(service)
    finally:
        await _close(owner)


async def _close(conn: DirectConnection) -> None:
    try:
        await conn.close()
    except LOST:
        conn.terminate()


async def _migrate(
    owner: DirectConnection, service: DirectConnection, migrations: Sequence[Migration]
) -> tuple[str, ...]:
    await check_server(owner)
    for conn in (owner, service):
        await conn.execute(TAKE_TIME)
    await owner.execute(WAIT_FOR_TURN)
    await owner.execute(LOCK, ALL_MIGRATIONS_LOCK)
    await owner.execute(WAIT_NO_LONGER)
    if await service.fetchval(IS_ELSEWHERE, ALL_MIGRATIONS_LOCK):
        raise NotOneDatabase
    await owner.execute(BOOTSTRAP)
    todo = await pending(owner, migrations)
    for migration in todo:
        if migration.runner == "owner":
            await _apply(owner, migration, RECORD)
        else:
            await _grant(owner, await service.fetchval(WHO))
            await service.execute(BOOTSTRAP_SERVICE)
            await _apply(service, migration, RECORD_SERVICE)
    await _grant(owner, await service.fetchval(WHO))
    return tuple(migration.name for migration in todo)


async def _apply(conn: DirectConnection, migration: Migration, record: str) -> None:
    async with conn.transaction():
        await conn.execute(migration.sql)
        await conn.execute(record, migration.number, migration.name, migration.sha256())


async def _grant(owner: DirectConnection, service_role: str) -> None:
    if service_role == await owner.fetchval(WHO):
        return  # one role for both: 'ledger doctor' says what that gives away
    for statement in await owner.fetch(GRANTS, service_role):
        await owner.execute(statement["format"])


async def check_server(conn: DirectConnection, oldest: int = OLDEST_SERVER) -> None:
    """Refuse a server older than ``oldest`` (as in ``server_version_num``).

    Raises:
        ServerTooOld: it is older.
    """
    number = int(await conn.fetchval("show server_version_num"))
    if number < oldest:
        raise ServerTooOld(version=number // 10000)

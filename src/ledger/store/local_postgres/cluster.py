"""How the private PostgreSQL is made and set up: initdb, settings, roles, connection strings."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, LiteralString
from urllib.parse import quote, urlencode

import asyncpg
import msgspec

from ledger.store.local_postgres.folder import Site
from ledger.store.local_postgres.process import Runner
from ledger.store.local_postgres.programs import Programs

OWNER: Final = "ledger_owner"
SERVICE: Final = "ledger_service"
DATABASE: Final = "ledger"
FIRST_WITH_BUILTIN_LOCALE: Final = 17

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "listen_addresses": "",
        "port": "5432",  # names the socket; nothing listens on the network
        "unix_socket_permissions": "0700",
        "shared_buffers": "128MB",
        "max_connections": "100",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_checkpoints": "off",
        "lc_messages": "C",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
)
UNSAFE_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
)

FIND_ROLE: Final[LiteralString] = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_service')"
FIND_DATABASE: Final[LiteralString] = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'ledger')"
# The service is told of its failed statements; in the server's log they would repeat people's data.
CREATE_ROLE: Final[LiteralString] = """
    CREATE ROLE ledger_service LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    ALTER ROLE ledger_service SET log_min_messages = 'log';
"""
CREATE_DATABASE: Final[LiteralString] = "CREATE DATABASE ledger OWNER ledger_owner"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a start of the server needs, the same for each restart."""

    site: Site
    programs: Programs
    runner: Runner
    sockets: Path
    fsync: bool
    settings: Mapping[str, str]

    def server_command(self) -> tuple[str, ...]:
        # A list of folders, in which quotes keep odd characters together.
        sockets = '"' + str(self.sockets).replace('"', '""') + '"'
        settings = {
            **SETTINGS,
            **({} if self.fsync else UNSAFE_SETTINGS),
            "unix_socket_directories": sockets,
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return (self.programs.postgres, "-D", str(self.site.data), *options)

    def initdb_command(self, folder: Path) -> tuple[str, ...]:
        return (*initdb_command(self.programs, folder), *(() if self.fsync else ("--no-sync",)))


def initdb_command(programs: Programs, folder: Path) -> tuple[str, ...]:
    """Name everything that later cannot be changed."""
    return (
        *(programs.initdb, "-D", str(folder), "--username", OWNER, "--encoding", "UTF8"),
        *("--data-checksums", "--auth-local=trust", "--auth-host=reject", "--no-instructions"),
        *_locale_options(programs.major),
    )


def _locale_options(major: int) -> tuple[str, ...]:
    """Sort by code point everywhere, so that no upgrade of the system's locales breaks an index."""
    if major >= FIRST_WITH_BUILTIN_LOCALE:
        return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
    return ("--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C",)


async def ensure_roles(sockets: Path) -> None:
    """Create the service's role and database unless they are there."""
    connection = await asyncpg.connect(url_of(OWNER, "postgres", sockets), timeout=30)
    try:
        if not await connection.fetchval(FIND_ROLE):
            await connection.execute(CREATE_ROLE)  # one message, thus one transaction
        if not await connection.fetchval(FIND_DATABASE):
            await connection.execute(CREATE_DATABASE)
    finally:
        await connection.close()


def url_of(role: str, database: str, sockets: Path) -> str:
    """Name everything in the connection string, so that the caller's PG* variables decide nothing."""
    query = {"host": sockets, "port": 5432, "sslmode": "disable", "target_session_attrs": "any"}
    return f"postgresql://{role}@/{database}?{urlencode(query, quote_via=quote)}"

"""The database of a service, for as long as the service runs: the embedded one is kept alive."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ledger.cli.database import Database, embedded, named
from ledger.cli.guarding import going_on, keep_postgres
from ledger.cli.stopping import Stopping
from ledger.settings import Settings
from ledger.store.local_postgres import server as local_postgres


@asynccontextmanager
async def database_of_service(settings: Settings, stopping: Stopping) -> AsyncIterator[Database]:
    """Give the named database; or start the embedded one, restart it whenever it dies, and stop it in the end.

    Raises:
        DataFolderInUse: another service has the embedded one.
        Unavailable: it does not start; the error says why.
    """
    database = named(settings)
    if database is not None:
        yield database
        return
    started = await local_postgres.start(
        settings.data_dir,
        pg_bin=settings.pg_bin,
        pg_user=settings.pg_user,
        production=settings.is_production,
    )
    async with started as server:
        stopping.server = server
        for sentence in server.warnings:
            warn(sentence + ".")
        async with going_on("postgres", lambda: keep_postgres(server)):
            yield embedded(server)


def warn(sentence: str) -> None:
    """Tell the operator something, whatever the level of the log."""
    print(f"Warning: {sentence}", file=sys.stderr, flush=True)

"""A primary and a standby that streams from it, both private servers of the bundled PostgreSQL."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.folder import site_of
from ledger.store.local_postgres.programs import find_programs
from ledger.store.local_postgres.server import LocalPostgres
from ledger.store.migrate import migrate
from tests.support.databases import Database
from tests.support.postgres_folders import ask, running, socket_folder_of

HANG_GUARD: Final = 60.0
PAUSE: Final = "select pg_wal_replay_pause()"
RESUME: Final = "select pg_wal_replay_resume()"
PAUSED: Final = "select pg_get_wal_replay_pause_state()"


class Pair(msgspec.Struct, kw_only=True):
    """Two servers; ``older`` is a data folder as the primary was when the standby was made."""

    primary: LocalPostgres
    standby: LocalPostgres
    standby_dir: Path
    older: Path

    @property
    def database(self) -> Database:
        """The ledger on the primary."""
        return Database(name="ledger", owner_url=self.primary.owner_url, service_url=self.primary.service_url)

    async def pause(self) -> None:
        """Let the standby receive, and show nothing more of it."""
        await ask(self.standby.owner_url, PAUSE)
        while await ask(self.standby.owner_url, PAUSED) != "paused":
            pass

    async def resume(self) -> None:
        """Let the standby show what it has received."""
        await ask(self.standby.owner_url, RESUME)

    async def start_standby(self) -> None:
        """Start the standby once more after it was stopped."""
        self.standby = await _following(self.standby_dir, self.primary)


@asynccontextmanager
async def streaming(folder: Path) -> AsyncIterator[Pair]:
    """A primary with an empty ledger, and a standby that follows it."""
    async with AsyncExitStack() as stack:
        primary = await stack.enter_async_context(running(folder / "primary"))
        await migrate(primary.owner_url, primary.service_url)
        base_backup(primary, folder / "backup")
        for name in ("standby", "older"):
            restore(folder / "backup", folder / name, owner=site_of(folder / "primary").data.stat())
        (site_of(folder / "standby").data / "standby.signal").touch()
        pair = Pair(
            primary=primary,
            standby=await _following(folder / "standby", primary),
            standby_dir=folder / "standby",
            older=folder / "older",
        )
        try:
            yield pair
        finally:
            await pair.standby.stop()
    shutil.rmtree(folder)


def base_backup(source: LocalPostgres, target: Path) -> None:
    """Copy a server's data while it runs."""
    command = (
        *(find_programs(None).folder / "pg_basebackup", "--host", socket_folder_of(source.owner_url)),
        *("--port", "5432", "--username", "ledger_owner", "--pgdata", target),
        *("--wal-method=stream", "--checkpoint=fast", "--no-sync"),
    )
    subprocess.run(command, check=True, timeout=HANG_GUARD, capture_output=True)


def restore(backup: Path, folder: Path, *, owner: os.stat_result) -> None:
    """Make a service's folder with the backup in it."""
    site = site_of(folder)
    site.home.mkdir(parents=True)
    shutil.copytree(backup, site.data)
    for path in (site.home, *site.home.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


async def _following(folder: Path, primary: LocalPostgres) -> LocalPostgres:
    source = f"host={socket_folder_of(primary.owner_url)} port=5432 user=ledger_owner"
    settings = {"primary_conninfo": source, "wal_retrieve_retry_interval": "100ms"}
    return await local_postgres.start(folder, fsync=False, settings=settings)

"""A base backup of a running service, as docs/operations/backups.md has it: what it holds verifies, on a standby too."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.folder import site_of
from ledger.store.local_postgres.programs import find_programs
from ledger.store.local_postgres.server import LocalPostgres
from tests.support.service import HANG_GUARD, ledger, service

pytestmark = [pytest.mark.processes, pytest.mark.long]

PROGRAMS = find_programs(None).folder
SEALED = "select max(size) from work.notary_checkpoints where published_at is not null"
NOTE = "select note from work.notary_checkpoints where published_at is not null order by size desc limit 1"
INCOMPLETE = 5
"""Verified as far as it goes: without a policy nobody looks whose signature a checkpoint bears."""


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with ``standby``, a data folder made of a base backup, and the ``checkpoint`` of before."""
    top = tmp_path_factory.mktemp("base")
    with asyncio.Runner() as runner, service(settings={"LEDGER_DATA_DIR": str(top / "ledger")}) as running:
        running.register("sam", "analyst")
        source = runner.run(local_postgres.attach(top / "ledger"))
        assert source is not None
        (top / "checkpoint").write_text(runner.run(_checkpoint(source)), "utf-8")
        (top / "backup").mkdir()
        _base_backup(source, top / "backup" / "data")
    yield top
    shutil.rmtree(top / "backup")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that goes with the test: databases are large."""
    yield tmp_path
    shutil.rmtree(tmp_path)


async def _checkpoint(source: LocalPostgres) -> str:
    conn = await asyncpg.connect(source.owner_url)
    async with asyncio.timeout(HANG_GUARD):
        while await conn.fetchval(SEALED) is None:
            await asyncio.sleep(0.05)
    note = await conn.fetchval(NOTE)
    await conn.close()
    return str(note)


def _base_backup(source: LocalPostgres, target: Path) -> None:
    (sockets,) = parse_qs(urlsplit(source.owner_url).query)["host"]
    login = ("--host", sockets, "--port", "5432", "--username", "ledger_owner")
    make = (
        PROGRAMS / "pg_basebackup",
        *login,
        "--pgdata",
        target,
        "--wal-method=stream",
        "--checkpoint=fast",
    )
    for command in (make, (PROGRAMS / "pg_verifybackup", target)):
        subprocess.run(command, check=True, timeout=HANG_GUARD, capture_output=True)


def restored(backup: Path, folder: Path, *files: str) -> dict[str, str]:
    """A folder of a service with the backup in it, and ``files`` that make it more than a copy; its settings."""
    site = site_of(folder)
    site.home.mkdir(parents=True)
    shutil.copytree(backup / "backup" / "data", site.data)
    for name in files:
        (site.data / name).touch()
    owner = site_of(backup / "ledger").data.stat()
    for path in (site.home, *site.home.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    return {"LEDGER_DATA_DIR": str(folder)}


def test_a_base_backup_restores_and_verifies(backup: Path, folder: Path) -> None:
    settings = restored(backup, folder / "copy")

    done = ledger(
        *("audit", "verify", "--database", "--since", str(backup / "checkpoint")), settings=settings
    )

    assert done.returncode == INCOMPLETE, done.stdout + done.stderr


async def test_a_standby_verifies_while_it_follows(backup: Path, folder: Path) -> None:
    restored(backup, folder / "copy", "standby.signal")
    standby = await local_postgres.start(folder / "copy")
    settings = {"LEDGER_DATABASE_URL": standby.service_url, "LEDGER_DATA_DIR": str(folder / "other")}
    try:
        done = await asyncio.to_thread(ledger, "audit", "verify", "--database", settings=settings)
    finally:
        await standby.stop()

    assert done.returncode == INCOMPLETE, done.stdout + done.stderr

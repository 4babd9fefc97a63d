"""deploy/backup/drill.sh on a running service: what it says of a backup that restores, and of one that does not."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncpg
import msgspec
import pytest

from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.programs import find_programs
from tests.support.runbook import ROOT
from tests.support.service import HANG_GUARD, environment, service

pytestmark = [pytest.mark.processes, pytest.mark.long]

DRILL = ROOT / "deploy" / "backup" / "drill.sh"
PROGRAMS = find_programs(None).folder
MAKE_LOGIN = "create role ledger_backup login; grant pg_read_all_data to ledger_backup"
DRILL_DATABASES = "select count(*) from pg_database where datname like 'ledger_drill%'"
SEALED = "select max(size) from work.notary_checkpoints where published_at is not null"


class Site(msgspec.Struct, frozen=True):
    """A ledger in use, read by a login that may do no more, and an empty server, as URLs."""

    source: str
    owner: str
    server: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("drill")
    with asyncio.Runner() as runner, service(settings={"LEDGER_DATA_DIR": str(folder / "ledger")}) as running:
        running.register("sam", "analyst")
        attached = runner.run(local_postgres.attach(folder / "ledger"))
        other = runner.run(local_postgres.start(folder / "other", fsync=False))
        assert attached is not None
        try:
            runner.run(_sealed(attached.owner_url))
            yield Site(
                source=attached.owner_url.replace("ledger_owner", "ledger_backup", 1),
                owner=attached.owner_url,
                server=other.owner_url,
            )
        finally:
            runner.run(other.stop())


async def _sealed(url: str) -> None:
    conn = await asyncpg.connect(url)
    await conn.execute(MAKE_LOGIN)
    async with asyncio.timeout(HANG_GUARD):
        while await conn.fetchval(SEALED) is None:
            await asyncio.sleep(0.05)
    await conn.close()


def drill(site: Site, bin_folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run it where the command and PostgreSQL's programs are on the path, some before them if there are any."""
    ledger = bin_folder / "ledger"
    ledger.write_text(f'#!/bin/sh\nexec {sys.executable} -m ledger "$@"\n', "utf-8")
    ledger.chmod(0o700)
    settings: Mapping[str, str] = {
        "PATH": os.pathsep.join((str(bin_folder), str(PROGRAMS), os.environ["PATH"])),
        "DRILL_SOURCE_URL": site.source,
        "DRILL_SERVER_URL": site.server,
        "LEDGER_ENVIRONMENT": "production",
        **more,
    }
    return subprocess.run(
        ("sh", DRILL),
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=4 * HANG_GUARD,
        check=False,
    )


def ask(url: str, statement: str) -> object:
    async def run() -> object:
        conn = await asyncpg.connect(url)
        try:
            return await conn.fetchval(statement)
        finally:
            await conn.close()

    return asyncio.run(run())


def is_swept(site: Site) -> bool:
    return ask(site.server, DRILL_DATABASES) == 0


def test_a_running_ledger_restores_and_verifies(site: Site, tmp_path: Path) -> None:
    done = drill(site, tmp_path, DRILL_KEEP=str(tmp_path / "kept"))

    assert done.returncode == 0, done.stdout + done.stderr
    said = [
        line.removeprefix("drill: ").partition(":")[0]
        for line in done.stdout.splitlines()
        if line.startswith("drill")
    ]
    assert said == ["before", "dumped", "restored", "compared", "verified", "kept", "the backup restores"]
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"ledger.dump", "checkpoint"}
    assert is_swept(site)


def test_with_a_policy_it_says_who_signed(site: Site, tmp_path: Path) -> None:
    vkey = ask(site.owner, "select vkey from work.notary_standing")
    policy = tmp_path / "policy"
    policy.write_text(f"log {vkey}\nquorum none\n", "utf-8")

    done = drill(site, tmp_path, DRILL_POLICY=str(policy))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "and who signed the checkpoint" in done.stdout


@pytest.mark.parametrize(
    ("mishap", "why"),
    [
        ("delete from ledger.events where position = 2", "the rows do not verify (ledger audit verify: 2)"),
        ("update ledger.events set payload = payload || ' ' where position = 2", "the rows do not verify"),
        ("delete from ledger.events", "the copy ends at position 0"),
        ("update work.notary_checkpoints set root = sha256('')", "the root of"),
        ("update ledger.ledger_identity set namespace = gen_random_uuid()", "the source says"),
    ],
)
def test_a_restore_that_loses_something_is_found_out(
    site: Site, tmp_path: Path, mishap: str, why: str
) -> None:
    """A pg_restore that does its work, and then harm."""
    bad = tmp_path / "pg_restore"
    bad.write_text(
        f'#!/bin/sh\n{PROGRAMS}/pg_restore "$@"\n'
        "for option; do case $option in --dbname=*) url=${option#--dbname=} ;; esac; done\n"
        f'psql -qc "{mishap}" "$url"\n',
        "utf-8",
    )
    bad.chmod(0o700)

    done = drill(site, tmp_path)

    assert done.returncode == 2, done.stdout + done.stderr
    assert f"drill: DIFFERS: {why}" in done.stderr
    assert is_swept(site)


def test_a_server_that_lets_nobody_in_is_a_failure(site: Site, tmp_path: Path) -> None:
    done = drill(site, tmp_path, DRILL_SERVER_URL=site.server.replace("ledger_owner", "nobody", 1))

    assert done.returncode == 1
    assert "drill: FAILED: no database can be made on the server" in done.stderr

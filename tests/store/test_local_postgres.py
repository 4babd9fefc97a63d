"""The private server through its whole life: made, started, killed, abandoned, found again."""

import os
from pathlib import Path

import asyncpg
import pytest
import uvloop

from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.folder import NoPlaceForSocket, Site
from ledger.store.local_postgres.process import is_running
from ledger.store.local_postgres.programs import NoPostgresPrograms
from ledger.store.local_postgres.server import PostgresDidNotStart
from tests.support.postgres_folders import (
    ask,
    copied_folder,
    keeper,
    kill,
    pid_printed_by,
    remember,
    remembered,
    running,
    socket_folder_of,
)


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


async def test_a_first_start_makes_everything_it_needs(scratch: Path):
    async with running(scratch / "not" / "there" / "yet") as server:
        assert await ask(server.service_url, "SELECT current_user::text") == "ledger_service"
        assert await ask(server.service_url, "SELECT current_database()::text") == "ledger"
        assert await ask(server.owner_url, "SELECT current_user::text") == "ledger_owner"
        assert await ask(server.owner_url, "SHOW server_version") == server.version


async def test_the_database_stores_utf8_by_code_point_with_checksums(scratch: Path):
    async with running(scratch / "ledger") as server:
        assert await ask(server.owner_url, "SHOW server_encoding") == "UTF8"
        assert await ask(server.owner_url, "SHOW data_checksums") == "on"
        assert await ask(server.owner_url, "SELECT upper('é') || ('Z' < 'a')::text") == "Étrue"
        assert (
            await ask(server.owner_url, "SELECT datlocale FROM pg_database WHERE datname = 'ledger'")
            == "C.UTF-8"
        )


async def test_the_service_role_is_no_superuser(data_dir: Path):
    async with running(data_dir) as server:
        assert await ask(server.service_url, "SHOW is_superuser") == "off"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ask(server.service_url, "CREATE ROLE another")


async def test_nothing_listens_on_the_network(data_dir: Path):
    async with running(data_dir) as server:
        assert await ask(server.owner_url, "SHOW listen_addresses") == ""
        assert socket_folder_of(server.owner_url).stat().st_mode & 0o777 == 0o700


async def test_data_survive_a_restart(data_dir: Path):
    async with running(data_dir) as server:
        await remember(server, "kept")
    async with running(data_dir) as again:
        assert await remembered(again) == "kept"


async def test_stopping_ends_the_server_and_is_done_once(data_dir: Path, site: Site):
    server = await local_postgres.start(data_dir, fsync=False)
    assert server.is_alive
    await server.stop()
    await server.stop()
    assert not server.is_alive
    assert not is_running(server.pid)
    assert site.pid_file() is None


async def test_the_server_is_out_of_reach_of_ctrl_c(data_dir: Path):
    async with running(data_dir) as server:
        assert os.getsid(server.pid) == server.pid


async def test_the_environment_of_the_caller_decides_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "PGPORT": "1",
        "PGHOST": "elsewhere",
        "PGUSER": "me",
        "PGDATA": "/",
        "LC_ALL": "xx",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "read-only")
    async with running(data_dir) as server:
        assert await ask(server.service_url, "SELECT 1") == 1


async def test_the_server_does_not_inherit_the_secrets_of_the_service(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LEDGER_SECRET_KEY", "a secret")
    async with running(data_dir) as server:
        assert "a secret" not in environment_of(server.pid)


async def test_a_failed_start_shows_the_end_of_the_log_and_gives_the_folder_back(data_dir: Path):
    with pytest.raises(PostgresDidNotStart, match='unrecognized configuration parameter "nonsense"'):
        await local_postgres.start(data_dir, fsync=False, settings={"nonsense": "1"})
    async with running(data_dir) as server:
        assert server.is_alive


async def test_the_log_is_private_and_does_not_grow_with_the_starts(data_dir: Path, site: Site):
    for _ in range(3):
        async with running(data_dir):
            pass
    assert sorted(path.name for path in site.home.glob("server.log*")) == ["server.log", "server.log.1"]
    assert {path.stat().st_mode & 0o777 for path in site.home.glob("server.log*")} == {0o600}


async def test_failed_statements_of_the_service_do_not_repeat_data_in_the_log(data_dir: Path, site: Site):
    async with running(data_dir) as server:
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await ask(server.service_url, "SELECT 'something personal'::int")
    assert "personal" not in site.log.read_text()


async def test_a_long_path_moves_the_socket_to_the_runtime_folder(long_dir: Path):
    async with keeper(long_dir) as service:
        pid_printed_by(service)
        attached = await local_postgres.attach(long_dir)
        assert attached is not None
        assert await ask(attached.service_url, "SELECT 1") == 1
        sockets = socket_folder_of(attached.service_url)
        assert not sockets.is_relative_to(long_dir)
        assert sockets.stat().st_mode & 0o777 == 0o700
        kill(service)
        async with running(long_dir) as server:
            assert server.service_url == attached.service_url
    assert not sockets.exists()


async def test_a_socket_folder_that_somebody_else_made_is_not_used(long_dir: Path, scratch: Path):
    async with running(long_dir) as server:
        sockets = socket_folder_of(server.service_url)
    sockets.symlink_to(scratch)
    try:
        with pytest.raises(NoPlaceForSocket):
            await local_postgres.start(long_dir, fsync=False)
    finally:
        sockets.unlink()


async def test_odd_characters_in_the_path_do_no_harm(made: Path, scratch: Path):
    for name in ('it\'s a %41 "folder" ü', "with, comma"):
        async with running(copied_folder(made, scratch / name)) as server:
            assert await ask(server.service_url, "SELECT 1") == 1


async def test_a_folder_named_for_the_programs_must_hold_them(scratch: Path):
    with pytest.raises(NoPostgresPrograms) as refusal:
        await local_postgres.start(scratch / "ledger", pg_bin=scratch)
    assert refusal.value.context == {"searched": [str(scratch)]}


def test_it_runs_under_uvloop(data_dir: Path):
    async def start_and_ask() -> object:
        async with running(data_dir) as server:
            return await ask(server.service_url, "SELECT 1")

    assert uvloop.run(start_and_ask()) == 1

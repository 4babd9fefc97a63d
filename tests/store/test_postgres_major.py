"""Data of another major version of PostgreSQL are refused, and the commands given do move them."""

import subprocess
from pathlib import Path

import pytest

from ledger.store.local_postgres import server as local_postgres
from ledger.store.local_postgres.folder import Site
from ledger.store.local_postgres.major import OtherMajorVersion
from ledger.store.local_postgres.programs import find_programs, folder_of_major
from tests.support.postgres_folders import ask, remember, remembered, running

older = folder_of_major(15)


async def test_data_of_another_major_version_are_not_touched(data_dir: Path, site: Site):
    version = site.data / "PG_VERSION"
    version.write_text("15\n")
    before = {path: path.lstat().st_mtime_ns for path in site.data.rglob("*")}
    with pytest.raises(OtherMajorVersion) as refusal:
        await local_postgres.start(data_dir, fsync=False)
    assert refusal.value.context["data"] == 15
    assert refusal.value.context["programs"] == find_programs(None).version
    assert "pg_dumpall" in refusal.value.context["dump"]
    assert {path: path.lstat().st_mtime_ns for path in site.data.rglob("*")} == before


@pytest.mark.slow
@pytest.mark.skipif(not older.exists(), reason="there is no PostgreSQL 15 here")
async def test_the_commands_move_the_data_to_the_new_version(scratch: Path):
    data_dir = scratch / "the ledger's"
    async with running(data_dir, pg_bin=older) as server:
        assert server.version.startswith("15.")
        await remember(server, "kept")
    with pytest.raises(OtherMajorVersion) as refusal:
        await local_postgres.start(data_dir, fsync=False)
    for name in ("dump", "set_aside", "restore"):
        subprocess.run(refusal.value.context[name], shell=True, check=True)  # noqa: ASYNC221, S602
    async with running(data_dir) as server:
        assert server.version == find_programs(None).version
        assert await remembered(server) == "kept"
        assert await ask(server.service_url, "SELECT current_user::text") == "ledger_service"

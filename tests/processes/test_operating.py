"""Operators' commands beside a running service, and without one."""

from pathlib import Path

import pytest

from tests.support.databases import Cluster
from tests.support.service import PASSWORD, ledger, service

pytestmark = [pytest.mark.processes, pytest.mark.long]

SAM = ("user", "add", "sam", "--email", "sam@example.org", "--full-name", "Sam", "--password-stdin")


def test_users_come_and_go_beside_a_running_service(data_dir: Path):
    settings = {"LEDGER_DATA_DIR": str(data_dir)}
    with service(settings=settings) as running:
        added = ledger(*SAM, settings=settings, stdin=f"{PASSWORD}\n")
        assert added.returncode == 0, added.stderr
        token = running.login("sam")
        gone = ledger("user", "deactivate", "sam", "--reason", "left", settings=settings)
        assert gone.returncode == 0, gone.stderr
        with running.client(token) as client:
            assert client.get("/api/auth/me").status_code == 401
            answer = client.post("/api/auth/login", data={"username": "sam", "password": PASSWORD})
        assert answer.status_code == 400
        assert "Inactive user" in answer.json()["detail"]
        assert running.stop() == 0


def test_a_user_may_be_added_before_the_first_start(empty_folder: Path):
    settings = {"LEDGER_DATA_DIR": str(empty_folder)}
    added = ledger(*SAM, "--role", "admin", settings=settings, stdin=f"{PASSWORD}\n")
    assert added.returncode == 0, added.stderr
    with service(settings={**settings, "LEDGER_ADMIN_PASSWORD": ""}) as running:
        assert "Password" not in running.output.text()  # somebody is there already
        assert running.login("sam")


async def test_migrating_says_what_it_did_and_then_that_nothing_is_left(postgres: Cluster, tmp_path: Path):
    async with postgres.fresh(template="template0") as empty:
        settings = {
            "LEDGER_DATABASE_URL": empty.service_url,
            "LEDGER_OWNER_DATABASE_URL": empty.owner_url,
            "LEDGER_DATA_DIR": str(tmp_path),
        }
        first, again = ledger("migrate", settings=settings), ledger("migrate", settings=settings)
        assert first.stdout.startswith("applied 0001_ledger.sql\n"), first.stderr
        assert again.stdout.startswith("Nothing to do: the database has all ")
        assert (first.returncode, again.returncode) == (0, 0)
        without_owner = ledger("migrate", settings={**settings, "LEDGER_OWNER_DATABASE_URL": ""})
    assert without_owner.returncode == 1
    assert "LEDGER_OWNER_DATABASE_URL: is needed to migrate" in without_owner.stderr


def test_the_doctor_visits_a_running_service_and_a_stopped_one(data_dir: Path):
    settings = {"LEDGER_DATA_DIR": str(data_dir)}
    with service(settings=settings) as running:
        visited = ledger("doctor", settings=settings)
        assert visited.returncode == 0, visited.stdout
        assert "✓ rights         ledger_service can append to the log" in visited.stdout
        running.stop()
    visited = ledger("doctor", settings=settings)
    assert visited.returncode == 0, visited.stdout
    assert "its PostgreSQL is started for these checks" in visited.stdout
    data_dir.chmod(0o777)
    assert ledger("doctor", settings=settings).returncode == 1
    data_dir.chmod(0o711)

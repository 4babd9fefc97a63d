"""What keeps a service from starting, all of it told at once, in sentences."""

import secrets
import socket
from pathlib import Path

import pytest

from tests.support.databases import Cluster, Database
from tests.support.service import ledger, on_database

pytestmark = pytest.mark.processes

KEY = secrets.token_urlsafe(48)
UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nothing"


def refusal_of(tmp_path: Path, **settings: str) -> str:
    refused = ledger("serve", settings={"LEDGER_DATA_DIR": str(tmp_path / "ledger"), **settings})
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "ledger").exists()
    return refused.stderr


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LEDGER_SECRET_KEY", "", "LEDGER_SECRET_KEY: production needs at least 32 characters"),
        ("LEDGER_SECRET_KEY", "a" * 40, "LEDGER_SECRET_KEY: is easy to guess"),
        ("LEDGER_ADMIN_PASSWORD", "admin123", "LEDGER_ADMIN_PASSWORD: is easy to guess"),
        ("LEDGER_DATABASE_URL", UNREACHABLE, "LEDGER_DATABASE_URL: the database cannot be reached"),
        ("LEDGER_POORT", "1", "LEDGER_POORT: is no setting; the nearest one is LEDGER_PORT"),
    ],
)
def test_production_refuses(tmp_path: Path, variable: str, value: str, said: str):
    settings = {"LEDGER_ENVIRONMENT": "production", "LEDGER_SECRET_KEY": KEY, variable: value}
    assert said in refusal_of(tmp_path, **settings)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path):
    said = refusal_of(
        tmp_path,
        LEDGER_ENVIRONMENT="production",
        LEDGER_CORS_ORIGINS="*",
        LEDGER_DB_POOL_MIN_SIZE="9",
        LEDGER_DATABASE_URL=UNREACHABLE,
        LEDGER_ADMIN_PASSWORD="password1",
        LEDGER_PORTT="1",
    )
    for variable in (
        "LEDGER_SECRET_KEY",
        "LEDGER_CORS_ORIGINS",
        "LEDGER_DB_POOL_MIN_SIZE",
        "LEDGER_DATABASE_URL",
        "LEDGER_ADMIN_PASSWORD",
        "LEDGER_PORTT",
    ):
        assert f"- {variable}: " in said


@pytest.mark.long
def test_port_and_database_are_told_together(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refusal_of(tmp_path, LEDGER_PORT=port, LEDGER_DATABASE_URL=UNREACHABLE)
    assert "- LEDGER_PORT: " in said
    assert "- LEDGER_DATABASE_URL: " in said


@pytest.mark.long
async def test_an_empty_database_without_its_owner_names_the_way_out(postgres: Cluster, tmp_path: Path):
    async with postgres.fresh(template="template0") as empty:
        said = refusal_of(tmp_path, LEDGER_DATABASE_URL=empty.service_url, LEDGER_PORT="0")
    assert "run 'ledger migrate' with LEDGER_OWNER_DATABASE_URL set" in said


@pytest.mark.long
async def test_a_wrong_password_of_the_owner_is_no_crash(database: Database, tmp_path: Path):
    settings = on_database(database, tmp_path / "ledger")
    said = refusal_of(tmp_path, **{**settings, "LEDGER_OWNER_DATABASE_URL": UNREACHABLE})
    assert "- LEDGER_OWNER_DATABASE_URL: the database cannot be reached" in said
    assert "- LEDGER_DATABASE_URL" not in said

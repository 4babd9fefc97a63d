"""What is looked at before a service is let near its database."""

from functools import partial

import asyncpg
import pytest

from ledger.cli import database as looking
from ledger.cli.database import named, problems_with
from ledger.settings import Settings
from ledger.store.migrate import check_server
from tests.support.databases import Cluster, Database


def settings_for(found: Database, *, with_owner: bool = True) -> Settings:
    owner = {"LEDGER_OWNER_DATABASE_URL": found.owner_url} if with_owner else {}
    return Settings.load({"LEDGER_DATABASE_URL": found.service_url, **owner})


async def told(settings: Settings) -> list[str]:
    return [str(problem) for problem in await problems_with(settings)]


async def test_a_sound_database_has_no_problems(database: Database):
    assert await told(settings_for(database)) == []
    assert await told(settings_for(database, with_owner=False)) == []


async def test_the_embedded_one_is_not_looked_at():
    settings = Settings.load({})
    assert named(settings) is None
    assert await told(settings) == []


async def test_a_server_that_is_too_old(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(looking, "check_server", partial(check_server, oldest=990000))
    service, owner = await told(settings_for(database))
    assert service.startswith("LEDGER_DATABASE_URL: is PostgreSQL ")
    assert service.endswith("; version 15 or later is needed.")
    assert owner.startswith("LEDGER_OWNER_DATABASE_URL: is PostgreSQL ")


async def test_an_empty_database_is_no_problem_for_its_owner(postgres: Cluster):
    async with postgres.fresh(template="template0") as empty:
        assert await told(settings_for(empty)) == []
        (lacking,) = await told(settings_for(empty, with_owner=False))
    assert lacking.startswith("LEDGER_DATABASE_URL: the database lacks 0001_ledger.sql, ")


async def test_a_migration_that_was_changed_is_named(database: Database):
    conn = await asyncpg.connect(database.owner_url)
    await conn.execute("update ledger.migrations set sha256 = 'another' where number = 1")
    await conn.close()
    (changed,) = await told(settings_for(database, with_owner=False))
    assert "(0001_ledger.sql)" in changed


async def test_a_wrong_password_or_name_is_told_with_the_servers_words(database: Database):
    url = database.service_url.replace(database.name, "no_such_database")
    (refused,) = await told(Settings.load({"LEDGER_DATABASE_URL": url}))
    assert 'database "no_such_database" does not exist' in refused

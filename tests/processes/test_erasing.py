"""Killed in the middle of an erasure: all of it has happened, or nothing."""

import asyncio
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests.support.databases import Database
from tests.support.scanning import places_of
from tests.support.service import PASSWORD, Service, on_database, service

pytestmark = [pytest.mark.processes, pytest.mark.long]

NAME = "zebulon"
ERASURE = f"/api/subjects/person/{NAME}/erasure"
WAITS = """
select count(*) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock' and query like '%ledger.append%'
"""
EVENTS = "select count(*) from ledger.events where type = 'subject-erased'"


def called(running: Service, by: str, path: str, body: object = None) -> int:
    with running.client(running.login(by)) as client:
        return client.post(path, json=body).status_code


def asked_for(running: Service) -> None:
    running.register("boss", "admin")
    running.register(NAME, "analyst")
    running.login(NAME)
    assert called(running, "admin", f"/api/auth/users/{NAME}/deactivate", {"reason": "left"}) == 200
    assert called(running, "admin", ERASURE, {"basis": "objection", "reason": "ticket 17"}) == 200


async def died_holding_everything(running: Service, database: Database) -> None:
    """Let no append through, wait until the erasure stands before its own, and kill the service there."""
    conn = await asyncpg.connect(database.owner_url)
    look = await asyncpg.connect(database.owner_url)
    try:
        async with asyncio.timeout(60):
            token = await asyncio.to_thread(running.login, "boss")
            async with conn.transaction():
                await conn.execute("select 1 from ledger.ledger_head for update")
                approving = asyncio.create_task(asyncio.to_thread(_approve, running, token))
                while not await look.fetchval(WAITS):
                    await asyncio.sleep(0.02)
                running.process.kill()
                await approving
    finally:
        await conn.close()
        await look.close()


def _approve(running: Service, token: str) -> None:
    with running.client(token) as client, pytest.raises(httpx2.TransportError):
        client.post(f"{ERASURE}/approve")


async def erasures(database: Database) -> int:
    conn = await asyncpg.connect(database.owner_url)
    try:
        return await conn.fetchval(EVENTS)
    finally:
        await conn.close()


def test_who_was_about_to_be_erased_is_there_whole_or_gone(database: Database, tmp_path: Path):
    settings = {**on_database(database, tmp_path), "LEDGER_ADMIN_PASSWORD": PASSWORD}
    with service(settings=settings) as running:
        asked_for(running)
        before = asyncio.run(places_of(database.owner_url, [NAME]))
        asyncio.run(died_holding_everything(running, database))
    with service(settings=settings) as running:
        assert asyncio.run(erasures(database)) == 0
        assert asyncio.run(places_of(database.owner_url, [NAME])) == before

        assert called(running, "boss", f"{ERASURE}/approve") == 200
        running.process.kill()
    with service(settings=settings) as running:
        assert asyncio.run(erasures(database)) == 1
        assert asyncio.run(places_of(database.owner_url, [NAME])) == set()
        assert called(running, "boss", f"{ERASURE}/approve") == 404

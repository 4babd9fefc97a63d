"""Two instances are restarted one after the other under load: nobody who asks again elsewhere sees a failure."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from tests.support.databases import Database
from tests.support.ports import held_port
from tests.support.retrying import RetryingClient, Seen
from tests.support.service import beside, ledger, on_database

pytestmark = [pytest.mark.processes, pytest.mark.long]

CLIENTS = 4
WARM = 40
"""Commands that every state of the fleet has to serve before the next step."""
INCOMPLETE = 5
"""Of a verification: as far as it goes; nobody named a policy."""
WRITTEN = """
select type, stream, count(*) as times from ledger.events
where type in ('decision-submitted', 'decision-resolved') group by type, stream
"""


async def until_served(seen: Seen, more: int = WARM) -> None:
    wanted = seen.answers.total() + more
    async with asyncio.timeout(60):
        while seen.answers.total() < wanted:
            await asyncio.sleep(0.02)


async def test_a_rolling_restart_under_load_fails_no_command_and_doubles_none(
    database: Database, tmp_path: Path
) -> None:
    settings = {
        **on_database(database, tmp_path),
        "LEDGER_SECRET_KEY": "the same on both and long enough",
        "LEDGER_REQUESTS_PER_MINUTE": "1000000",
    }
    seen, stopping, exits = Seen(), asyncio.Event(), []
    async with AsyncExitStack() as stack:
        ports = [stack.enter_context(held_port()) for _ in range(2)]
        choices = [{**settings, "LEDGER_PORT": str(port)} for port in ports]
        fleet = [await stack.enter_async_context(beside(settings=chosen)) for chosen in choices]
        token = await asyncio.to_thread(fleet[0].login)
        urls = [one.url for one in fleet]
        clients = [
            asyncio.create_task(RetryingClient(f"C{number}", urls, token, seen).work(stopping))
            for number in range(CLIENTS)
        ]
        await until_served(seen)
        for place, chosen in enumerate(choices):
            exits.append(await asyncio.to_thread(fleet[place].stop))
            await until_served(seen)  # by the other one alone
            fleet[place] = await stack.enter_async_context(beside(settings=chosen))
            await until_served(seen)
        stopping.set()
        await asyncio.gather(*clients)
        with fleet[0].client(token) as client:
            ready = [client.get(f"{url}/health/ready").json()["failing"] for url in urls]

    print({"answers": seen.answers, "asked again": seen.again, "slowest": seen.slowest})
    assert (exits, ready) == ([0, 0], [[], []])
    assert seen.answers == Counter({200: 2 * len(seen.submitted)})
    assert seen.again, "no client ever met an instance that was going"
    submitted, resolved = await written(database)
    assert (len(submitted), submitted) == (len(seen.submitted), resolved)
    verified = await asyncio.to_thread(ledger, "audit", "verify", "--database", settings=settings)
    assert verified.returncode == INCOMPLETE, verified.stdout + verified.stderr


async def written(database: Database) -> tuple[set[str], set[str]]:
    """Which decisions were submitted, and which resolved; each of them once."""
    owner = await asyncpg.connect(database.owner_url)
    rows = await owner.fetch(WRITTEN)
    await owner.close()
    assert {row["times"] for row in rows} == {1}
    submitted, resolved = (
        {row["stream"] for row in rows if row["type"] == wanted}
        for wanted in ("decision-submitted", "decision-resolved")
    )
    return submitted, resolved

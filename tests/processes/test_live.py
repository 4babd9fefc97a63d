"""Those who stay connected, across processes: told by whatever instance, kept by none that dies, held up by no stop."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from ledger.store.local_postgres.folder import site_of
from tests.support.databases import Database
from tests.support.http import submission, verdict
from tests.support.listening import Events, alerts, events
from tests.support.service import HANG_GUARD, Service, on_database, service

pytestmark = [pytest.mark.processes, pytest.mark.long]

SECRET_KEY = "the same on both and long enough"

WAIT_SECONDS = 55
"""As long as anybody may wait for an answer."""
WAITERS = re.compile(r"^ledger_waiters(?:{.*})? ([0-9.]+)$", re.MULTILINE)


@pytest.fixture
def pair(database: Database, tmp_path: Path) -> Iterator[tuple[Service, Service]]:
    """One serves and works, the other only serves."""
    settings = {**on_database(database, tmp_path), "LEDGER_SECRET_KEY": SECRET_KEY}
    with ExitStack() as stack:
        here = stack.enter_context(service(settings=settings))
        there = stack.enter_context(service("--only", "api", settings=settings))
        yield here, there


def port_of(running: Service) -> int:
    port = urlsplit(running.url).port
    assert port is not None
    return port


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def call(running: Service, token: str, method: str, path: str, body: object = None) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=running.url, timeout=HANG_GUARD, trust_env=False) as client:
        return await client.request(method, path, headers=bearer(token), json=body)


async def submit(running: Service, token: str, name: str) -> None:
    answer = await call(running, token, "POST", "/api/decisions/submit", submission(name))
    assert answer.status_code == 200, answer.text


async def until_waiting(running: Service, token: str, count: int) -> None:
    async with asyncio.timeout(HANG_GUARD):
        while True:
            found = WAITERS.search((await call(running, token, "GET", "/metrics")).text)
            if found is not None and float(found[1]) == count:
                return
            await asyncio.sleep(0.05)


async def names(found: Events, count: int) -> list[object]:
    return [event.told["analysis_id"] for event in await found.take(count)]


async def test_whoever_waits_here_is_told_of_a_verdict_that_was_given_there(
    pair: tuple[Service, Service],
) -> None:
    here, there = pair
    token = here.login()
    await submit(here, token, "CASE-1")
    for name, waits, decides in (("THERE", there, here), ("HERE", here, there)):
        await submit(decides, token, name)
        answer = asyncio.create_task(call(waits, token, "GET", f"/api/decisions/{name}/response?wait=55"))
        await until_waiting(waits, token, 1)
        await call(decides, token, "POST", f"/api/decisions/{name}/decide", verdict(name))

        assert (await answer).json()["status"] == "approved"


async def test_a_follower_of_an_instance_that_is_killed_goes_on_at_another(
    pair: tuple[Service, Service],
) -> None:
    here, there = pair
    token = here.login()
    expected = [f"CASE-{number}" for number in range(40)]

    async def arrive() -> None:
        for name in expected:
            await submit(there, token, name)

    async with events(port_of(here), bearer(token), after=0) as first:
        arriving = asyncio.create_task(arrive())
        seen = await names(first, 10)
        here.signal(signal.SIGKILL)
        try:
            while (event := await first.next()) is not None:
                seen.append(event.told["analysis_id"])
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
    async with events(port_of(there), bearer(token), last_id=first.last_id) as second:
        seen += await names(second, len(expected) - len(seen))
    await arriving

    assert seen == expected


async def test_a_stop_waits_for_nobody_who_stays_connected(data_dir: Path) -> None:
    with service(settings={"LEDGER_DATA_DIR": str(data_dir)}) as running:
        token = running.login()
        await submit(running, token, "CASE-1")
        async with AsyncExitStack() as stack:
            found = await stack.enter_async_context(events(port_of(running), bearer(token)))
            socket = await stack.enter_async_context(alerts(port_of(running), "admin", bearer(token)))
            await socket.next()
            path = f"/api/decisions/CASE-1/response?wait={WAIT_SECONDS}"
            answers = [asyncio.create_task(call(running, token, "GET", path)) for _ in range(5)]
            await until_waiting(running, token, 5)
            began = time.monotonic()
            running.signal()
            goodbye = await found.next()
            code, _ = await socket.closed()
            statuses = {(await answer).status_code for answer in answers}
        assert await asyncio.to_thread(running.wait) == 0
        seconds = time.monotonic() - began

    assert goodbye is not None
    assert goodbye.told == {"reason": "stopping"}
    assert (code, statuses) == (1001, {404})
    assert seconds < WAIT_SECONDS / 2, "it waited for those who wait"
    assert "Waiting for" not in running.output.rest()


async def test_a_stream_outlives_the_database_and_misses_nothing(data_dir: Path) -> None:
    with service(settings={"LEDGER_DATA_DIR": str(data_dir)}) as running:
        token = running.login()
        async with events(port_of(running), bearer(token)) as found:
            await submit(running, token, "BEFORE")
            assert await names(found, 1) == ["BEFORE"]
            pid = int((site_of(data_dir).data / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(running.output.until, "postgres.restarted")
            async with asyncio.timeout(HANG_GUARD):
                while (
                    await call(running, token, "POST", "/api/decisions/submit", submission("AFTER"))
                ).status_code == 503:
                    await asyncio.sleep(0.1)

            assert await names(found, 1) == ["AFTER"]
        running.stop()

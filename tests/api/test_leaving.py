"""A stop says goodbye to those who stay connected, and hangs up on whoever does not even read that."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from litestar import WebSocket
from structlog.testing import capture_logs

from ledger.api import exporting, stream
from ledger.api.history import file as history_file
from ledger.delivery.live import Live
from tests.api.answers import submit
from tests.support.databases import Database
from tests.support.listening import HANG_GUARD, Events, Reached, alerts, events, reachable
from tests.support.sealed_log import seal

GAVE_UP = "service.stopping.gave_up"
"""What is said when ten seconds were not enough for what is under way."""
MUCH = 16_000_000
"""Bytes: several times what the buffers on the way take from who is sent it and reads nothing (some 4 MB on Linux)."""


@pytest.fixture
async def stopped() -> AsyncIterator[AsyncExitStack]:
    """What is entered here is left, so stopped, when the test says so."""
    async with AsyncExitStack() as stack:
        yield stack


async def until_deaf(found: Events, live: Live) -> None:
    """Read no more, and wait until what is sent gets stuck."""
    found.writer.transport.pause_reading()
    async with asyncio.timeout(HANG_GUARD):
        while not live.connected():
            await asyncio.sleep(0.01)


async def took_leave(stack: AsyncExitStack) -> list[str]:
    with capture_logs() as logs:
        await stack.aclose()
    return [line["event"] for line in logs if line["event"].startswith("service.")]


async def test_a_follower_that_reads_nothing_holds_up_no_stop(
    database: Database, stopped: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_frame", lambda told: b": %d\n\n" % told.position + b"x" * MUCH)
    reached: Reached = await stopped.enter_async_context(reachable(database))
    admin = await reached.api.login()
    async with events(reached.port, admin) as found:
        await until_deaf(found, reached.api.services.live)
        for number in range(4):
            await submit(reached.api, admin, f"CASE-{number}")

        assert GAVE_UP not in await took_leave(stopped)


async def history(_: Reached, __: dict[str, str]) -> str:
    return "/api/audit/events?format=ndjson"


async def export(reached: Reached, by: dict[str, str]) -> str:
    await seal(reached.api.ledger)
    begun = await reached.api.client.post("/api/audit/exports", headers=by, json={"tier": "payload"})
    return f"/api/audit/exports/{begun.json()['export_id']}/payloads"


@pytest.mark.parametrize("place_of", [history, export])
async def test_a_file_that_nobody_reads_on_holds_up_no_stop(
    database: Database,
    stopped: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
    place_of: Callable[[Reached, dict[str, str]], Awaitable[str]],
) -> None:
    monkeypatch.setattr(history_file, "_written", lambda *_: b"x" * MUCH)
    monkeypatch.setattr(exporting, "lines_of", lambda _: b"x" * MUCH)
    reached: Reached = await stopped.enter_async_context(reachable(database))
    admin = await reached.api.login()
    place = await place_of(reached, admin)
    reader, writer = await asyncio.open_connection("127.0.0.1", reached.port)
    writer.write(
        f"GET {place} HTTP/1.1\r\nHost: x\r\nAuthorization: {admin['Authorization']}\r\n\r\n".encode()
    )
    assert b"200" in await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len(f"{MUCH:x}\r\nx"))  # it has begun to send the lines
    writer.transport.pause_reading()

    said = await took_leave(stopped)
    writer.close()

    assert GAVE_UP not in said


async def test_a_desk_that_reads_no_alerts_holds_up_no_stop(
    database: Database, stopped: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends = WebSocket.send_text

    async def much(socket: WebSocket, data: str) -> None:
        await sends(socket, data + " " * MUCH)

    reached: Reached = await stopped.enter_async_context(reachable(database))
    admin = await reached.api.login()
    async with alerts(reached.port, "admin", admin) as found:
        await found.next()
        found.socket.transport.pause_reading()
        monkeypatch.setattr(WebSocket, "send_text", much)
        await submit(reached.api, admin, "CASE-1")

        assert GAVE_UP not in await took_leave(stopped)
        found.socket.transport.abort()

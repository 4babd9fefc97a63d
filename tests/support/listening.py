"""A service in this process on a port of its own, and clients that stay connected to it."""

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ledger.cli.http import serving_door
from ledger.cli.port import open_port, port_of, take_port
from ledger.settings import Settings
from tests.support.databases import Database
from tests.support.http import Api, cheap_passwords, serving

HANG_GUARD: Final = 60.0


class Reached(msgspec.Struct, frozen=True):
    """The application, and the port at which it can be reached."""

    api: Api
    port: int


@asynccontextmanager
async def reachable(database: Database, **choices: object) -> AsyncIterator[Reached]:
    sockets = take_port("127.0.0.1", 0)
    open_port(sockets)
    async with (
        serving(database, passwords=cheap_passwords(), settings=choices) as api,
        serving_door(api.door, api.services.live, Settings(), sockets),
    ):
        yield Reached(api, port_of(sockets))


class Event(msgspec.Struct, frozen=True):
    """A server-sent event: its id, its type and what its data say."""

    id: int
    type: str
    told: dict[str, object]


class Events:
    """A client of an event stream."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, head: bytes) -> None:
        self._reader, self.writer, self.head = reader, writer, head.decode()
        self.last_id = 0
        self.comments: list[str] = []

    async def next(self) -> Event | None:
        """The next event; ``None``: the stream has ended."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(HANG_GUARD):
            while line := await self._line():
                if line != "\n":
                    self._take(line.rstrip("\n"), fields)
                    continue
                if "data" in fields:
                    told = json.loads(fields["data"])
                    return Event(self.last_id, fields["event"], told)
                fields = {}
        return None

    async def take(self, count: int) -> list[Event]:
        events = [await self.next() for _ in range(count)]
        assert None not in events
        return [event for event in events if event is not None]

    def _take(self, line: str, fields: dict[str, str]) -> None:
        name, _, value = line.partition(": ")
        if name == "id":
            self.last_id = int(value)
        if name:
            fields[name] = value
        else:
            self.comments.append(value)

    async def _line(self) -> str:
        """A line of the body; it is chunked, a whole number of lines a chunk."""
        if not self._left:
            size = int((await self._reader.readline()).strip() or b"0", 16)
            if size == 0:
                return ""
            chunk = await self._reader.readexactly(size + 2)
            self._left = chunk[:-2].decode().splitlines(keepends=True)
        return self._left.pop(0)

    _left: list[str] = []  # noqa: RUF012 - replaced, never changed


@asynccontextmanager
async def events(
    port: int, by: dict[str, str], *, after: int | None = None, last_id: int | None = None
) -> AsyncIterator[Events]:
    """Follow the events until the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    query = "" if after is None else f"?after={after}"
    headers = by if last_id is None else {**by, "Last-Event-ID": str(last_id)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET /api/stream{query} HTTP/1.1\r\nHost: here\r\n{lines}\r\n".encode())
    try:
        async with asyncio.timeout(HANG_GUARD):
            head = await reader.readuntil(b"\r\n\r\n")
        yield Events(reader, writer, head)
    finally:
        writer.transport.abort()


class Alerts:
    """A client of the WebSocket of alerts."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._first: str | bytes | None = None

    async def begin(self) -> None:
        """Wait for the first message, which says from where alerts are told: what happens from now on is among them."""
        with suppress(ConnectionClosed):  # refused, as whoever looks will see
            async with asyncio.timeout(HANG_GUARD):
                self._first = await self.socket.recv()

    async def next(self) -> dict[str, object]:
        """The next message, whatever it is."""
        first, self._first = self._first, None
        async with asyncio.timeout(HANG_GUARD):
            return dict(json.loads(first or await self.socket.recv()))

    async def take(self, count: int) -> list[dict[str, object]]:
        """The next alerts; heartbeats do not prolong the waiting."""
        found: list[dict[str, object]] = []
        async with asyncio.timeout(HANG_GUARD):
            while len(found) < count:
                message = await self.next()
                if message["type"] == "alert":
                    alert = message["alert"]
                    assert isinstance(alert, dict)
                    found.append(alert)
        return found

    async def say(self, **message: object) -> dict[str, object]:
        """Send a message; the answer."""
        await self.socket.send(json.dumps(message))
        return await self.next()

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait for the end: its code and reason."""
        async with asyncio.timeout(HANG_GUARD):
            await self.socket.wait_closed()
        return self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def alerts(
    port: int, username: str, by: dict[str, str], *, after: int | str | None = None
) -> AsyncIterator[Alerts]:
    """Be connected for alerts until the end of the block."""
    token = by["Authorization"].removeprefix("Bearer ")
    query = "" if after is None else f"&after={after}"
    url = f"ws://127.0.0.1:{port}/ws/{username}?token={token}{query}"
    async with connect(url, proxy=None, compression=None) as socket:
        found = Alerts(socket)
        await found.begin()
        yield found

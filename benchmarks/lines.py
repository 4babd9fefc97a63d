"""Connections that ask and read answers, as light as can be: whoever asks must not be what is measured.

A client library costs more for a request than the service does for its answer. Here a request is bytes that are put
together once, and of an answer nothing is read but its status, its length and what the caller looks for.
"""

import asyncio
from asyncio import Future, Protocol, Transport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from benchmarks.subject import LostOrDoubled

END_OF_HEAD: Final = b"\r\n\r\n"
LENGTH: Final = b"\r\ncontent-length: "
STATUS: Final = slice(9, 12)


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came back; the head as it was sent."""

    status: bytes
    head: bytes
    body: bytes


class Line(Protocol):
    """One kept connection; it carries one request at a time."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: Future[Answer] | None = None

    @classmethod
    async def to(cls, url: str) -> Self:
        split = urlsplit(url)
        _, line = await asyncio.get_running_loop().create_connection(cls, split.hostname, split.port)
        return line

    def connection_made(self, transport: Transport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LostOrDoubled(f"the connection was closed: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        ends = self._received.find(END_OF_HEAD)
        if ends < 0 or self._answer is None:
            return
        head, begins = self._received[:ends].lower(), ends + len(END_OF_HEAD)
        stated = head.find(LENGTH)
        length = int(head[stated + len(LENGTH) :].split(b"\r", 1)[0]) if stated >= 0 else 0
        if len(self._received) >= begins + length:
            answer = Answer(head[STATUS], head, self._received[begins:])
            self._received = b""
            self._answer.set_result(answer)

    async def ask(self, request: bytes) -> Answer:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def hang_up(self) -> None:
        self._transport.abort()


class Lines:
    """A fixed number of connections to one service."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines
        self._free: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        for line in lines:
            self._free.put_nowait(line)

    async def ask(self, request: bytes) -> Answer:
        """Ask on a connection that is free, once one is."""
        line = await self._free.get()
        try:
            return await line.ask(request)
        finally:
            self._free.put_nowait(line)


@asynccontextmanager
async def opened(url: str, count: int) -> AsyncIterator[Lines]:
    """Open ``count`` connections for the time of the block, and no others."""
    lines = [await Line.to(url) for _ in range(count)]
    try:
        yield Lines(lines)
    finally:
        for line in lines:
            line.hang_up()


def request(method: str, path: str, *, token: str = "", body: bytes = b"") -> bytes:
    """Put a request together."""
    head = [f"{method} {path} HTTP/1.1", "Host: bench"]
    if token:
        head.append(f"Authorization: Bearer {token}")
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode() + END_OF_HEAD + body

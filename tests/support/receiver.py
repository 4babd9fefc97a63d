"""A receiver of webhooks: a real HTTP server in this process, that answers whatever its test wants."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import msgspec
from standardwebhooks import Webhook

HANG: Final = None
"""As an answer: none, until the sender hangs up."""

Answer: TypeAlias = bytes | None


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    def verified_by(self, secret: str) -> dict[str, object]:
        """What the library of the specification makes of it; it raises if the signature is wrong."""
        return Webhook(secret).verify(self.body, self.headers)


def answering(status: int, *headers: str, body: bytes = b"") -> bytes:
    """A complete answer."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Receiver:
    """What came in, and what is answered: ``answer`` may be another from one request to the next."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], Answer] = lambda _: answering(204)
        self.around: Callable[[Received, int], None] = lambda _request, _change: None
        self.seconds = 0.0
        self.busy = 0
        self.busiest = 0
        self.port = 0
        self.scheme = "http"
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook?from=ledger"

    def answers(self, answer: Answer) -> None:
        self.answer = lambda _: answer

    async def count(self, wanted: int) -> list[Received]:
        """Wait until so many requests have come."""
        async with asyncio.timeout(90), self._news:
            await self._news.wait_for(lambda: len(self.received) >= wanted)
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        received = Received(target=head[0].split(" ")[1], headers=headers, body=body)
        self.busy += 1
        self.around(received, 1)
        self.busiest = max(self.busiest, self.busy)
        try:
            async with self._news:
                self.received.append(received)
                self._news.notify_all()
            await asyncio.sleep(self.seconds)
            answer = self.answer(received)
            if answer is HANG:
                await reader.read()  # until the other side hangs up
                return False
            writer.write(answer)
            await writer.drain()
        finally:
            self.busy -= 1
            self.around(received, -1)
        return True


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls, limit=2**20)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.scheme = "http" if tls is None else "https"
    try:
        yield receiver
    finally:
        server.close()

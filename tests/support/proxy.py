"""A line to the database that can be cut: forwards bytes between a socket of its own and the real one.

It knows nothing of the protocol. It can hold back what the server answers, from the moment a client has sent
certain bytes, so that a commit goes through and its answer does not; it can say something else in its place.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from ledger.store.postgres_folder import SOCKET_NAME

CHUNK: Final = 65536


class _Line:
    """One client's connection, both its ends."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.is_held = False

    def cut(self) -> None:
        for end in (self.client, self.server):
            end.transport.abort()


class Proxy:
    """Forwards; counts what clients send; holds, cuts and forges answers when told to."""

    def __init__(self, target: str, folder: Path) -> None:
        """Stand before the server of the URL ``target``, with a socket in ``folder``."""
        self.url = _through(target, folder)
        self.sent = 0
        self.held = asyncio.Event()
        self._target = target
        self._path = folder / SOCKET_NAME
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hold_after: bytes | None = None

    def hold_answers(self, after: bytes) -> None:
        """Let no answer through on the first line on which a client sends ``after``; ``held`` tells that it has."""
        self.held.clear()
        self._hold_after = after

    def say(self, instead: bytes) -> None:
        """Send these bytes to every client, as if the server had."""
        for line in self._lines:
            line.client.write(instead)

    def cut(self) -> None:
        """Let the lines that are held die; others and new ones live."""
        for line in self._held():
            line.cut()

    def cut_all(self) -> None:
        """Let every line die."""
        for line in tuple(self._lines):
            line.cut()

    async def serve(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self._accept, self._path)

    async def close(self) -> None:
        self.cut_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _held(self) -> list[_Line]:
        return [line for line in self._lines if line.is_held]

    def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve_one(reader, client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_one(self, asks: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            answers, server = await _connect(self._target)
        except OSError:
            client.transport.abort()
            return
        line = _Line(client, server)
        self._lines.add(line)
        try:
            await asyncio.gather(self._ask(asks, line), self._answer(answers, line))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._lines.discard(line)
            line.cut()

    async def _ask(self, asks: asyncio.StreamReader, line: _Line) -> None:
        while chunk := await asks.read(CHUNK):
            self.sent += len(chunk)
            if self._hold_after is not None and self._hold_after in chunk:
                self._hold_after = None
                line.is_held = True
                self.held.set()
            line.server.write(chunk)
            await line.server.drain()
        line.cut()

    async def _answer(self, answers: asyncio.StreamReader, line: _Line) -> None:
        while chunk := await answers.read(CHUNK):
            if not line.is_held:
                line.client.write(chunk)
                await line.client.drain()
        line.cut()


@contextlib.asynccontextmanager
async def proxy(target: str) -> AsyncIterator[Proxy]:
    """Stand before ``target``, in a folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:
        made = Proxy(target, Path(folder))
        async with await made.serve():
            try:
                yield made
            finally:
                await made.close()


async def _connect(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    split = urlsplit(target)
    folder = parse_qs(split.query).get("host")
    if folder:
        return await asyncio.open_unix_connection(Path(folder[0], SOCKET_NAME))
    return await asyncio.open_connection(split.hostname, split.port or 5432)


def _through(target: str, folder: Path) -> str:
    split = urlsplit(target)
    login = split.netloc.rpartition("@")[0]
    query = urlencode({"host": folder, "port": 5432, "sslmode": "disable"}, quote_via=quote)
    return urlunsplit(split._replace(netloc=f"{login}@", query=query))

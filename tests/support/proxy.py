"""A line to the database that can be cut: forwards bytes between a socket of its own and the real one.

It knows nothing of the protocol. It can hold back what the server answers, from the moment a client has sent
certain bytes, so that a commit goes through and its answer does not; it can say something else in its place. It can
be a bad line as well: slow, one that breaks off in the middle of an answer, or one through which nothing gets.
"""

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from ledger.store.local_postgres.folder import SOCKET_NAME

CHUNK: Final = 65536


class _Line:
    """One client's connection, both its ends."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.is_held = self.is_lost = False
        self.answers = 0

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
        self._delay = 0.0
        self._whole_answers: int | None = None
        self._refuses = False
        self._passes = asyncio.Event()
        self._passes.set()

    def delay(self, seconds: float) -> None:
        """Let every piece of an answer be so late from now on."""
        self._delay = seconds

    def truncate(self, after: int) -> None:
        """Cut the line in the middle of every answer that comes after so many whole ones; of none: see ``heal``."""
        self._whole_answers = after

    def block(self) -> None:
        """Let nothing through in either direction, and nobody know."""
        self._passes.clear()

    def lose(self) -> None:
        """Let nothing through ever again on the lines there are, and nobody know; new ones are good."""
        for line in self._lines:
            line.is_lost = True

    def refuse(self) -> None:
        """Let every line die, and every new one at once."""
        self._refuses = True
        self.cut_all()

    def heal(self) -> None:
        """Be a good line again; what was held back by ``block`` arrives now."""
        self._delay, self._whole_answers, self._refuses = 0.0, None, False
        self._passes.set()

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
            if self._refuses:
                raise ConnectionRefusedError
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
            await self._passes.wait()
            if not line.is_lost:
                line.server.write(chunk)
                await line.server.drain()
        line.cut()

    async def _answer(self, answers: asyncio.StreamReader, line: _Line) -> None:
        while chunk := await answers.read(CHUNK):
            await self._passes.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            if self._is_to_break(line):
                line.client.write(chunk[: len(chunk) // 2])
                await line.client.drain()
                break
            if not (line.is_held or line.is_lost):
                line.client.write(chunk)
                await line.client.drain()
        line.cut()

    def _is_to_break(self, line: _Line) -> bool:
        line.answers += 1
        return self._whole_answers is not None and line.answers > self._whole_answers


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


class Outlet:
    """A proxy in a thread of its own, for tests that have no loop."""

    def __init__(self, made: Proxy, loop: asyncio.AbstractEventLoop) -> None:
        self.url = made.url
        self.proxy = made
        self._loop = loop

    def do(self, act: Callable[..., None], *binds: float) -> None:
        """Call a method of the proxy where it runs."""

        async def done() -> None:
            act(*binds)

        asyncio.run_coroutine_threadsafe(done(), self._loop).result()


@contextlib.contextmanager
def outlet(target: str) -> Iterator[Outlet]:
    """Stand before ``target`` for the time of the block."""
    stopped, begun = asyncio.Event(), threading.Event()
    made: list[Outlet] = []

    async def stand() -> None:
        async with proxy(target) as standing:
            made.append(Outlet(standing, asyncio.get_running_loop()))
            begun.set()
            await stopped.wait()

    thread = threading.Thread(target=lambda: asyncio.run(stand()), name="proxy")
    thread.start()
    assert begun.wait(60)
    try:
        yield made[0]
    finally:
        made[0].do(stopped.set)
        thread.join()


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

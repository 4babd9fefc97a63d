"""Real services for tests: a ``ledger serve`` of its own process, folder or database, and port."""

import asyncio
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import httpx2
import msgspec

from ledger.store.local_postgres.folder import site_of
from ledger.store.local_postgres.process import end_leftovers
from tests.support.databases import Database

HANG_GUARD: Final = 180.0
"""Seconds after which a test gives up on a process; says nothing about how long anything may take."""
ADMIN: Final = "admin"
PASSWORD: Final = "correct horse battery staple"
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})
END_OF_OUTPUT: Final = None


class Output:
    """What a process prints, line by line as it comes; what was read is kept in ``lines``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(END_OF_OUTPUT)

    def until(self, wanted: str) -> str:
        """Read until a line that holds ``wanted``."""
        while (line := self._next()) is not END_OF_OUTPUT:
            if wanted in line:
                return line
        raise AssertionError(f"it ended without saying {wanted!r}: {self.text()}")

    def rest(self) -> str:
        """Read to the end; everything that was ever printed."""
        while self._next() is not END_OF_OUTPUT:
            pass
        return self.text()

    def drained(self) -> list[str]:
        """Take what has come so far, without waiting; all lines."""
        while not self._queue.empty():
            self._next()
        return self.lines

    def text(self) -> str:
        return "\n".join(self.lines)

    def _next(self) -> str | None:
        try:
            line = self._queue.get(timeout=HANG_GUARD)
        except queue.Empty:
            raise AssertionError(f"it hangs after: {self.text()}") from None
        if line is END_OF_OUTPUT:
            self._queue.put(END_OF_OUTPUT)
        else:
            self.lines.append(line)
        return line


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A running service; what it prints and logs comes out of one ``output``."""

    process: subprocess.Popen[str]
    output: Output
    url: str

    def client(self, token: str | None = None) -> httpx2.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=HANG_GUARD, trust_env=False)

    def login(self, username: str = ADMIN, password: str = PASSWORD) -> str:
        """Log in; the access token."""
        with self.client() as client:
            answer = client.post("/api/auth/login", data={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def register(self, username: str, role: str) -> None:
        """Let somebody in with the usual password."""
        body = {
            "username": username,
            "email": f"{username}@example.org",
            "password": PASSWORD,
            "full_name": username.title(),
            "role": role,
        }
        with self.client(self.login()) as client:
            answer = client.post("/api/auth/register", json=body)
        assert answer.status_code == 200, answer.text

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(HANG_GUARD)

    def stop(self) -> int:
        """Stop it as an operator would; its exit code."""
        self.signal()
        return self.wait()


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: ours, without our own LEDGER_ names."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


def on_database(database: Database, data_dir: Path) -> dict[str, str]:
    """Settings for a service on a test's database; ``data_dir`` keeps its secret key."""
    return {
        "LEDGER_DATABASE_URL": database.service_url,
        "LEDGER_OWNER_DATABASE_URL": database.owner_url,
        "LEDGER_DATA_DIR": str(data_dir),
    }


def ledger(
    *arguments: str, settings: Mapping[str, str] = NO_SETTINGS, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        (sys.executable, "-m", "ledger", *arguments),
        env=environment(settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )


@contextmanager
def command(
    *arguments: str, settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[tuple[subprocess.Popen[str], Output]]:
    """A command under way, with both its outputs in one; killed at the end of the block if it still runs."""
    process = subprocess.Popen(
        (sys.executable, "-m", "ledger", *arguments),
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process, Output(process)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(HANG_GUARD)
                except subprocess.TimeoutExpired:
                    process.kill()


@contextmanager
def service(*arguments: str, settings: Mapping[str, str]) -> Iterator[Service]:
    """A ``ledger serve`` that is ready, on a free port unless the settings choose one.

    The administrator is ``ADMIN`` with ``PASSWORD`` unless the settings say otherwise.
    """
    chosen = {"LEDGER_PORT": "0", "LEDGER_ADMIN_PASSWORD": PASSWORD, **settings}
    with command("serve", *arguments, settings=chosen) as (process, output):
        url = output.until("Service  ").split()[-1] if "workers" not in arguments else ""
        output.until(" is ready after ")
        yield Service(process=process, output=output, url=url)


@asynccontextmanager
async def beside(*arguments: str, settings: Mapping[str, str]) -> AsyncIterator[Service]:
    """A service as ``service`` gives it, started and ended beside the loop of the caller, where others go on."""
    entered = service(*arguments, settings=settings)
    started = await asyncio.to_thread(entered.__enter__)
    try:
        yield started
    finally:
        await asyncio.to_thread(entered.__exit__, None, None, None)


async def end_orphans(data_dir: Path) -> None:
    """Stop the PostgreSQL that a killed service left behind."""
    await end_leftovers(site_of(data_dir).data)

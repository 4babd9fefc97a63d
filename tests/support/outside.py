"""A PostgreSQL outside of the service, on loopback: killed, started, followed by a standby that is promoted."""

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import asyncpg

from ledger.store.local_postgres.process import Runner, _at_work_in, choose_runner, spawn
from ledger.store.local_postgres.programs import Programs, find_programs
from ledger.store.pool import LOST
from tests.support.ports import held_port
from tests.support.service import HANG_GUARD

NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})
OWNER: Final = "ledger_owner"
SERVICE: Final = "ledger_service"
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "lc_messages": "C",
    "timezone": "UTC",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "wal_receiver_timeout": "5s",
}


class Outside:
    """One server; its ``folder`` holds the data and the log."""

    def __init__(self, folder: Path, port: int, *, settings: Mapping[str, str] = NO_SETTINGS) -> None:
        self.port = port
        self.data = folder / "data"
        self._folder, self._settings = folder, {**SETTINGS, **settings}
        self._programs: Programs = find_programs(None)
        self._runner: Runner = choose_runner(
            self._programs, folder, owner=folder.stat().st_uid, pg_user=None, production=False
        )
        os.chown(folder, self._runner.owner, self._runner.group)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def owner_url(self) -> str:
        return url_of(OWNER, self.address)

    @property
    def service_url(self) -> str:
        return url_of(SERVICE, self.address)

    def make(self) -> None:
        """Make it, empty but for the logins and the database of a service, and start it."""
        options = ("--username", OWNER, "--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "trust")
        self._run(self._programs.initdb, "-D", str(self.data), *options, "--no-instructions", "--no-sync")
        self.start()
        self.ask(f"create role {SERVICE} login", database="postgres")
        self.ask(f"create database ledger owner {OWNER}", database="postgres")

    def follow(self, primary: "Outside") -> None:
        """Make it a standby of ``primary``, and start it."""
        where = ("--host", "127.0.0.1", "--port", str(primary.port), "--username", OWNER)
        self._run(
            str(self._programs.folder / "pg_basebackup"),
            *("--pgdata", str(self.data), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            *where,
        )
        self.start()

    def start(self) -> None:
        """Start it, and return once it answers."""
        settings = {**self._settings, "port": str(self.port)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._process = spawn(
                (self._programs.postgres, "-D", str(self.data), *options), self._runner, self.data, log
            )
        finally:
            os.close(log)
        self.wait()

    def wait(self) -> None:
        """Return once it answers."""
        deadline = time.monotonic() + HANG_GUARD
        while True:
            try:
                self.ask("select 1", database="postgres")
            except (*LOST, asyncpg.PostgresError):
                assert time.monotonic() < deadline, (self._folder / "log").read_text()[-3000:]
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """Let it die as a machine does: all of its processes at once."""
        assert self._process is not None
        while pids := _at_work_in(self.data):
            for pid in pids:
                with_signal(pid, signal.SIGKILL)
            self._process.poll()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(HANG_GUARD)
            except subprocess.TimeoutExpired:
                self.kill()

    def freeze(self) -> None:
        """Let every one of its processes hang."""
        for pid in _at_work_in(self.data):
            with_signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in _at_work_in(self.data):
            with_signal(pid, signal.SIGCONT)

    def ask(self, question: str, *, database: str = "ledger") -> object:
        """Ask it as its owner."""

        async def asked() -> object:
            conn = await asyncpg.connect(url_of(OWNER, self.address, database), timeout=HANG_GUARD)
            try:
                return await conn.fetchval(question)
            finally:
                await conn.close()

        return asyncio.run(asked())

    def until(self, question: str) -> None:
        """Return once the answer is something, and not 0."""
        deadline = time.monotonic() + HANG_GUARD
        while not self.ask(question):
            assert time.monotonic() < deadline, f"never: {question}"
            time.sleep(0.05)

    def _run(self, *command: str) -> None:
        log = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            process = spawn(command, self._runner, self._folder, log)
            code = process.wait(HANG_GUARD)
        finally:
            os.close(log)
        assert code == 0, (self._folder / "log").read_text()


def url_of(role: str, address: str, database: str = "ledger", **options: str) -> str:
    """A URL of one address or several, separated by commas."""
    query = "&".join(f"{name}={value}" for name, value in {"sslmode": "disable", **options}.items())
    return f"postgresql://{role}@{address}/{database}?{query}"


def settings_of(service_url: str, owner_url: str, data_dir: Path) -> dict[str, str]:
    """Settings of a service on such a server."""
    return {
        "LEDGER_DATABASE_URL": service_url,
        "LEDGER_OWNER_DATABASE_URL": owner_url,
        "LEDGER_DATA_DIR": str(data_dir),
    }


@contextmanager
def outside(*, settings: Mapping[str, str] = NO_SETTINGS) -> Iterator[Outside]:
    """A server, not made yet; stopped and thrown away after the block.

    Its folder is right below the one for temporary files: other runs close the ones that pytest makes to its user.
    """
    with tempfile.TemporaryDirectory(prefix="outside-") as folder, held_port() as port:
        Path(folder).chmod(0o755)
        made = Outside(Path(folder), port, settings=settings)
        try:
            yield made
        finally:
            made.stop()


def with_signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return

"""A redis-server of the test's own, on a port of its own, that keeps nothing on disk."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.support.ports import held_port

REQUIRED: Final = "required"
MISSING: Final = "there is no redis-server here"
HANG_GUARD: Final = 60.0


class RedisServer(msgspec.Struct, kw_only=True):
    """A running server; ``freeze`` makes it hang, ``kill`` takes it away, ``start`` brings it back, empty."""

    folder: Path
    port: int
    process: "subprocess.Popen[str] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ("--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--daemonize", "no")
        self.process = subprocess.Popen(
            ("redis-server", "--port", str(self.port), "--dir", str(self.folder), *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "Ready to accept connections" in line:
                return
        raise AssertionError("redis-server did not start")

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate(timeout=HANG_GUARD)
            self.process = None


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A server for the time of the block; without the program the test is skipped, or fails where it is required."""
    if shutil.which("redis-server") is None:
        if os.environ.get("LEDGER_TEST_REDIS") == REQUIRED:
            pytest.fail(f"{MISSING}, and LEDGER_TEST_REDIS says that there must be")
        pytest.skip(MISSING)
    with held_port() as port:
        server = RedisServer(folder=folder, port=port)
        server.start()
        try:
            yield server
        finally:
            server.kill()

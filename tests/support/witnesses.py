"""Real witnesses for tests: a ``ledger witness serve`` of its own process and folder."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2
import msgspec

from tests.support.service import HANG_GUARD, Output, command

WITNESS: Final = "witness.example/"


class ServedWitness(msgspec.Struct, frozen=True, kw_only=True):
    """A running witness."""

    process: subprocess.Popen[str]
    output: Output
    url: str
    vkey: str

    def add(self, body: bytes) -> httpx2.Response:
        return httpx2.post(f"{self.url}/add-checkpoint", content=body, trust_env=False, timeout=HANG_GUARD)

    def introduction(self) -> str:
        return httpx2.get(self.url, trust_env=False, timeout=HANG_GUARD).text

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(HANG_GUARD)


def arguments(folder: Path, *vkeys: str, name: str = "w1", listen: str = "127.0.0.1:0") -> tuple[str, ...]:
    """What a witness with all its files in one folder is started with."""
    logs = [word for vkey in vkeys for word in ("--log", vkey)]
    files = ("--key", str(folder / "key"), "--state", str(folder / "state"))
    return ("witness", "serve", *files, "--listen", listen, "--name", WITNESS + name, *logs)


@contextmanager
def served_witness(
    folder: Path, *vkeys: str, name: str = "w1", listen: str = "127.0.0.1:0"
) -> Iterator[ServedWitness]:
    """A witness that listens."""
    with command(*arguments(folder, *vkeys, name=name, listen=listen)) as (process, output):
        vkey = output.until("Public key").split()[-1]
        url = output.until("Listening").split()[-1]
        yield ServedWitness(process=process, output=output, url=url, vkey=vkey)

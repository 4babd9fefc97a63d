"""The disk of a data folder is full: nothing is written until there is room again, and then all goes on."""

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from ledger.store.local_postgres import server as local_postgres
from tests.support.reliability import Row
from tests.support.service import Service, service
from tests.support.traffic import UNLIMITED, traffic

pytestmark = [pytest.mark.processes, pytest.mark.long]

MEGABYTE: Final = 1024 * 1024
SIZE: Final = 256 * MEGABYTE
REQUIRED: Final = "required"


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own, in memory; only root may mount one."""
    with tempfile.TemporaryDirectory(prefix="small-disk-") as folder:
        mount = ("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "ledger-test", folder)
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            if os.environ.get("LEDGER_TEST_MOUNT") == REQUIRED:
                pytest.fail(f"a small disk cannot be mounted: {done.stderr}")
            pytest.skip(f"a small disk cannot be mounted: {done.stderr}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(("umount", "--lazy", folder), check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Take all the room there is, again and again in the block: what is freed meanwhile too."""
    filler = disk / "filler"
    try:
        fill(filler)
        yield
    finally:
        filler.unlink()


def fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file:
        for size in (MEGABYTE, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def owner_url(data_dir: Path) -> str:
    server = asyncio.run(local_postgres.attach(data_dir))
    assert server is not None
    return server.owner_url


def degraded(running: Service) -> list[str]:
    with running.client() as client:
        return list(client.get("/health/ready").json()["degraded"])


def test_the_disk_is_full(record: Callable[[Row], None]) -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk())
        data_dir = disk / "ledger"
        running = stack.enter_context(service(settings={"LEDGER_DATA_DIR": str(data_dir), **UNLIMITED}))
        load = stack.enter_context(traffic(running, owner_url(data_dir)))
        with load.flowing(), load.trouble() as trouble:
            with filled(disk):
                for _ in range(30):
                    time.sleep(0.5)
                    fill(disk / "filler")
                    if trouble.codes() and "appends" in degraded(running):
                        break
                else:
                    pytest.fail("readiness never said that nothing is written")
                time.sleep(2)
            trouble.over()
        trouble.check(within=30)
        assert "appends" not in degraded(running)
        assert trouble.codes()
        assert running.stop() == 0
    record(trouble.row("the disk is full, that of the embedded PostgreSQL with its log and the data folder"))

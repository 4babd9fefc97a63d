"""Data folders for real services: one was served from before, and is copied for each test that wants one."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres_folders import copied_folder
from tests.support.service import end_orphans, service


@pytest.fixture(scope="session")
def served_before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a migrated database in it and the usual administrator."""
    folder = tmp_path_factory.mktemp("served") / "ledger"
    with service(settings={"LEDGER_DATA_DIR": str(folder)}) as running:
        assert running.stop() == 0, running.output.rest()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def empty_folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder that is not there yet; whatever is at work in it ends with the test."""
    folder = tmp_path / "ledger"
    yield folder
    asyncio.run(end_orphans(folder))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data_dir(served_before: Path, empty_folder: Path) -> Path:
    """A data folder in which a service has been before."""
    return copied_folder(served_before, empty_folder)

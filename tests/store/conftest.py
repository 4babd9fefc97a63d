"""Data folders of private servers, made once and copied for each test."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store.local_postgres.folder import Site, site_of
from tests.support.postgres_folders import copied_folder, made_folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = made_folder(tmp_path_factory.mktemp("made") / "ledger")
    yield made
    shutil.rmtree(made)


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder that goes with the test: pytest would keep gigabytes of databases."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture
def data_dir(made: Path, scratch: Path) -> Path:
    """A data folder in which a server has been before."""
    return copied_folder(made, scratch / "ledger")


@pytest.fixture
def long_dir(made: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same below a path too long for a socket; /tmp is the one other place for it."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(Path(os.sep, "tmp")))
    return copied_folder(made, scratch / ("long" * 25))


@pytest.fixture
def site(data_dir: Path) -> Site:
    return site_of(data_dir)

"""Commands run in this process: their logging is taken back, their settings are the test's own."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from ledger.settings import TEST_PREFIX
from tests.support.databases import Database
from tests.support.service import on_database


@pytest.fixture(autouse=True)
def logging_taken_back() -> Iterator[None]:
    handlers, level = logging.root.handlers, logging.root.level
    yield
    logging.root.handlers, logging.root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("LEDGER_") and not name.startswith(TEST_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def installed(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An installation on a database of this test's own; its settings are in the environment."""
    for name, value in on_database(database, tmp_path / "ledger").items():
        monkeypatch.setenv(name, value)
    return database

"""Commands run in this process: their logging is taken back, their settings are the test's own."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import structlog

from ledger.__main__ import main
from ledger.settings import TEST_PREFIX
from tests.support.databases import Database
from tests.support.service import NO_SETTINGS, on_database


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


@pytest.fixture
def ledger_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., CompletedProcess[str]]:
    """Runs one command to its end, all of it, in this process: to start one takes longer than most commands."""

    def run(*words: str, settings: Mapping[str, str] = NO_SETTINGS) -> CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["ledger", *words])
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        shown = capsys.readouterr()
        return CompletedProcess(words, code, shown.out, shown.err)

    return run

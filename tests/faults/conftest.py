"""Rows for the table of docs/reliability.md: a test of this folder hands over what it saw, ``make reliability`` writes.

Each test that breaks something takes ``record`` and calls it last, once, with a ``Row`` without its ``test``. Where
LEDGER_RELIABILITY is set and all tests have passed, their rows replace those of the same tests in the document.
"""

import os
from collections.abc import Callable
from typing import Final

import msgspec
import pytest

from tests.support.reliability import DOCUMENT, FAULTS, Row, rewritten

ROWS: Final = pytest.StashKey[list[Row]]()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[Row], None]:
    """Take the row of this test."""

    def take(row: Row) -> None:
        test = request.node.nodeid.removeprefix(FAULTS)
        request.config.stash.setdefault(ROWS, []).append(msgspec.structs.replace(row, test=test))
        print(row.written())

    return take


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    rows = session.config.stash.get(ROWS, [])
    if rows and exitstatus == pytest.ExitCode.OK and os.environ.get("LEDGER_RELIABILITY"):
        DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8"), rows), encoding="utf-8")

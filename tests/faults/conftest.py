"""Rows for the table of docs/reliability.md: a test of this folder hands over what it saw, ``make reliability`` writes.

Each test that breaks something takes ``record`` and calls it last, once, with a ``Row`` without its ``test``. Where
LEDGER_RELIABILITY is set and all tests have passed, their rows replace those of the same tests in the document.

Rows about a database on another machine share one: one server, one line to it, one service and its clients, who live
through all of it.
"""

import os
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import pytest

from tests.support.outside import Outside, outside, settings_of
from tests.support.proxy import Outlet, outlet
from tests.support.reliability import DOCUMENT, FAULTS, Row, rewritten
from tests.support.service import Service, service
from tests.support.traffic import UNLIMITED, Traffic, traffic

ROWS: Final = pytest.StashKey[list[Row]]()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[Row], None]:
    """Take the row of this test."""

    def take(row: Row) -> None:
        test = request.node.nodeid.removeprefix(FAULTS)
        seen = msgspec.structs.replace(row, test=test)
        request.config.stash.setdefault(ROWS, []).append(seen)
        print(seen.written())

    return take


@pytest.fixture(scope="package")
def server() -> Iterator[Outside]:
    """A PostgreSQL on loopback, outside of the service."""
    with outside() as made:
        made.make()
        yield made


@pytest.fixture(scope="package")
def line(server: Outside) -> Iterator[Outlet]:
    """The line to it."""
    with outlet(server.service_url) as made:
        yield made


@pytest.fixture(scope="package")
def running(server: Outside, line: Outlet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service at the other end of the line."""
    settings = settings_of(line.url, server.owner_url, tmp_path_factory.mktemp("ledger"))
    with service(settings={**settings, **UNLIMITED}) as begun:
        yield begun


@pytest.fixture(scope="package")
def shared_load(running: Service, server: Outside) -> Iterator[Traffic]:
    with traffic(running, server.owner_url) as made:
        yield made


@pytest.fixture
def load(shared_load: Traffic) -> Iterator[Traffic]:
    """The clients of that service, who rest from one test to the next."""
    with shared_load.flowing():
        yield shared_load


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    rows = session.config.stash.get(ROWS, [])
    if rows and exitstatus == pytest.ExitCode.OK and os.environ.get("LEDGER_RELIABILITY"):
        DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8"), rows), encoding="utf-8")

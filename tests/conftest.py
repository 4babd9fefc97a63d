"""What every test may ask for: a PostgreSQL, a database of its own, an open ledger."""

import gc
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from ledger.store.ledger import Ledger
from tests.support.databases import Cluster, Database, cluster

# A shell starts what runs in its background with Ctrl-C ignored, and programs pass that on to those they start: the
# commands under test would be deaf.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Faults are provoked by the hundred: to draw each with every variable around it takes longer than most tests.
structlog.get_config()["processors"][-1].exception_formatter = structlog.dev.plain_traceback


def pytest_collection_finish() -> None:
    """Let nobody look for garbage in what stays to the end: half a million objects, again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One server for the whole run (one a worker when tests run in parallel)."""
    with cluster(tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture
async def database(postgres: Cluster) -> AsyncIterator[Database]:
    """A database of this test's own, at this release's shape."""
    async with postgres.fresh() as found:
        yield found


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    """An open ledger in a database of its own, through the service's narrow role."""
    async with await Ledger.open(database.service_url) as opened:
        yield opened

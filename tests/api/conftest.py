"""The application over a database of the test's own, or of a module whose tests do not get in each other's way."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.identity.house import MovingClock
from tests.support.databases import Cluster, Database
from tests.support.desk import Desk
from tests.support.http import ADMIN, Api, cheap_passwords, serving


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """The application in this process, with an administrator."""
    async with serving(database, passwords=cheap_passwords()) as served:
        yield served


@pytest.fixture
async def second(api: Api, database: Database) -> AsyncIterator[Api]:
    """Another instance of the application over the same database."""
    async with serving(database, passwords=cheap_passwords()) as served:
        yield served


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
async def timed(database: Database, clock: MovingClock) -> AsyncIterator[Api]:
    """The application by a clock that stands still until the test moves it."""
    async with serving(database, clock=clock, passwords=cheap_passwords()) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(postgres: Cluster) -> AsyncIterator[Api]:
    """One application for a module: for refusals and other calls that leave nothing behind."""
    async with postgres.fresh() as database, serving(database, passwords=cheap_passwords()) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: Api) -> dict[str, str]:
    """The administrator of the shared application."""
    return await shared.login()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def analyst(shared: Api) -> dict[str, str]:
    """An analyst of the shared application."""
    return await shared.newcomer("sam")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(shared: Api) -> Desk:
    """The shared application with a submitting machine and another, three analysts and two administrators."""
    found = Desk(shared)
    for name, role in (
        (ADMIN, "admin"),
        ("engine", "service"),
        ("other-engine", "service"),
        ("ana", "analyst"),
        ("ben", "analyst"),
        ("sam", "analyst"),
        ("ada", "admin"),
        ("vic", "viewer"),
    ):
        await found.seat(name, role)
    return found

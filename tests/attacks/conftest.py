"""What is attacked: a real service over HTTP, or two of them on one database, asked in turn."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from tests.attacks.site import SECRET_KEY, Person, Site
from tests.support.databases import Cluster
from tests.support.redis import redis_server
from tests.support.service import on_database, service

GENEROUS: Final = {
    "LEDGER_SECRET_KEY": SECRET_KEY,
    "LEDGER_LOG_FORMAT": "json",
    "LEDGER_LOG_LEVEL": "debug",
    "LEDGER_REGISTRATIONS_PER_MINUTE": "10000",
    "LEDGER_FAILED_LOGINS_PER_ADDRESS": "10000",
    "LEDGER_CORS_ORIGINS": "https://console.example.org",
}


@pytest.fixture(scope="session", params=["one", pytest.param("two", marks=pytest.mark.long)])
def site(
    request: pytest.FixtureRequest, postgres: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A fresh installation: one service, or two that share a database and a Redis."""
    folder = tmp_path_factory.mktemp("site")
    with asyncio.Runner() as runner, ExitStack() as stack:
        fresh = postgres.fresh()
        database = runner.run(fresh.__aenter__())
        stack.callback(lambda: runner.run(fresh.__aexit__(None, None, None)))
        settings = {**on_database(database, folder / "data"), **GENEROUS}
        if request.param == "two":
            settings["LEDGER_REDIS_URL"] = stack.enter_context(redis_server(folder)).url
        services = [stack.enter_context(service(settings=settings))]
        if request.param == "two":
            services.append(stack.enter_context(service(settings=settings)))
        clients = [stack.enter_context(running.client()) for running in services]
        yield Site(services=services, database=database, clients=itertools.cycle(clients))


@pytest.fixture(scope="session")
def admin(site: Site) -> Person:
    return site.log_in("admin")


@pytest.fixture(scope="session")
def sam(site: Site, admin: Person) -> Person:
    """An analyst."""
    return site.newcomer("sam", "analyst", by=admin)


@pytest.fixture(scope="session")
def vic(site: Site, admin: Person) -> Person:
    """A viewer."""
    return site.newcomer("vic", "viewer", by=admin)


@pytest.fixture(scope="session")
def engine(site: Site, admin: Person) -> Person:
    """A service account."""
    return site.newcomer("engine", "service", by=admin)

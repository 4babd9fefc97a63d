"""The database dies or hangs, and comes back."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.outside import Outside, outside, settings_of
from tests.support.reliability import Row
from tests.support.service import Service, service
from tests.support.traffic import UNLIMITED, found_once, traffic

pytestmark = [pytest.mark.processes, pytest.mark.long]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with outside(tmp_path_factory.mktemp("outside") / "server") as made:
        yield made


@pytest.fixture(scope="module")
def running(server: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = settings_of(server.service_url, server.owner_url, tmp_path_factory.mktemp("ledger"))
    with service(settings={**settings, **UNLIMITED}) as begun:
        yield begun


def test_the_server_is_killed_and_started_again(
    running: Service, server: Outside, record: Callable[[Row], None]
) -> None:
    with traffic(running) as load, load.trouble() as trouble:
        server.kill()
        server.start()
        trouble.over()
    trouble.check(within=30)
    found_once(load, running, server.owner_url)
    record(trouble.row("the database server is killed and started again"))

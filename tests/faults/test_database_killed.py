"""The database server dies, all of its processes at once, and is started again."""

from collections.abc import Callable

import pytest

from tests.support.outside import Outside
from tests.support.reliability import Row
from tests.support.traffic import Traffic

pytestmark = [pytest.mark.processes, pytest.mark.long]


def test_the_server_is_killed_and_started_again(
    load: Traffic, server: Outside, record: Callable[[Row], None]
) -> None:
    with load.trouble() as trouble:
        server.kill()
        server.start()
        trouble.over()
    trouble.check(within=20)
    record(trouble.row("the database server is killed and started again"))

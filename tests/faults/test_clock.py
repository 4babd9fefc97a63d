"""The clock of the service's machine leaps, forwards and back; that of the database stays right."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.outside import Outside, settings_of
from tests.support.reliability import Row
from tests.support.service import service
from tests.support.traffic import UNLIMITED, traffic

pytestmark = [pytest.mark.processes, pytest.mark.long]

REQUIRED: Final = "required"
PLACES: Final = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib")


@pytest.fixture
def library() -> str:
    """The library that tells a process another time."""
    found = [path for place in PLACES if (path := Path(place, "faketime", "libfaketime.so.1")).exists()]
    if not found:
        if os.environ.get("LEDGER_TEST_FAKETIME") == REQUIRED:
            pytest.fail("there is no libfaketime here")
        pytest.skip("there is no libfaketime here: install Debian's package faketime")
    return str(found[0])


def test_the_clock_leaps(
    library: str, server: Outside, tmp_path: Path, record: Callable[[Row], None]
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0", "utf-8")
    server.ask("create database clocked owner ledger_owner")
    fake = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    urls = [url.replace("/ledger?", "/clocked?") for url in (server.service_url, server.owner_url)]
    settings = {**settings_of(*urls, tmp_path / "ledger"), **UNLIMITED, **fake}
    with service(settings=settings) as running, traffic(running, urls[1]) as load:
        with load.flowing(), load.trouble() as trouble:
            for leap in ("+2h", "-20m", "+0"):
                clock.write_text(leap, "utf-8")
                time.sleep(3)
            trouble.over()
        trouble.check(within=20, refusals=(401, 503))
    record(
        trouble.row(
            "the clock of the service leaps two hours ahead, then behind, and is right again",
            sees=f"{trouble.seen()}: a token from another time is refused, clients log in again",
        )
    )

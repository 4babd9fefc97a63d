"""Redis dies or hangs under load: limits are counted by process until it is back, and no request fails for it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.support.databases import Database
from tests.support.redis import RedisServer, redis_server
from tests.support.reliability import Row
from tests.support.service import HANG_GUARD, Service, on_database, service
from tests.support.traffic import UNLIMITED, Traffic, Trouble, traffic

pytestmark = [pytest.mark.processes, pytest.mark.long]

BREAKER = 'ledger_circuit_breakers{guards="redis",'
GONE_SECONDS = 6.0
"""Longer than the breaker rests, so that it is half open in between."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


def breaker_of(running: Service) -> str:
    """The state that the metrics tell."""
    with running.client() as client:
        lines = client.get("/metrics").text.splitlines()
    (line,) = [one for one in lines if one.startswith(BREAKER) and one.endswith(" 1.0")]
    return line.partition('state="')[2].partition('"')[0]


def degraded(running: Service) -> list[str]:
    with running.client() as client:
        answer = client.get("/health/ready")
    assert answer.status_code == 200
    return list(answer.json()["degraded"])


def until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_GUARD
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def broken(
    running: Service, load: Traffic, begin: Callable[[], None], end: Callable[[], None]
) -> tuple[Trouble, float]:
    """A fault to its end and on until limits are counted together again, so many seconds later; no request fails."""
    with load.flowing(), load.trouble() as trouble:
        begin()
        until(lambda: breaker_of(running) != "closed")
        assert degraded(running) == ["limits-by-process"]
        time.sleep(max(0.0, trouble.began + GONE_SECONDS - time.monotonic()))
        end()
        over = time.monotonic()
        trouble.over()
        until(lambda: (breaker_of(running), degraded(running)) == ("closed", []))
        normal_after = time.monotonic() - over
    assert trouble.codes() == set(), "a request failed for it"
    trouble.check(within=10)
    return trouble, normal_after


def test_redis_is_killed_and_comes_back_empty_then_hangs(
    database: Database, tmp_path: Path, redis: RedisServer, record: Callable[[Row], None]
) -> None:
    settings = {**on_database(database, tmp_path), **UNLIMITED, "LEDGER_REDIS_URL": redis.url}
    with service(settings=settings) as running:
        with traffic(running, database.owner_url) as load:
            killed, after_kill = broken(running, load, redis.kill, redis.start)
            hung, after_hang = broken(running, load, redis.freeze, redis.thaw)
        running.stop()
        said = running.output.rest()
    assert said.count("breaker.opened") == said.count("breaker.closed") >= 2
    assert "limits.redis.away" in said
    row = hung.row(
        "Redis is killed, and comes back empty; then it hangs",
        sees="200; each process counts limits for itself",
    )
    slowest = max(row.slowest, killed.row("").slowest)
    record(msgspec.structs.replace(row, slowest=slowest, normal_after=max(after_kill, after_hang)))

"""The standby that answers reads is killed, and comes back: a whole service goes on reading from the primary."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import httpx2
import pytest

from tests.support.http import submission
from tests.support.reliability import Row
from tests.support.service import HANG_GUARD, Service, on_database, service
from tests.support.standbys import streaming

pytestmark = [pytest.mark.processes, pytest.mark.long]


class _Client:
    """Somebody who writes and reads; what took longest is kept."""

    def __init__(self, running: Service) -> None:
        self.slowest = 0.0
        self._client = running.client(running.login())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> httpx2.Response:
        began = time.monotonic()
        answer = self._client.get(path)
        self.slowest = max(self.slowest, time.monotonic() - began)
        assert answer.status_code == 200, answer.text
        return answer

    def writes_and_reads(self, name: str) -> bool:
        self._client.post("/api/decisions/submit", json=submission(name)).raise_for_status()
        return self.reads(name)

    def reads(self, name: str) -> bool:
        shown = [item["analysis_id"] for item in self.get("/api/decisions/pending?limit=100").json()]
        told = self.get("/api/audit/events?type=decision-submitted&order=desc&limit=1").json()
        return name in shown and len(told["events"]) == 1

    def degraded(self) -> list[str]:
        return self.get("/health/ready").json()["degraded"]

    def answered_by_standby(self) -> float:
        lines = self.get("/metrics").text.splitlines()
        wanted = 'ledger_standby_reads_total{answered="standby"'
        return sum(float(line.split()[-1]) for line in lines if line.startswith(wanted))


def test_killed_standby(tmp_path: Path, record: Callable[[Row], None]) -> None:
    with asyncio.Runner() as runner:
        pairs = streaming(tmp_path / "pair")
        pair = runner.run(pairs.__aenter__())
        try:
            settings = {
                **on_database(pair.database, tmp_path / "data"),
                "LEDGER_READ_DATABASE_URL": pair.standby.service_url,
            }
            with ExitStack() as stack:
                running = stack.enter_context(service(settings=settings))
                client = stack.enter_context(_Client(running))
                assert client.writes_and_reads("before")
                _until(lambda: client.reads("before") and client.answered_by_standby() > 0)
                _until(lambda: client.degraded() == [])

                os.kill(pair.standby.pid, signal.SIGKILL)
                client.slowest = 0.0
                assert client.writes_and_reads("while-it-was-dead")
                _until(lambda: client.degraded() == ["read-standby"])
                assert "standby.away" in running.output.until("reason=unreachable")
                assert client.writes_and_reads("while-nobody-asked-it")

                began, before = time.monotonic(), client.answered_by_standby()
                runner.run(pair.standby.stop())
                runner.run(pair.start_standby())
                running.output.until("standby.asked")
                assert client.writes_and_reads("after")
                _until(lambda: client.reads("after") and client.answered_by_standby() > before)
                _until(lambda: client.degraded() == [])
                normal_after = time.monotonic() - began
                running.stop()
        finally:
            runner.run(pairs.__aexit__(None, None, None))
    record(
        Row(
            fault="the standby that answers reads is killed, and started again",
            clients_see="every read, from the primary, with their own writes",
            slowest=client.slowest,
            normal_after=normal_after,
        )
    )


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_GUARD
    while not holds():
        assert time.monotonic() < deadline

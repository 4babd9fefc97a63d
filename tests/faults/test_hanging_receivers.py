"""Receivers of webhooks take messages and never answer: no other receiver waits for that, and no request does."""

import asyncio
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2
import msgspec
import pytest

from tests.support.databases import Database
from tests.support.http import submission
from tests.support.receiver import HANG, Answer, Received, Receiver, answering, receiving
from tests.support.reliability import Row
from tests.support.service import HANG_GUARD, Service, on_database, service
from tests.support.traffic import UNLIMITED, traffic

pytestmark = [pytest.mark.processes, pytest.mark.long]

HANGING: Final = 9
AT_ONCE: Final = 4
"""Messages of one webhook on their way: nine times four is more than there are places for those that are quick."""
MESSAGES: Final = 6
"""To each: enough to open its breaker."""
NAMES: Final = tuple(f"E-{number}" for number in range(MESSAGES))
MEANWHILE: Final = "MEANWHILE"
BREAKERS: Final = re.compile(
    r'^ledger_circuit_breakers\{guards="webhook",.*state="([a-z-]+)"\} ([0-9.]+)$', re.MULTILINE
)


class Receivers:
    """Nine that hang until they are healed, and one that is well, all at one port."""

    def __init__(self, receiver: Receiver) -> None:
        self.is_healed = False
        self.well = 0
        self.hanging = self.most_hanging = 0
        self.receiver = receiver
        receiver.answer, receiver.around = self._answer, self._count

    def urls(self) -> list[str]:
        return [*(f"{self.receiver.url}&hang={number}" for number in range(HANGING)), self.receiver.url]

    def _count(self, request: Received, change: int) -> None:
        if "hang" in request.target:
            self.hanging += change
            self.most_hanging = max(self.most_hanging, self.hanging)

    def _answer(self, request: Received) -> Answer:
        if "hang" in request.target:
            return answering(204) if self.is_healed else HANG
        self.well += 1
        return answering(204)


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    """In a thread of their own."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        entered = receiving()
        receiver = runner.run(entered.__aenter__())
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        yield Receivers(receiver)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(HANG_GUARD)
        runner.run(entered.__aexit__(None, None, None))


class Desk:
    """An administrator, and a machine that submits what the webhooks are told of: the load is told to nobody."""

    def __init__(self, running: Service) -> None:
        running.register("engine", "service")
        self._admin = running.client(running.login())
        self._engine = running.client(running.login("engine"))

    def register(self, url: str) -> str:
        wanted = {"url": url, "submitter": "engine", "topics": ["decision.submitted"]}
        return str(_done(self._admin.post("/api/webhooks", json=wanted))["webhook_id"])

    def submit(self, *names: str) -> None:
        for name in names:
            _done(self._engine.post("/api/decisions/submit", json=submission(name)))

    def breakers(self) -> dict[str, int]:
        text = self._admin.get("/metrics").text
        return {state: int(float(count)) for state, count in BREAKERS.findall(text) if float(count)}

    def deliveries(self, webhook: str) -> Counter[str]:
        return Counter(one["state"] for one in self._admin.get(f"/api/webhooks/{webhook}/deliveries").json())

    def close(self) -> None:
        self._admin.close()
        self._engine.close()


@contextmanager
def desk(running: Service) -> Iterator[Desk]:
    made = Desk(running)
    try:
        yield made
    finally:
        made.close()


def until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 2 * HANG_GUARD
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _done(answer: httpx2.Response) -> dict[str, object]:
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_nine_receivers_hang(
    database: Database, tmp_path: Path, receivers: Receivers, record: Callable[[Row], None]
) -> None:
    allowed = {"LEDGER_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1"}
    with (
        service(settings={**on_database(database, tmp_path), **UNLIMITED, **allowed}) as running,
        desk(running) as asked,
        traffic(running, database.owner_url) as load,
    ):
        hanging = [asked.register(url) for url in receivers.urls()][:-1]
        with load.flowing(), load.trouble() as trouble:
            asked.submit(*NAMES)
            until(lambda: receivers.well == MESSAGES)
            assert asked.breakers() == {"closed": HANGING + 1}, "the one that is well waited for the others"
            until(lambda: receivers.most_hanging >= HANGING * AT_ONCE)
            until(lambda: asked.breakers() == {"open": HANGING, "closed": 1})
            asked.submit(MEANWHILE)
            until(lambda: receivers.well == MESSAGES + 1)
            receivers.is_healed = True
            over = time.monotonic()
            trouble.over()
            until(lambda: asked.breakers() == {"closed": HANGING + 1})
            normal_after = time.monotonic() - over
        load.acknowledged += [*NAMES, MEANWHILE]
        assert trouble.codes() == set(), "a request failed for it"
        trouble.check(within=10)
        until(lambda: all(asked.deliveries(webhook)["delivered"] for webhook in hanging))
        told = [asked.deliveries(webhook) for webhook in hanging]
        running.output.until("breaker.closed")

    assert {sum(one.values()) for one in told} == {MESSAGES + 1}
    assert all(one["dead"] == 0 < one["delivered"] for one in told)
    row = trouble.row("nine receivers of webhooks hang", sees="200; other receivers are told as ever")
    record(msgspec.structs.replace(row, normal_after=normal_after))

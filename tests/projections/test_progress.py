"""Whoever wrote sees it, on every instance; a view that stands still keeps nobody waiting."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine

import asyncpg
import pytest

from ledger.domain.ids import Position
from ledger.projections.progress import Progress
from ledger.projections.views.decisions import DECISIONS
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import Ledger
from tests.projections.counting import Counting, ends, make_table, seen
from tests.projections.given import HANG, Service, service, until
from tests.support.databases import Database

ASKED_FOR = 30.0
"""Seconds that somebody would wait; it comes to one, on a machine that has other things to do to a few."""


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
async def worker(database: Database, ledger: Ledger, counting: Counting) -> AsyncIterator[Service]:
    """The process that feeds the view."""
    await make_table(ledger)
    async with service(database, [counting.projection]) as found:
        await until(found.runner.is_ready)
        yield found


class Reader:
    """A process that only serves requests: it has no runner."""

    def __init__(self, database: Database, ledger: Ledger, counting: Counting) -> None:
        self.database, self.ledger = database, ledger
        self.progress = Progress(ledger, [counting.projection])
        self.listeners = set[int]()

    async def backends(self) -> set[int]:
        owner = await asyncpg.connect(self.database.owner_url)
        try:
            rows = await owner.fetch("select pid from pg_stat_activity where datname = current_database()")
            return {row["pid"] for row in rows} - {owner.get_server_pid()}
        finally:
            await owner.close()

    async def terminate(self, pids: set[int]) -> None:
        owner = await asyncpg.connect(self.database.owner_url)
        try:
            await owner.execute("select pg_terminate_backend(p) from unnest($1::integer[]) p", list(pids))
        finally:
            await owner.close()


@pytest.fixture
async def reader(database: Database, counting: Counting, worker: Service) -> AsyncIterator[Reader]:
    found = Reader(database, await Ledger.open(database.service_url), counting)
    before = await found.backends()
    async with found.ledger:
        await until(found.ledger.signals.is_connected)
        found.listeners = await found.backends() - before
        found.progress.start()
        yield found
        await found.progress.stop()


@pytest.mark.usefixtures("no_bound")
async def test_a_write_is_seen_by_the_process_that_feeds_the_view(ledger: Ledger, worker: Service) -> None:
    for _ in range(20):
        head = await ends(worker.ledger)
        assert await worker.progress.wait_for(["counting"], head, HANG) == ()
        assert (await seen(ledger))[-1] == head


@pytest.mark.usefixtures("no_bound")
async def test_a_write_is_seen_in_a_process_that_feeds_nothing(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a notification: the look at the checkpoints is too far away to help."""
    monkeypatch.setattr("ledger.projections.progress.LOOK_EVERY", 3600.0)
    for _ in range(20):
        head = await ends(reader.ledger)
        assert await reader.progress.wait_for(["counting"], head, HANG) == ()
        assert (await seen(reader.ledger))[-1] == head


@pytest.mark.usefixtures("no_bound")
async def test_a_lost_notification_only_delays(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader.progress, "_heard", lambda _payload: None)
    reader.ledger.signals._listeners.clear()

    head = await ends(reader.ledger)

    assert await reader.progress.wait_for(["counting"], head, HANG) == ()


@pytest.mark.parametrize("look_every", [0.5, 3600.0])
async def test_after_the_listening_connection_is_killed_a_write_is_visible_within_two_seconds(
    reader: Reader, worker: Service, monkeypatch: pytest.MonkeyPatch, look_every: float
) -> None:
    """By looking from time to time, and by looking when the connection is there again."""
    monkeypatch.setattr("ledger.projections.progress.LOOK_EVERY", look_every)
    for _ in range(3):
        before = await reader.backends()
        await reader.terminate(reader.listeners)
        started = time.monotonic()
        head = await ends(worker.ledger)

        await until(lambda head=head: reader.progress.position("counting") >= head)

        assert time.monotonic() - started < 5 * 2.0
        async with asyncio.timeout(HANG):
            while not (fresh := await reader.backends() - before):
                await asyncio.sleep(0.05)
        reader.listeners = fresh


async def test_the_feeding_process_goes_on_when_its_own_ears_are_cut_off(
    database: Database, ledger: Ledger, counting: Counting, reader: Reader
) -> None:
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    finally:
        await owner.close()
    started = time.monotonic()
    head = await ends(ledger)

    await until(lambda: reader.progress.position("counting") >= head)

    assert time.monotonic() - started < 5 * 2.0


def at_once(waiting: Coroutine[object, object, tuple[str, ...]]) -> tuple[str, ...]:
    """Take the result of something that must not wait for anything."""
    try:
        waiting.send(None)
    except StopIteration as done:
        return done.value
    waiting.close()
    raise AssertionError("it waited")


async def test_a_wait_is_bounded_and_a_view_that_is_late_is_not_waited_for(
    ledger: Ledger, worker: Service, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.gate.clear()
    head = await ends(worker.ledger)

    started = time.monotonic()
    assert await worker.progress.wait_for(["counting"], head, ASKED_FOR) == ("counting",)
    assert 0.9 < time.monotonic() - started < ASKED_FOR / 2

    head = await ends(worker.ledger)
    assert at_once(worker.progress.wait_for(["counting"], head)) == ("counting",)

    counting.gate.set()
    await worker.level(head, "counting")
    monkeypatch.setattr("ledger.projections.progress.MAX_WAIT", HANG)
    monkeypatch.setattr("ledger.projections.progress.BEHIND_TOO_LONG", HANG)
    assert await worker.progress.wait_for(["counting"], await ends(worker.ledger), HANG) == ()


async def test_nobody_waits_longer_than_a_second_however_patient(
    worker: Service, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.projections.progress.BEHIND_TOO_LONG", 3600.0)
    counting.gate.clear()
    head = await ends(worker.ledger)

    started = time.monotonic()
    assert await worker.progress.wait_for(["counting"], head, ASKED_FOR) == ("counting",)

    assert 0.9 < time.monotonic() - started < ASKED_FOR / 2
    counting.gate.set()


async def test_a_shorter_wait_is_kept_to(worker: Service, counting: Counting) -> None:
    counting.gate.clear()
    head = await ends(worker.ledger)

    assert await worker.progress.wait_for(["counting"], head, 0.1) == ("counting",)

    counting.gate.set()


async def test_a_late_view_does_not_spoil_the_wait_for_the_others(
    database: Database, ledger: Ledger, counting: Counting
) -> None:
    await make_table(ledger)
    other = Counting("other")
    counting.gate.clear()
    async with service(database, [counting.projection, other.projection]) as running:
        await running.progress.wait_for(["counting"], await ends(running.ledger))
        for _ in range(5):
            head = await ends(running.ledger)
            assert await running.progress.wait_for(["counting", "other"], head) == ("counting",)
        counting.gate.set()


async def test_nobody_is_kept_waiting_for_what_is_there_already(worker: Service) -> None:
    head = await ends(worker.ledger)
    await worker.level(head, "counting")

    assert at_once(worker.progress.wait_for(["counting"], Position(head - 1))) == ()
    assert at_once(worker.progress.wait_for([], head)) == ()


async def test_notifications_of_other_ledgers_and_versions_are_not_ours(ledger: Ledger) -> None:
    progress = Progress(ledger, [QUEUE, DECISIONS])

    progress._heard("2 queue 2 50 0 0")
    progress._heard("1 queue 9 50 0 0")
    progress._heard("1 elsewhere 2 50 0 0")
    assert (progress.position("queue"), progress.position("decisions")) == (0, 0)

    progress._heard("1 queue 2 50 0 0")
    progress._heard("1 queue 2 40 0 0")
    assert (progress.position("queue"), progress.position("decisions")) == (50, 0)


async def test_after_a_reconnect_a_view_has_to_catch_up_once_more(
    worker: Service, counting: Counting
) -> None:
    await until(worker.ledger.signals.is_connected)
    counting.gate.clear()
    head = await ends(worker.ledger)
    assert worker.progress.was_level("counting")

    worker.progress._heard(None)
    await until(lambda: not worker.progress.was_level("counting"))

    counting.gate.set()
    await worker.level(head, "counting")
    assert worker.progress.was_level("counting")


async def test_the_first_connection_is_no_reconnect(database: Database, ledger: Ledger) -> None:
    """A service that has begun to serve does not stop because it now hears, too."""
    deaf = await Ledger.open(database.service_url)
    progress = Progress(deaf, [QUEUE])
    progress.start()
    await until(lambda: progress.was_level("queue"))
    head = await ends(ledger)

    progress._heard(None)
    await until(lambda: progress.head() == head)

    assert progress.was_level("queue")
    await progress.stop()
    await deaf.stop()

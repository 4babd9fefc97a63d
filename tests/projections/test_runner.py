"""The runner accounts for every position, once, whatever happens to it."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
from msgspec.structs import replace

from ledger.domain.ids import Position
from ledger.projections import follower as follower_module
from ledger.projections.batch import GapInLog, run_batch
from ledger.projections.checkpoints import CheckpointMoved, lock, read_position
from ledger.projections.faults import is_transient
from ledger.projections.health import ProjectionHealth, State
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import Connection
from tests.projections.counting import Counting, ends, make_table, seen, stored_as
from tests.projections.given import HANG, Service, service, until
from tests.support.databases import Database


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def other() -> Counting:
    return Counting("other")


@pytest.fixture
async def running(database: Database, ledger: Ledger, counting: Counting) -> AsyncIterator[Service]:
    """A process that feeds one projection; ``ledger`` is another process that only appends."""
    await make_table(ledger)
    async with service(database, [counting.projection]) as found:
        yield found


def health(service: Service, name: str = "counting") -> ProjectionHealth:
    return next(found for found in service.runner.health() if found.name == name)


async def test_every_event_of_before_and_after_the_start_is_applied_once(
    database: Database, ledger: Ledger, counting: Counting
) -> None:
    await make_table(ledger)
    await ends(ledger, 1_203)
    async with service(database, [counting.projection]) as running:
        await running.level(Position(1_203), "counting")
        head = await ends(ledger, 40)
        await running.level(head, "counting")

        assert await seen(ledger) == list(range(1, head + 1))
        assert health(running).lag_events() == 0


async def test_a_checkpoint_accounts_for_what_is_applied_and_what_is_not_wanted(
    ledger: Ledger, running: Service
) -> None:
    await ends(ledger, 2)
    last = await stored_as(ledger, "brand-new", 7)
    await running.level(last, "counting")

    row = await ledger.pool.fetchrow("select * from views.checkpoints where projection = 'counting'")

    assert row is not None
    assert (row["position"], row["events_applied"], row["events_not_wanted"]) == (3, 2, 1)
    event_id = await ledger.pool.fetchval("select event_id from ledger.events where position = 3")
    assert (row["last_event_id"], row["last_event_type"]) == (event_id, "brand-new")


async def test_what_is_nothing_to_a_projection_gathers_and_what_is_comes_all_the_same(
    ledger: Ledger, running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "AT_LEISURE", 1)
    monkeypatch.setattr(follower_module, "GATHERING", 0.3)
    for number in range(12):
        last = await stored_as(ledger, "brand-new", number)
        if not number:
            await running.level(last, "counting")  # from here on it takes its time
    head = await ends(ledger)
    await running.level(head, "counting")

    row = await ledger.pool.fetchrow("select * from views.checkpoints where projection = 'counting'")
    assert await seen(ledger) == [head]
    assert row is not None
    assert row["events_not_wanted"] == 12


@pytest.mark.usefixtures("no_bound")
async def test_whoever_waits_for_a_view_that_gathers_is_not_kept_waiting(
    ledger: Ledger, running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "AT_LEISURE", 1)
    monkeypatch.setattr(follower_module, "GATHERING", 600.0)
    await running.level(await stored_as(ledger, "brand-new", 1), "counting")

    head = await ends(ledger)

    assert await running.progress.wait_for(["counting"], head, HANG) == ()
    assert await seen(ledger) == [head]


@pytest.mark.usefixtures("no_bound")
async def test_what_no_answer_waits_for_gathers_though_all_of_it_is_wanted(
    database: Database, ledger: Ledger, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "AT_LEISURE", 1)
    monkeypatch.setattr(follower_module, "GATHERING", 600.0)
    await make_table(ledger)
    async with service(database, [replace(counting.projection, is_awaited=False)]) as running:
        await running.level(await ends(ledger), "counting")
        for _ in range(11):
            head = await ends(ledger)

        assert await running.progress.wait_for(["counting"], head, HANG) == ()

    assert await seen(ledger) == list(range(1, 13))
    assert counting.tries == 2


async def test_a_long_log_without_an_event_for_a_projection_is_passed_without_a_rest(
    database: Database, ledger: Ledger, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "MAX_BATCH", 2)
    monkeypatch.setattr(follower_module, "AT_LEISURE", 1)
    monkeypatch.setattr(follower_module, "GATHERING", 600.0)
    await make_table(ledger)
    for number in range(8):
        last = await stored_as(ledger, "brand-new", number)

    async with service(database, [counting.projection]) as running:
        await running.level(last, "counting")


async def test_a_type_nobody_here_knows_is_passed_by_name(ledger: Ledger, running: Service) -> None:
    await stored_as(ledger, "brand-new", 1)
    head = await ends(ledger)
    await running.level(head, "counting")

    assert await seen(ledger) == [2]
    assert health(running).state is State.RUNNING


async def test_a_newer_version_of_a_wanted_type_stops_the_projection_and_says_why(
    ledger: Ledger, running: Service
) -> None:
    await ends(ledger, 3)
    await stored_as(ledger, "session-ended", 99)
    await ends(ledger, 3)

    await until(lambda: health(running).state is State.WAITING_FOR_NEWER_RELEASE)
    await running.level(Position(3), "counting")
    await until(lambda: health(running).attempts > 0)

    found = health(running)
    assert (found.state, found.error) == (State.WAITING_FOR_NEWER_RELEASE, "UnknownSchemaVersion")
    assert (found.position, found.is_alive) == (3, True)
    assert await seen(ledger) == [1, 2, 3]


async def test_a_failure_of_one_projection_is_none_of_the_others(
    database: Database, ledger: Ledger, counting: Counting, other: Counting
) -> None:
    def fail(_conn: Connection, positions: Sequence[Position]) -> None:
        if 3 in positions:
            raise ZeroDivisionError

    await make_table(ledger)
    counting.trouble = fail
    await ends(ledger, 5)
    async with service(database, [counting.projection, other.projection]) as running:
        await running.level(Position(5), "other", "counting")

        assert (health(running).state, health(running).parked) == (State.RUNNING, 1)
        assert health(running, "other").parked == 0

        counting.trouble = None
        await until(lambda: health(running).parked == 0)

    assert await seen(ledger) == sorted([1, 2, 3, 4, 5] * 2)


async def test_what_an_event_does_wrong_to_the_database_is_undone(
    ledger: Ledger, running: Service, counting: Counting
) -> None:
    async def break_a_rule(conn: Connection, _positions: object) -> None:
        await conn.execute("insert into checkpoints (ledger_id) values (1)")

    counting.trouble = break_a_rule
    await ends(ledger)
    await until(lambda: health(running).parked == 1)

    row = await ledger.pool.fetchrow("select error_type, category from views.failures")
    assert row is not None
    assert tuple(row) == ("NotNullViolationError", "constraint")
    assert await seen(ledger) == []


async def test_what_is_no_events_fault_is_tried_after_longer_and_longer_waits(
    ledger: Ledger, running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def note(follower: follower_module.Follower, seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            running.kill()

    monkeypatch.setattr(follower_module.Follower, "_pause", note)
    await stored_as(ledger, "session-ended", 99)
    await until(lambda: len(waits) == 8)

    assert waits == [1, 2, 4, 8, 16, 16, 16, 16]


async def test_a_connection_that_dies_in_the_middle_of_a_batch_costs_nothing_but_time(
    ledger: Ledger, running: Service, counting: Counting
) -> None:
    async def die(conn: Connection, _positions: object) -> None:
        counting.trouble = None
        await conn.execute("select pg_terminate_backend(pg_backend_pid())")

    counting.trouble = die
    head = await ends(ledger, 7)
    await running.level(head, "counting")

    assert await seen(ledger) == list(range(1, 8))
    assert counting.tries > 1
    assert health(running).error is None


@pytest.mark.parametrize("kind", ["serialization_failure", "deadlock_detected", "query_canceled"])
async def test_what_may_pass_by_itself_is_retried_soon_and_is_no_failure(
    ledger: Ledger, running: Service, counting: Counting, kind: str
) -> None:
    async def stumble(conn: Connection, _positions: object) -> None:
        if counting.tries == 3:
            counting.trouble = None
        states.add(health(running).state)
        await conn.execute(f"do $$ begin raise exception 'again' using errcode = '{kind}'; end $$")

    states = set[State]()
    counting.trouble = stumble
    await running.level(await ends(ledger), "counting")

    assert State.FAILING not in states
    assert State.RETRYING in states
    assert await seen(ledger) == [1]


def test_an_argument_the_driver_cannot_encode_is_no_passing_trouble() -> None:
    assert not is_transient(asyncpg.exceptions._base.DataError("no date"))
    assert is_transient(asyncpg.InterfaceError("connection is closed"))


async def test_a_gap_in_the_log_stops_every_projection_with_an_alarm(
    database: Database, ledger: Ledger, running: Service
) -> None:
    running.kill()
    await ends(ledger, 3)
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("delete from ledger.events where position = 2")
    finally:
        await owner.close()
    async with service(database, [Counting("gapless").projection]) as fresh:
        await until(lambda: health(fresh, "gapless").attempts > 0)

        found = health(fresh, "gapless")
        assert (found.state, found.error) == (State.FAILING, "GapInLog")

    async with ledger.pool.acquire() as conn:
        with pytest.raises(GapInLog) as gap:
            await run_batch(conn, LEDGER_ID, QUEUE, after=Position(1), limit=10)
    assert gap.value.context == {"expected": 2, "found": 3}


async def test_two_who_start_from_one_checkpoint_leave_one_set_of_rows(
    ledger: Ledger, counting: Counting
) -> None:
    await make_table(ledger)
    await ends(ledger, 3)
    async with ledger.pool.acquire() as conn:
        start = await read_position(conn, LEDGER_ID, counting.projection)
        await run_batch(conn, LEDGER_ID, counting.projection, after=start, limit=2)

        with pytest.raises(CheckpointMoved):
            await run_batch(conn, LEDGER_ID, counting.projection, after=start, limit=3)

    assert await seen(ledger) == [1, 2]


async def test_whoever_was_beaten_to_a_checkpoint_goes_on_from_there(
    ledger: Ledger, running: Service, counting: Counting
) -> None:
    """It waits for the other's transaction, and applies nothing that the other has."""
    await running.level(await ends(ledger), "counting")
    async with ledger.pool.acquire() as conn, conn.transaction():
        await lock(conn, LEDGER_ID, counting.projection)
        await ends(running.ledger, 2)
        await run_batch(conn, LEDGER_ID, Counting().projection, after=Position(1), limit=500)

    head = await ends(ledger, 2)
    await running.level(head, "counting")

    assert await seen(ledger) == [1, 2, 3, 4, 5]


async def test_views_alone_commit_lazily_and_are_written_without_a_schema(
    ledger: Ledger, counting: Counting
) -> None:
    """A rebuild sets another search path; what an append needs is not given away to whoever comes next."""
    inside = []

    async def look(conn: Connection, _positions: object) -> None:
        inside.extend(
            [await conn.fetchval("show search_path"), await conn.fetchval("show synchronous_commit")]
        )

    await make_table(ledger)
    counting.trouble = look
    await ends(ledger)
    async with ledger.pool.acquire() as conn:
        await conn.execute("set synchronous_commit = on")
        await read_position(conn, LEDGER_ID, counting.projection)
        await run_batch(conn, LEDGER_ID, counting.projection, after=Position(0), limit=1)

        assert inside == ["views", "off"]
        assert await conn.fetchval("show search_path") != "views"
        assert await conn.fetchval("show synchronous_commit") == "on"


async def test_a_loop_that_dies_is_seen(running: Service) -> None:
    await until(running.runner.is_ready)

    running.runner._loops["counting"].cancel()
    await until(lambda: health(running).state is State.CRASHED)

    assert not health(running).is_alive
    assert not running.runner.is_ready()


async def test_a_loop_that_hangs_is_seen(
    ledger: Ledger, running: Service, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(running.runner.is_ready)
    monkeypatch.setattr(follower_module, "HEARTBEAT_GRACE", 0.1)

    counting.gate.clear()
    head = await ends(ledger)
    await until(lambda: not health(running).is_alive)
    assert not running.runner.is_ready()

    counting.gate.set()
    await running.level(head, "counting")
    await until(running.runner.is_ready)


async def test_readiness_waits_for_the_head_found_at_start(
    database: Database, ledger: Ledger, counting: Counting
) -> None:
    await make_table(ledger)
    await ends(ledger, 3)
    counting.gate.clear()
    async with service(database, [counting.projection]) as running:
        await until(lambda: running.progress.head() == 3 and counting.tries > 0)
        assert not running.runner.is_ready()

        counting.gate.set()
        await until(running.runner.is_ready)
        assert health(running).was_level


async def test_falling_behind_later_does_not_make_it_unready(
    ledger: Ledger, running: Service, counting: Counting
) -> None:
    await until(running.runner.is_ready)

    counting.gate.clear()
    head = await ends(ledger)
    await until(lambda: running.progress.head() == head)

    assert running.runner.is_ready()
    counting.gate.set()


async def test_stopping_finishes_the_batch_at_work(
    database: Database, ledger: Ledger, counting: Counting
) -> None:
    await make_table(ledger)
    await ends(ledger, 2)
    async with service(database, [counting.projection]) as running:
        await until(lambda: health(running).position == 2)
        counting.gate.clear()
        counting.tries = 0
        head = await ends(ledger)
        await until(lambda: counting.tries > 0)
        running.runner._stopping.set()
        counting.gate.set()
        await running.runner.stop()
        assert health(running).state is State.STOPPED

    assert await seen(ledger) == list(range(1, head + 1))
    assert await ledger.pool.fetchval("select count(*) from views.leases") == 0

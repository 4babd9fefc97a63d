"""What cannot be applied is parked with its sequence: in order, on the record, and without harm to anything else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine

import asyncpg
import pytest
from structlog.testing import capture_logs

from ledger.domain.ids import Position
from ledger.projections import failures
from ledger.projections.batch import run_batch, run_singly
from ledger.projections.checkpoints import Checkpoint, Paused, read_checkpoint, set_paused
from ledger.projections.failures import Ending, Failure, FailureState, Resolution
from ledger.projections.faults import Category
from ledger.projections.health import State
from ledger.projections.retries import ParkedEventGone, Retried, give_up, retry, retry_due
from ledger.projections.views.decisions import DECISIONS
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import ImpossibleTime, borrowed
from ledger.store.true_log import PayloadChanged
from tests.projections.counting import Counting, ends, make_table, seen, stored_as
from tests.projections.given import HANG, Service, service, until
from tests.projections.scenes import (
    CLAIM,
    ESCALATE,
    IMPOSSIBLE,
    ONE,
    SUBMIT,
    THREE,
    THREE_ITEMS,
    TWO,
    changed,
    clean_rows,
    counted,
    happen,
    happened_at,
    moves,
    removed,
    rows,
    versions,
    written_by_a_newer_release,
)
from tests.support.chaos import Chaos, at_every_await_point, transient
from tests.support.databases import Database

BY_HAND = Ending(resolution=Resolution.MANUAL_REPLAY, by="operator")
Mend = Callable[..., Coroutine[object, object, Retried]]


async def failures_of(ledger: Ledger, feed: Chaos, *, with_resolved: bool = False) -> tuple[Failure, ...]:
    async with ledger.pool.acquire() as conn:
        return await failures.list_of(conn, LEDGER_ID, feed, with_resolved=with_resolved)


async def checkpoint_of(ledger: Ledger, feed: Chaos) -> Checkpoint:
    async with ledger.pool.acquire() as conn:
        return await read_checkpoint(conn, LEDGER_ID, feed)


async def bring_singly(ledger: Ledger, feed: Chaos) -> None:
    """Apply what has happened, and park what cannot be, without a runner."""
    async with ledger.pool.acquire() as conn:
        at = await read_checkpoint(conn, LEDGER_ID, feed)
        await run_singly(conn, LEDGER_ID, feed, after=at.position, limit=500)


@pytest.fixture
def chaos() -> Chaos:
    return Chaos(DECISIONS)


@pytest.fixture
async def running(database: Database, ledger: Ledger, chaos: Chaos) -> AsyncIterator[Service]:
    async with service(database, [chaos, QUEUE]) as found:
        yield found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried again by itself while the test looks."""
    monkeypatch.setattr(failures, "RETRY_WAITS", (3600.0,) * 5)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The five retries come without a wait."""
    monkeypatch.setattr(failures, "RETRY_WAITS", (0.0,) * 5)


@pytest.mark.usefixtures("patient")
async def test_a_poison_event_parks_its_sequence_and_no_other(
    ledger: Ledger, running: Service, chaos: Chaos
) -> None:
    chaos.fail_on(3)
    head = await happen(ledger, THREE_ITEMS)
    await running.level(head, "decisions", "queue")

    assert await versions(ledger) == {ONE: 1, TWO: 2, THREE: 2}
    assert await counted(ledger, "decisions") == (8, 5, 0, 3, 0)
    (failure,) = await failures_of(ledger, chaos)
    assert (failure.position, failure.stream, failure.followers) == (3, ONE, 2)
    assert running.runner.health()[0].state is State.RUNNING


@pytest.mark.usefixtures("patient")
async def test_the_record_says_all_that_a_person_needs_to_know(
    ledger: Ledger, running: Service, chaos: Chaos
) -> None:
    chaos.fail_on(3)
    await running.level(await happen(ledger, THREE_ITEMS), "decisions")
    (failure,) = await failures_of(ledger, chaos)
    stored = await ledger.pool.fetchrow("select * from ledger.events where position = 3")

    assert stored is not None
    assert (failure.event_id, failure.event_type) == (stored["event_id"], "decision-claimed")
    assert (failure.projection, failure.version, failure.schema_version) == ("decisions", 2, 1)
    assert (failure.sequence, failure.stream) == (ONE, ONE)
    assert (failure.error_type, failure.category) == ("Poison", "handler")
    assert failure.error_message == "a payload might be quoted here"
    assert "chaos.py" in failure.traceback
    assert len(failure.fingerprint) == 16
    assert failure.code_version
    assert (failure.attempts, failure.state) == (1, FailureState.RETRYING)
    assert failure.first_seen_at == failure.last_seen_at < failure.next_retry_at
    assert (failure.resolution, failure.resolved_at, failure.resolved_by) == (None, None, None)


@pytest.mark.usefixtures("patient")
async def test_what_comes_later_to_a_parked_sequence_waits_behind_it(
    ledger: Ledger, running: Service, chaos: Chaos
) -> None:
    events = moves((SUBMIT, 0), (CLAIM, 0), (SUBMIT, 1), (ESCALATE, 0), (CLAIM, 1))
    chaos.fail_on(2)
    for event in events:
        head = await happen(ledger, [event])
        await running.level(head, "decisions")

    assert await versions(ledger) == {ONE: 1, TWO: 2}
    assert await counted(ledger, "decisions") == (6, 3, 0, 3, 0)
    assert [failure.followers for failure in await failures_of(ledger, chaos)] == [2]


async def test_once_the_handler_is_mended_the_sequence_is_applied_in_order_and_in_full(
    ledger: Ledger, running: Service, chaos: Chaos
) -> None:
    chaos.fail_on(3)
    head = await happen(ledger, THREE_ITEMS)
    await running.level(head, "decisions", "queue")
    await until(lambda: running.progress.parked("decisions") == 3)

    chaos.heal()
    await until(lambda: running.progress.parked("decisions") == 0)

    assert await counted(ledger, "decisions") == (8, 8, 0, 0, 0)
    (failure,) = await failures_of(ledger, chaos, with_resolved=True)
    assert (failure.state, failure.resolution) == (FailureState.RESOLVED, Resolution.AUTO_RETRY)
    assert failure.resolved_by == "system"
    assert await rows(ledger) == await clean_rows(ledger)


@pytest.mark.usefixtures("hasty")
async def test_after_five_retries_it_waits_for_a_person(
    ledger: Ledger, running: Service, chaos: Chaos
) -> None:
    chaos.fail_on(1)
    await running.level(await happen(ledger, moves((SUBMIT, 0))), "decisions")

    while (await failures_of(ledger, chaos))[0].state is not FailureState.WAITING:
        assert (await failures_of(ledger, chaos))[0].attempts <= 6
    (failure,) = await failures_of(ledger, chaos)

    assert (failure.attempts, failure.next_retry_at) == (6, None)
    assert len([stored for stored in chaos.fed if stored.position == 1]) == 7, "once in its batch, then alone"


async def test_retries_come_after_one_two_four_eight_and_sixteen_seconds() -> None:
    assert failures.RETRY_WAITS == (1.0, 2.0, 4.0, 8.0, 16.0)


@pytest.mark.usefixtures("hasty")
async def test_a_follower_that_fails_becomes_the_next_culprit(
    ledger: Ledger, running: Service, chaos: Chaos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "RETRY_WAITS", (3600.0,) * 5)
    chaos.fail_on(2)
    events = moves((SUBMIT, 0), (CLAIM, 0), (ESCALATE, 0), (CLAIM, 0))
    await running.level(await happen(ledger, events), "decisions")
    chaos.heal()
    chaos.fail_on(3)
    await ledger.pool.execute("update views.failures set next_retry_at = now()")

    while len(await failures_of(ledger, chaos, with_resolved=True)) < 2:
        pass
    first, second = await failures_of(ledger, chaos, with_resolved=True)

    assert (first.position, first.resolution) == (2, Resolution.AUTO_RETRY)
    assert (second.position, second.attempts, second.followers) == (3, 1, len(events) - 3)
    assert await versions(ledger) == {ONE: 2}
    assert await counted(ledger, "decisions") == (len(events), 2, 0, len(events) - 2, 0)


@pytest.mark.usefixtures("hasty")
async def test_a_parked_event_that_was_changed_since_is_never_applied_by_itself(
    ledger: Ledger, running: Service, chaos: Chaos, database: Database
) -> None:
    chaos.fail_on(1)
    head = await happen(ledger, moves((SUBMIT, 0), (CLAIM, 0)))
    await changed(database, 1)
    await running.level(head, "decisions")
    chaos.heal()

    while (await failures_of(ledger, chaos))[0].state is not FailureState.WAITING:
        pass
    (failure,) = await failures_of(ledger, chaos)

    assert (failure.position, failure.attempts, failure.error_type) == (1, 6, "PayloadChanged")
    assert await versions(ledger) == {}
    assert await counted(ledger, "decisions") == (2, 0, 0, 2, 0)


@pytest.mark.usefixtures("patient")
async def test_a_retry_of_a_parked_event_that_was_changed_since_is_refused_and_changes_nothing(
    ledger: Ledger, chaos: Chaos, database: Database
) -> None:
    chaos.fail_on(3)
    await happen(ledger, THREE_ITEMS)
    await bring_singly(ledger, chaos)
    before = await failures_of(ledger, chaos)
    await changed(database, 3)
    chaos.heal()
    async with ledger.pool.acquire() as conn:
        with pytest.raises(PayloadChanged, match=r"docs/operations/tampered\.md") as refused:
            async with conn.transaction():
                await retry(conn, LEDGER_ID, chaos, before[0].failure_id, BY_HAND)

    assert refused.value.context == {"position": 3, "stream": ONE}
    assert await failures_of(ledger, chaos) == before
    assert await versions(ledger) == {ONE: 1, TWO: 2, THREE: 2}


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("mend", [retry, give_up])
async def test_behind_a_culprit_an_event_that_was_changed_since_is_the_next_one(
    ledger: Ledger, chaos: Chaos, database: Database, mend: Mend
) -> None:
    chaos.fail_on(2)
    await happen(ledger, moves((SUBMIT, 0), (CLAIM, 0), (ESCALATE, 0), (CLAIM, 0)))
    await bring_singly(ledger, chaos)
    (failure,) = await failures_of(ledger, chaos)
    await changed(database, 3)
    chaos.heal()
    async with ledger.pool.acquire() as conn, conn.transaction():
        done = await mend(conn, LEDGER_ID, chaos, failure.failure_id, BY_HAND)

    (behind,) = await failures_of(ledger, chaos)
    assert done.is_resolved
    assert (behind.position, behind.error_type, behind.category) == (3, "PayloadChanged", "decode/upcast")
    assert 3 not in [stored.position for stored in chaos.fed]


@pytest.mark.usefixtures("patient")
async def test_what_was_changed_since_can_be_given_up_all_the_same(
    ledger: Ledger, chaos: Chaos, database: Database
) -> None:
    chaos.fail_on(2)
    await happen(ledger, moves((SUBMIT, 0), (CLAIM, 0)))
    await bring_singly(ledger, chaos)
    (failure,) = await failures_of(ledger, chaos)
    await changed(database, 2)
    async with ledger.pool.acquire() as conn, conn.transaction():
        await give_up(conn, LEDGER_ID, chaos, failure.failure_id, BY_HAND)

    assert await failures_of(ledger, chaos) == ()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("moment", IMPOSSIBLE)
async def test_a_parked_event_of_a_time_that_no_program_can_hold_keeps_no_other_waiting(
    ledger: Ledger, running: Service, chaos: Chaos, database: Database, moment: str
) -> None:
    chaos.fail_on(1)
    head = await happen(ledger, moves((SUBMIT, 0), (CLAIM, 0)))
    await running.level(head, "decisions")
    while (await failures_of(ledger, chaos))[0].state is not FailureState.WAITING:
        pass
    await happened_at(database, 1, moment)
    chaos.heal()
    await ledger.pool.execute("update views.failures set state = 'retrying', next_retry_at = now()")
    head = await happen(ledger, moves((SUBMIT, 1)))
    await running.level(head, "decisions")

    while (await failures_of(ledger, chaos))[0].error_type != "ImpossibleTime":
        pass
    (failure,) = await failures_of(ledger, chaos)

    assert failure.position == 1
    assert await versions(ledger) == {TWO: 1}
    assert running.runner.health()[0].state is State.RUNNING


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("moment", IMPOSSIBLE)
async def test_an_event_of_a_time_that_no_program_can_hold_is_not_retried_and_can_be_given_up(
    ledger: Ledger, chaos: Chaos, database: Database, moment: str
) -> None:
    chaos.fail_on(2)
    await happen(ledger, moves((SUBMIT, 0), (CLAIM, 0)))
    await bring_singly(ledger, chaos)
    (failure,) = await failures_of(ledger, chaos)
    await happened_at(database, 2, moment)
    chaos.heal()
    async with borrowed(ledger.pool) as conn:
        with pytest.raises(ImpossibleTime) as refused:
            async with conn.transaction():
                await retry(conn, LEDGER_ID, chaos, failure.failure_id, BY_HAND)
        async with conn.transaction():
            await give_up(conn, LEDGER_ID, chaos, failure.failure_id, BY_HAND)

    assert refused.value.context == {"position": 2, "stream": ONE}
    assert await failures_of(ledger, chaos) == ()


@pytest.mark.usefixtures("hasty")
async def test_a_parked_event_that_was_removed_keeps_no_other_waiting(
    ledger: Ledger, chaos: Chaos, database: Database
) -> None:
    chaos.fail_on(2)
    await happen(ledger, moves((SUBMIT, 0), (CLAIM, 0), (ESCALATE, 0)))
    await bring_singly(ledger, chaos)
    await removed(database, 2)
    chaos.heal()
    async with ledger.pool.acquire() as conn:
        retried = await retry_due(conn, LEDGER_ID, chaos)

    assert retried is not None
    assert (retried.is_resolved, retried.applied, retried.waiting) == (False, 0, 3)
    (failure,) = await failures_of(ledger, chaos)
    assert (failure.position, failure.attempts, failure.error_type) == (2, 2, "ParkedEventGone")


@pytest.mark.usefixtures("hasty")
async def test_what_a_newer_release_parked_keeps_no_other_waiting_in_an_older_one(
    ledger: Ledger, running: Service, chaos: Chaos, database: Database
) -> None:
    """The newer one was taken back: whatever comes later in the log can be read."""
    chaos.fail_on(1)
    await running.level(await happen(ledger, moves((SUBMIT, 0), (CLAIM, 0))), "decisions")
    while (await failures_of(ledger, chaos))[0].state is not FailureState.WAITING:
        pass
    await written_by_a_newer_release(database, 1)
    chaos.heal()
    await ledger.pool.execute("update views.failures set state = 'retrying', next_retry_at = now()")
    await running.level(await happen(ledger, moves((SUBMIT, 1))), "decisions")

    while (await failures_of(ledger, chaos))[0].error_type != "UnknownSchemaVersion":
        assert running.runner.health()[0].state is not State.WAITING_FOR_NEWER_RELEASE
        await asyncio.sleep(0)
    assert await versions(ledger) == {TWO: 1}
    async with ledger.pool.acquire() as conn, conn.transaction():
        (failure,) = await failures_of(ledger, chaos)
        done = await retry(conn, LEDGER_ID, chaos, failure.failure_id, BY_HAND)
    assert (done.is_resolved, done.waiting) == (False, 2)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("gone", [2, 3])
@pytest.mark.parametrize("mend", [retry, give_up])
async def test_a_parked_event_that_was_removed_is_neither_applied_nor_given_up(
    ledger: Ledger, chaos: Chaos, database: Database, mend: Mend, gone: int
) -> None:
    chaos.fail_on(2)
    await happen(ledger, moves((SUBMIT, 0), (CLAIM, 0), (ESCALATE, 0)))
    await bring_singly(ledger, chaos)
    before = await failures_of(ledger, chaos)
    await removed(database, gone)
    chaos.heal()
    async with ledger.pool.acquire() as conn:
        with pytest.raises(ParkedEventGone):
            async with conn.transaction():
                await mend(conn, LEDGER_ID, chaos, before[0].failure_id, BY_HAND)

    assert await failures_of(ledger, chaos) == before


async def test_however_much_is_tried_again_new_events_are_applied(
    ledger: Ledger, running: Service, chaos: Chaos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken handler may park thousands of sequences, and all of them are due at once."""
    monkeypatch.setattr(failures, "RETRY_WAITS", (0.0,) * 1_000_000)
    chaos.fail_on(1)
    await running.level(await happen(ledger, moves((SUBMIT, 0))), "decisions")
    await running.level(await happen(ledger, moves((SUBMIT, 1))), "decisions")

    assert await versions(ledger) == {TWO: 1}
    assert (await failures_of(ledger, chaos))[0].state is FailureState.RETRYING


async def test_passing_trouble_with_what_is_parked_keeps_no_new_event_waiting(
    ledger: Ledger, running: Service, chaos: Chaos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "RETRY_WAITS", (0.0,) * 1_000_000)
    chaos.fail_on(1)
    await running.level(await happen(ledger, moves((SUBMIT, 0))), "decisions")
    chaos.heal()
    chaos.fail_on(1, error=transient)
    await until(lambda: running.runner.health()[0].attempts > 2)
    await running.level(await happen(ledger, moves((SUBMIT, 1))), "decisions")

    assert await versions(ledger) == {TWO: 1}


@pytest.mark.usefixtures("hasty")
async def test_nothing_is_tried_again_while_somebody_wants_it_paused(ledger: Ledger, chaos: Chaos) -> None:
    chaos.fail_on(1)
    await happen(ledger, moves((SUBMIT, 0)))
    async with ledger.pool.acquire() as conn:
        await read_checkpoint(conn, LEDGER_ID, chaos)
        await run_singly(conn, LEDGER_ID, chaos, after=Position(0), limit=500)
        await set_paused(conn, LEDGER_ID, chaos, to=True)
        chaos.heal()
        with pytest.raises(Paused):
            await retry_due(conn, LEDGER_ID, chaos)

    assert await counted(ledger, "decisions") == (1, 0, 0, 1, 0)


async def test_a_transient_failure_is_retried_as_a_batch_and_nothing_is_recorded(
    ledger: Ledger, running: Service, chaos: Chaos
) -> None:
    chaos.fail_on(3, error=transient)
    head = await happen(ledger, THREE_ITEMS)
    await until(lambda: running.runner.health()[0].attempts > 2)
    assert running.runner.health()[0].state is State.RETRYING

    chaos.heal()
    await running.level(head, "decisions")

    assert await failures_of(ledger, chaos, with_resolved=True) == ()
    assert await rows(ledger) == await clean_rows(ledger)


async def test_a_newer_version_stops_the_projection_even_behind_a_culprit(
    ledger: Ledger, running: Service, chaos: Chaos
) -> None:
    chaos.fail_on(2)
    await running.level(await happen(ledger, moves((SUBMIT, 0), (CLAIM, 0))), "decisions")
    await stored_as(ledger, "decision-claimed", 99)

    await until(lambda: running.runner.health()[0].state is State.WAITING_FOR_NEWER_RELEASE)

    assert (await checkpoint_of(ledger, chaos)).position == 2
    assert [failure.position for failure in await failures_of(ledger, chaos)] == [2]


@pytest.mark.usefixtures("patient")
async def test_an_event_that_cannot_be_decoded_is_parked(
    ledger: Ledger, running: Service, chaos: Chaos
) -> None:
    last = await stored_as(ledger, "decision-claimed", 1)
    await running.level(last, "decisions")

    (failure,) = await failures_of(ledger, chaos)
    assert (failure.error_type, failure.category) == ("UnreadableEvent", "decode/upcast")


@pytest.mark.usefixtures("patient")
async def test_a_row_that_the_database_refuses_is_parked(
    ledger: Ledger, running: Service, chaos: Chaos
) -> None:
    await ledger.pool.execute(
        f"alter table views.decisions_v2 add constraint no_more check (stream <> '{ONE}')"
    )
    await running.level(await happen(ledger, THREE_ITEMS), "decisions")

    (failure,) = await failures_of(ledger, chaos)
    assert (failure.error_type, failure.category) == ("CheckViolationError", "constraint")
    assert failure.followers == 3
    assert await versions(ledger) == {TWO: 2, THREE: 2}


@pytest.mark.usefixtures("patient")
async def test_no_word_of_an_error_reaches_the_log(database: Database, ledger: Ledger, chaos: Chaos) -> None:
    """An error may quote what was submitted; its record is for administrators, the log for everybody."""
    chaos.fail_on(1)
    with capture_logs() as logged:
        async with service(database, [chaos]) as running:
            await running.level(await happen(ledger, THREE_ITEMS), "decisions")

    parked = [line for line in logged if line["event"] == "projection.event.parked"]
    assert [(line["position"], line["error"]) for line in parked] == [(1, "Poison")]
    assert "quoted" not in str(logged)


@pytest.mark.usefixtures("patient")
async def test_messages_that_no_table_can_hold_are_spelled_out(
    ledger: Ledger, running: Service, chaos: Chaos
) -> None:
    chaos.fail_on(1, error=lambda: ValueError("a\x00b\ud800c" + "x" * 10_000))
    await running.level(await happen(ledger, moves((SUBMIT, 0))), "decisions")

    (failure,) = await failures_of(ledger, chaos)
    assert failure.error_message.startswith("a\\x00b\\ud800cxxx")
    assert len(failure.error_message) == 4_000


@pytest.mark.usefixtures("patient")
async def test_a_batch_that_takes_too_long_is_cut_smaller(
    ledger: Ledger, running: Service, chaos: Chaos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.projections.follower.BATCH_TIMEOUT", 0.5)
    chaos.dawdle(0.08)
    chaos.gate.clear()
    head = await happen(ledger, THREE_ITEMS)
    chaos.gate.set()
    await running.level(head, "decisions")

    assert await failures_of(ledger, chaos) == ()
    assert await rows(ledger) == await clean_rows(ledger)


@pytest.mark.usefixtures("hasty")
async def test_an_event_that_takes_too_long_even_alone_is_parked_and_others_go_on(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.projections.follower.BATCH_TIMEOUT", 0.4)
    monkeypatch.setattr("ledger.projections.follower.TRANSIENT_WAITS", (0.0,))
    monkeypatch.setattr("ledger.projections.isolation.BE_QUICK", "set local statement_timeout = '100ms'")
    counting = Counting()
    counting.trouble = lambda conn, positions: conn.execute("select pg_sleep($1)", 5.0 * (3 in positions))
    await make_table(ledger)
    await ends(ledger, 5)

    async with service(database, [counting.projection]) as running:
        await running.level(Position(5), "counting")
        async with asyncio.timeout(HANG), ledger.pool.acquire() as conn:
            while not (found := await failures.list_of(conn, LEDGER_ID, counting.projection)) or (
                found[0].state is not FailureState.WAITING
            ):
                await asyncio.sleep(0.02)

    (failure,) = found
    assert (failure.position, failure.category, failure.attempts) == (3, Category.TRANSIENT, 6)
    assert await seen(ledger) == [1, 2, 4, 5]


ACCOUNTS = """
select c.events_applied as applied, c.events_parked as parked,
       (select coalesce(sum(version), 0) from views.decisions_v2) as folded,
       (select count(*) from views.parked) as waiting
from views.checkpoints c where c.projection = 'decisions'
"""


async def singly(conn: asyncpg.Connection, chaos: Chaos) -> object:
    """With something parked, something to park and something to apply in it."""
    at = await read_checkpoint(conn, LEDGER_ID, chaos)
    return await run_singly(conn, LEDGER_ID, chaos, after=at.position, limit=500)


async def at_once(conn: asyncpg.Connection, chaos: Chaos) -> object:
    chaos.heal()
    at = await read_checkpoint(conn, LEDGER_ID, chaos)
    return await run_batch(conn, LEDGER_ID, chaos, after=at.position, limit=500)


async def again(conn: asyncpg.Connection, chaos: Chaos) -> object:
    """Of two that are parked, one is mended and the other fails once more."""
    chaos.heal()
    chaos.fail_on(2)
    await conn.execute("update views.failures set next_retry_at = now() where state = 'retrying'")
    return [await retry_due(conn, LEDGER_ID, chaos) for _ in range(2)]


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("work", "done_before", "in_the_end"),
    [(singly, 2, (8, 4, 0, 4, 0)), (at_once, 2, (8, 6, 0, 2, 0)), (again, 8, (8, 6, 0, 2, 0))],
)
async def test_a_process_killed_at_any_await_point_has_passed_nothing_unapplied(
    *,
    database: Database,
    ledger: Ledger,
    chaos: Chaos,
    work: Callable[[asyncpg.Connection, Chaos], Coroutine[object, object, object]],
    done_before: int,
    in_the_end: tuple[int, ...],
) -> None:
    chaos.fail_on(2, 5)
    await happen(ledger, THREE_ITEMS)
    async with ledger.pool.acquire() as conn:
        await read_checkpoint(conn, LEDGER_ID, chaos)
        await run_singly(conn, LEDGER_ID, chaos, after=Position(0), limit=done_before)

    async def nothing_is_missing() -> None:
        facts = await ledger.pool.fetchrow(ACCOUNTS)
        assert facts is not None
        assert (facts["applied"], facts["parked"]) == (facts["folded"], facts["waiting"])

    points = await at_every_await_point(
        lambda conn: work(conn, chaos),
        lambda: asyncpg.connect(database.service_url),
        nothing_is_missing,
    )

    assert points > 5
    assert await counted(ledger, "decisions") == in_the_end


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("aim", ["every third", "a type", "several"])
async def test_wherever_it_fails_everything_can_be_mended_afterwards(
    ledger: Ledger, running: Service, chaos: Chaos, aim: str
) -> None:
    match aim:
        case "every third":
            chaos.fail_every(3)
        case "a type":
            chaos.fail_on_type("decision-claimed")
        case _:
            chaos.fail_on(1, 4, 7)
    head = await happen(ledger, THREE_ITEMS)
    await running.level(head, "decisions")
    parked = (await counted(ledger, "decisions"))[3]
    assert parked == sum(1 + failure.followers for failure in await failures_of(ledger, chaos)) > 0

    chaos.heal()
    await ledger.pool.execute("update views.failures set next_retry_at = now()")
    await until(lambda: running.progress.parked("decisions") == 0)

    assert await counted(ledger, "decisions") == (head, head, 0, 0, 0)
    assert await rows(ledger) == await clean_rows(ledger)

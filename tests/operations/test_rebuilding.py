"""A projection is made anew beside its rows, compared with them, and takes their place."""

import asyncio
from uuid import uuid4

import pytest

from ledger.domain.operations.decide import NoRebuildUnderWay, NothingToRollBack, RebuildUnderWay
from ledger.domain.operations.events import (
    ProjectionReset,
    RebuildCancelled,
    RebuildFailed,
    RebuildStarted,
    RebuildSwitched,
    RollbackStarted,
    TableDiff,
)
from ledger.operations.rebuilder import Rebuilder
from ledger.operations.rebuilding import KeptRowsLackEvents, ask, cancel
from ledger.projections.accounts import built
from ledger.projections.accounts import exchange as accounts_exchanged
from ledger.projections.checkpoints import lock, read_checkpoint
from ledger.projections.rebuild import NotApplied, begin, exchange
from ledger.projections.rebuilds import Kind, RebuildState, claim, enter, failures_in
from ledger.projections.views.queue import QUEUE
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import SESSION_SETTINGS
from tests.operations.rebuilt import history, progress_of, submissions, the_operator, work
from tests.projections.counting import Counting, ends, make_table, stored_as
from tests.projections.given import QUEUE_COLUMNS, bring_level, rows_of
from tests.projections.scenes import IMPOSSIBLE, changed, happened_at
from tests.support.chaos import Chaos, transient
from tests.support.databases import Database


async def rows(ledger: Ledger) -> list[tuple[object, ...]]:
    async with ledger.pool.acquire() as conn:
        return await rows_of(conn, QUEUE)


async def accounts(ledger: Ledger, name: str = "queue") -> tuple[int, ...] | None:
    row = await ledger.pool.fetchrow(
        "select position, events_applied, events_not_wanted, events_parked from views.checkpoints"
        " where projection = $1",
        name,
    )
    return None if row is None else tuple(row)


async def test_what_is_rebuilt_equals_what_was_there(ledger: Ledger) -> None:
    await submissions(ledger, 30)
    await bring_level(ledger, QUEUE)
    before = await rows(ledger)
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD, reason="to be sure")

    done = await work(ledger, QUEUE)

    assert await rows(ledger) == before
    assert len(before) == 24
    assert (done.state, done.position, done.target) == (RebuildState.SWITCHED, 47, 47)
    assert done.comparison is not None
    assert done.comparison.is_equal()
    equal = TableDiff(
        table="queue_v2", rows_before=24, rows_after=24, only_before=0, only_after=0, differing=0
    )
    started, switched = await history(ledger, QUEUE)
    assert isinstance(started, RebuildStarted)
    assert isinstance(switched, RebuildSwitched)
    assert (started.reason, switched.rebuild, switched.diff) == ("to be sure", started.rebuild, (equal,))
    assert (switched.position, switched.events_applied, switched.events_parked) == (47, 46, 0)
    assert await accounts(ledger) == (47, 46, 1, 0)


async def test_what_somebody_changed_by_hand_is_told_and_mended(ledger: Ledger) -> None:
    streams = await submissions(ledger, 10)
    await bring_level(ledger, QUEUE)
    before = await rows(ledger)
    await ledger.pool.execute("update views.queue_v2 set priority = 'low' where stream = $1", streams[1])
    await ledger.pool.execute("delete from views.queue_v2 where stream = $1", streams[2])
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)

    done = await work(ledger, QUEUE)

    assert await rows(ledger) == before
    assert done.comparison is not None
    (table,) = done.comparison.tables
    assert (table.only_before, table.only_after, table.differing) == (0, 1, 1)
    assert [(one.kind, one.key["stream"], one.columns) for one in done.comparison.sample] == [
        ("differs", streams[1], ("priority",)),
        ("only after", streams[2], ()),
    ]


async def test_a_reset_does_not_look_back(ledger: Ledger) -> None:
    await submissions(ledger, 5)
    await ask(ledger, QUEUE, the_operator(), Kind.RESET)

    done = await work(ledger, QUEUE)

    assert (done.state, done.comparison) == (RebuildState.SWITCHED, None)
    reset, switched = await history(ledger, QUEUE)
    assert isinstance(reset, ProjectionReset)
    assert isinstance(switched, RebuildSwitched)
    assert switched.diff == ()


async def test_old_rows_serve_and_follow_until_the_new_are_level(ledger: Ledger) -> None:
    await submissions(ledger, 5)
    await ask(ledger, QUEUE, the_operator(), Kind.RESET)
    await bring_level(ledger, QUEUE)
    assert len(await rows(ledger)) == 4

    await submissions(ledger, 5, start=5)
    await bring_level(ledger, QUEUE)
    assert len(await rows(ledger)) == 8

    await work(ledger, QUEUE)
    await submissions(ledger, 5, start=10)
    await bring_level(ledger, QUEUE)
    assert len(await rows(ledger)) == 12


async def test_two_at_once_are_refused(ledger: Ledger) -> None:
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)

    for kind in Kind:
        with pytest.raises(RebuildUnderWay):
            await ask(ledger, QUEUE, the_operator(), kind)


async def test_what_was_switched_is_rolled_back_level_with_the_log(ledger: Ledger) -> None:
    streams = await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    await ledger.pool.execute("update views.queue_v2 set priority = 'low' where stream = $1", streams[1])
    by_hand = await rows(ledger)
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)
    await work(ledger, QUEUE)
    rebuilt = await rows(ledger)
    assert rebuilt != by_hand

    await submissions(ledger, 1, start=101)
    await bring_level(ledger, QUEUE)
    await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK, reason="it was right")
    await work(ledger, QUEUE)

    back = await rows(ledger)
    assert set(by_hand) < set(back)
    assert await accounts(ledger) == (12, 9, 3, 0)
    kinds = [type(event) for event in await history(ledger, QUEUE)]
    assert kinds == [RebuildStarted, RebuildSwitched, RollbackStarted, RebuildSwitched]

    await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK)
    await work(ledger, QUEUE)
    assert set(rebuilt) < set(await rows(ledger))


async def test_a_rollback_that_fails_keeps_its_rows_for_another_one(ledger: Ledger) -> None:
    by_hand, broken = await switched(ledger), Chaos(QUEUE)
    await submissions(ledger, 2, start=101)
    await bring_level(ledger, QUEUE)
    last = await ledger.head()
    broken.fail_on(last)
    await ask(ledger, broken, the_operator(), Kind.ROLLBACK)
    assert await Rebuilder(ledger, [broken]).work_once()

    failed = await progress_of(ledger, QUEUE)
    async with ledger.pool.acquire() as conn:
        (failure,) = await failures_in(conn, LEDGER_ID, QUEUE, failed)
    assert (failed.state, failure.position) == (RebuildState.FAILED, last)

    await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK, accept_failures=True)
    assert (await work(ledger, QUEUE)).state is RebuildState.SWITCHED
    assert set(by_hand) < set(await rows(ledger))
    (waiting,) = await ledger.pool.fetch(
        "select position from views.failures where projection = 'queue' and state = 'retrying'"
    )
    assert waiting["position"] == last


@pytest.mark.parametrize("has_begun", [False, True])
async def test_a_rollback_that_is_cancelled_keeps_its_rows_for_another_one(
    ledger: Ledger, *, has_begun: bool
) -> None:
    by_hand = await switched(ledger)
    await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK)
    if has_begun:
        async with ledger.pool.acquire() as conn, conn.transaction():
            await begin(conn, LEDGER_ID, QUEUE, Kind.ROLLBACK)
    await cancel(ledger, QUEUE, the_operator())

    await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK)

    assert (await work(ledger, QUEUE)).state is RebuildState.SWITCHED
    assert await rows(ledger) == by_hand


async def test_a_rollback_that_is_cancelled_while_it_begins_keeps_its_rows(ledger: Ledger) -> None:
    by_hand, worker = await switched(ledger), uuid4()
    await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK)
    async with ledger.pool.acquire() as conn:
        task = await claim(conn, LEDGER_ID, worker, [QUEUE])
        assert task is not None
        async with conn.transaction():
            await begin(conn, LEDGER_ID, QUEUE, Kind.ROLLBACK)
            assert await enter(conn, LEDGER_ID, task, worker, RebuildState.BUILDING)
            cancelling = asyncio.create_task(cancel(ledger, QUEUE, the_operator()))
            while not await ledger.pool.fetchval("select exists (select from pg_locks where not granted)"):
                await asyncio.sleep(0.01)
    await cancelling

    await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK)

    assert (await work(ledger, QUEUE)).state is RebuildState.SWITCHED
    assert await rows(ledger) == by_hand


async def test_rows_that_were_kept_are_no_work_done(ledger: Ledger) -> None:
    await switched(ledger)
    await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK)
    async with ledger.pool.acquire() as conn, conn.transaction():
        assert await claim(conn, LEDGER_ID, uuid4(), [QUEUE])
        await begin(conn, LEDGER_ID, QUEUE, Kind.ROLLBACK)

    under_way = await progress_of(ledger, QUEUE)

    assert under_way.position > 0
    assert (under_way.events_per_second, under_way.seconds_left) == (None, None)


async def switched(ledger: Ledger) -> list[tuple[object, ...]]:
    """Rebuild rows that somebody had changed by hand; return these."""
    streams = await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    await ledger.pool.execute("update views.queue_v2 set priority = 'low' where stream = $1", streams[1])
    by_hand = await rows(ledger)
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)
    assert (await work(ledger, QUEUE)).state is RebuildState.SWITCHED
    return by_hand


async def test_nothing_is_rolled_back_before_anything_was_switched(ledger: Ledger) -> None:
    with pytest.raises(NothingToRollBack):
        await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK)


async def test_a_rebuild_that_waits_is_cancelled(ledger: Ledger) -> None:
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)
    await cancel(ledger, QUEUE, the_operator(), reason="not now")

    assert not await Rebuilder(ledger, [QUEUE]).work_once()
    assert (await progress_of(ledger, QUEUE)).state is RebuildState.CANCELLED
    _, cancelled = await history(ledger, QUEUE)
    assert isinstance(cancelled, RebuildCancelled)
    assert cancelled.reason == "not now"
    with pytest.raises(NoRebuildUnderWay):
        await cancel(ledger, QUEUE, the_operator())


async def test_an_event_that_cannot_be_applied_ends_the_rebuild(ledger: Ledger) -> None:
    broken = Chaos(QUEUE)
    await submissions(ledger, 10)
    await bring_level(ledger, QUEUE)
    before = await rows(ledger)
    broken.fail_on(4, 5)
    await ask(ledger, broken, the_operator(), Kind.REBUILD)

    assert await Rebuilder(ledger, [broken]).work_once()

    assert await rows(ledger) == before
    done = await progress_of(ledger, QUEUE)
    assert (done.state, done.error) == (
        RebuildState.FAILED,
        "events that cannot be applied, and those behind them: 2",
    )
    *_, failed = await history(ledger, QUEUE)
    assert isinstance(failed, RebuildFailed)
    assert failed.reason == "events that cannot be applied, and those behind them: 2"
    names = await ledger.pool.fetch("select projection, position from views.failures order by position")
    assert [tuple(row) for row in names] == [("queue.build", 4), ("queue.build", 5)]


async def test_an_event_that_takes_too_long_ends_the_rebuild(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SESSION_SETTINGS, "statement_timeout", "300ms")
    monkeypatch.setattr("ledger.projections.isolation.BE_QUICK", "set local statement_timeout = '100ms'")
    counting = Counting()
    async with await Ledger.open(database.service_url) as ledger:
        await make_table(ledger)
        await ends(ledger, 5)
        await bring_level(ledger, counting.projection)
        counting.trouble = lambda conn, positions: conn.execute("select pg_sleep($1)", 5.0 * (3 in positions))
        await ask(ledger, counting.projection, the_operator(), Kind.RESET)

        assert await Rebuilder(ledger, [counting.projection]).work_once()

        done = await progress_of(ledger, counting.projection)
        assert (done.state, done.error) == (
            RebuildState.FAILED,
            "events that cannot be applied, and those behind them: 1",
        )


async def test_kept_rows_that_somebody_dropped_cannot_come_back(ledger: Ledger) -> None:
    await submissions(ledger, 5)
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)
    await work(ledger, QUEUE)
    await ledger.pool.execute("drop table views_old.queue_v2")
    before = await rows(ledger)
    await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK)

    done = await work(ledger, QUEUE)

    assert (done.state, done.error) == (RebuildState.FAILED, "NothingKept")
    assert await rows(ledger) == before


async def test_tables_of_several_ledgers_are_not_rebuilt(ledger: Ledger) -> None:
    await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    await ledger.pool.execute(
        f"insert into views.queue_v2 (ledger_id, stream, {QUEUE_COLUMNS})"  # noqa: S608 - names of ours
        f" select 2, stream, {QUEUE_COLUMNS} from views.queue_v2"
    )
    await ask(ledger, QUEUE, the_operator(), Kind.RESET)

    done = await work(ledger, QUEUE)

    assert (done.state, done.error) == (RebuildState.FAILED, "SharedTables")


async def test_an_event_of_a_newer_release_ends_the_rebuild(ledger: Ledger) -> None:
    await submissions(ledger, 2)
    await bring_level(ledger, QUEUE)
    await ledger.pool.execute("update views.checkpoints set position = 5, events_applied = 5")
    await stored_as(ledger, "decision-submitted", 99)
    await ask(ledger, QUEUE, the_operator(), Kind.RESET)

    assert await Rebuilder(ledger, [QUEUE]).work_once()

    done = await progress_of(ledger, QUEUE)
    assert (done.state, done.error) == (RebuildState.FAILED, "UnknownSchemaVersion")


@pytest.mark.parametrize("kind", [Kind.REBUILD, Kind.RESET])
async def test_an_event_that_was_changed_after_it_was_recorded_ends_the_rebuild(
    ledger: Ledger, database: Database, kind: Kind
) -> None:
    streams = await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    before = await rows(ledger)
    await changed(database, 3)
    await ask(ledger, QUEUE, the_operator(), kind, accept_failures=True)

    done = await work(ledger, QUEUE)

    assert done.state is RebuildState.FAILED
    assert done.error is not None
    assert "docs/operations/tampered.md" in done.error
    assert f"(position=3, stream={streams[0]})" in done.error
    assert await rows(ledger) == before


@pytest.mark.parametrize("moment", IMPOSSIBLE)
async def test_an_event_of_a_time_that_no_program_can_hold_ends_the_rebuild(
    ledger: Ledger, database: Database, moment: str
) -> None:
    await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    before = await rows(ledger)
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD, accept_failures=True)
    await bring_level(ledger, QUEUE)
    await happened_at(database, 3, moment)

    assert await Rebuilder(ledger, [QUEUE]).work_once()

    done = await progress_of(ledger, QUEUE)
    assert done.state is RebuildState.FAILED
    assert done.error is not None
    assert "'ledger audit verify --database'" in done.error
    assert await rows(ledger) == before


async def test_what_cannot_be_applied_at_the_last_moment_is_told_in_words(ledger: Ledger) -> None:
    await submissions(ledger, 2)
    await bring_level(ledger, QUEUE)
    await ask(ledger, QUEUE, the_operator(), Kind.RESET)
    await bring_level(ledger, QUEUE)
    async with ledger.pool.acquire() as conn, conn.transaction():
        await begin(conn, LEDGER_ID, QUEUE, Kind.RESET)
    await submissions(ledger, 1, start=10)
    await bring_level(ledger, QUEUE)
    broken = Chaos(QUEUE)
    broken.fail_on(await ledger.head())

    async with ledger.pool.acquire() as conn:
        with pytest.raises(NotApplied, match="events that cannot be applied, and those behind them: 1"):
            async with conn.transaction():
                await exchange(conn, LEDGER_ID, broken, accept_failures=False)


async def test_what_may_pass_by_itself_is_tried_again(ledger: Ledger) -> None:
    troubled = Chaos(QUEUE)
    await submissions(ledger, 10)
    await bring_level(ledger, QUEUE)
    troubled.fail_on(4, error=transient)
    await ask(ledger, troubled, the_operator(), Kind.REBUILD)

    working = asyncio.create_task(Rebuilder(ledger, [troubled]).work_once())
    while not troubled.fed:
        await asyncio.sleep(0.01)
    troubled.heal()

    assert await working
    done = await progress_of(ledger, QUEUE)
    assert (done.state, done.events_parked) == (RebuildState.SWITCHED, 0)


async def test_a_rebuild_is_taken_up_by_itself(ledger: Ledger) -> None:
    await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    hands = asyncio.create_task(Rebuilder(ledger, [QUEUE]).run_forever())
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)

    async with asyncio.timeout(60):
        while not (await progress_of(ledger, QUEUE)).is_over():
            await asyncio.sleep(0.02)
    hands.cancel()
    await asyncio.gather(hands, return_exceptions=True)

    assert (await progress_of(ledger, QUEUE)).state is RebuildState.SWITCHED


async def test_whoever_stops_gives_its_work_back_at_once(ledger: Ledger) -> None:
    slow = Chaos(QUEUE)
    slow.gate.clear()
    await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)
    hands = asyncio.create_task(Rebuilder(ledger, [slow]).run_forever())
    while not slow.fed:
        await asyncio.sleep(0.01)
    assert (await progress_of(ledger, QUEUE)).is_worked_on

    hands.cancel()
    await asyncio.gather(hands, return_exceptions=True)

    assert await Rebuilder(ledger, [QUEUE]).work_once()
    assert (await progress_of(ledger, QUEUE)).state is RebuildState.SWITCHED


async def test_a_paused_projection_is_rebuilt_and_stays_paused(ledger: Ledger) -> None:
    await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    await ledger.pool.execute("update views.checkpoints set paused_at = now()")
    await submissions(ledger, 5, start=5)
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)

    assert await Rebuilder(ledger, [QUEUE]).work_once()

    done = await progress_of(ledger, QUEUE)
    assert (done.state, done.position) == (RebuildState.SWITCHED, 8)
    paused = await ledger.pool.fetch("select projection from views.checkpoints where paused_at is not null")
    assert [row["projection"] for row in paused] == ["queue"]


async def test_failures_that_are_accepted_are_parked_for_the_new_rows(ledger: Ledger) -> None:
    broken = Chaos(QUEUE)
    await submissions(ledger, 10)
    await bring_level(ledger, QUEUE)
    broken.fail_on(1)
    await ask(ledger, broken, the_operator(), Kind.REBUILD, accept_failures=True)

    assert await Rebuilder(ledger, [broken]).work_once()

    done = await progress_of(ledger, QUEUE)
    assert (done.state, done.events_parked) == (RebuildState.SWITCHED, 3)
    assert await accounts(ledger) == (16, 13, 0, 3)
    found = await ledger.pool.fetch("select projection, position, state from views.failures")
    assert [tuple(row) for row in found] == [("queue", 1, "retrying")]
    parked = await ledger.pool.fetch("select projection, position from views.parked order by position")
    assert [tuple(row) for row in parked] == [("queue", 1), ("queue", 2), ("queue", 3)]


async def test_kept_rows_that_lack_events_are_not_thrown_away_by_trying_to_bring_them_back(
    ledger: Ledger,
) -> None:
    broken = Chaos(QUEUE)
    broken.fail_on(1)
    await submissions(ledger, 10)
    await bring_level(ledger, QUEUE)
    await ask(ledger, broken, the_operator(), Kind.REBUILD, accept_failures=True)
    assert await Rebuilder(ledger, [broken]).work_once()
    await ask(ledger, QUEUE, the_operator(), Kind.REBUILD)
    await work(ledger, QUEUE)

    with pytest.raises(KeptRowsLackEvents):
        await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK)
    await ask(ledger, QUEUE, the_operator(), Kind.ROLLBACK, accept_failures=True)

    assert (await work(ledger, QUEUE)).state is RebuildState.SWITCHED
    assert (await accounts(ledger) or ())[3] == 3


async def test_who_waits_while_rows_are_exchanged_goes_on_with_the_new_ones(ledger: Ledger) -> None:
    await submissions(ledger, 5)
    await bring_level(ledger, QUEUE)
    async with ledger.pool.acquire() as exchanging, ledger.pool.acquire() as waiting:
        exchange = exchanging.transaction()
        await exchange.start()
        await lock(exchanging, ledger.ledger_id, QUEUE)
        await read_checkpoint(exchanging, ledger.ledger_id, built(QUEUE))
        await exchanging.execute(
            "update views.checkpoints b set position = l.position, events_applied = l.events_applied,"
            " events_not_wanted = l.events_not_wanted from views.checkpoints l"
            " where l.projection = 'queue' and b.projection = 'queue.build'"
        )
        await accounts_exchanged(exchanging, ledger.ledger_id, QUEUE)
        async with waiting.transaction(), asyncio.TaskGroup() as tasks:
            seen = tasks.create_task(lock(waiting, ledger.ledger_id, QUEUE))
            while not await ledger.pool.fetchval("select count(*) from pg_locks where not granted"):
                pass
            await exchange.commit()

    assert seen.result().position == 8

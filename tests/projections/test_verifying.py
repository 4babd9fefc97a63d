"""Verifying finds what is wrong with a read model, and nothing where nothing is."""

import asyncio

import asyncpg
import pytest

from ledger.domain.ids import StreamName
from ledger.domain.operations.events import TableDiff
from ledger.projections import verifying
from ledger.projections.catalog import ALL
from ledger.projections.projection import Feed
from ledger.projections.verifying import NeverRun, NoTemporaryTables, Verification, verify
from ledger.projections.views.queue import QUEUE
from ledger.store.codec import UnknownSchemaVersion
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.migrate import migrate
from ledger.store.pool import SESSION_SETTINGS, DatabaseUnreachable, ImpossibleTime
from tests.builders import claimed
from tests.operations.rebuilt import submissions, told
from tests.projections.counting import stored_as
from tests.projections.given import QUEUE_COLUMNS, bring_level
from tests.projections.scenes import IMPOSSIBLE, happened_at
from tests.support.chaos import Chaos
from tests.support.databases import Database


@pytest.fixture
async def streams(ledger: Ledger) -> list[StreamName]:
    """Ten decisions, eight of them open, and the queue level with them."""
    found = await submissions(ledger, 10)
    await bring_level(ledger, QUEUE)
    return found


async def verified(ledger: Ledger, feed: Feed = QUEUE, **choice: int | None) -> Verification:
    return await verify(ledger.url, LEDGER_ID, feed, **choice)


async def under_way(ledger: Ledger) -> tuple[Chaos, asyncio.Task[Verification]]:
    """A verification that stands still in the midst of its fold until the gate of its view is opened."""
    slow = Chaos(QUEUE)
    slow.gate.clear()
    verifying = asyncio.create_task(verified(ledger, slow))
    while not slow.fed:
        await asyncio.sleep(0.01)
    return slow, verifying


async def test_a_projection_in_order_is_clean_and_says_what_was_looked_at(
    ledger: Ledger, streams: list[StreamName]
) -> None:
    found = await verified(ledger)

    assert found.is_clean()
    assert (found.streams, found.events, found.left_out, found.unfoldable) == (None, 16, 0, ())
    equal = TableDiff(table="queue_v2", rows_before=8, rows_after=8, only_before=0, only_after=0, differing=0)
    assert found.comparison.tables == (equal,)
    account = found.completeness
    assert (account.position, account.head, account.applied, account.not_wanted) == (16, 16, 16, 0)


@pytest.mark.parametrize("feed", ALL, ids=lambda feed: feed.name)
async def test_every_projection_can_be_verified(ledger: Ledger, feed: Feed) -> None:
    await submissions(ledger, 10)
    await bring_level(ledger, feed)

    assert (await verified(ledger, feed)).is_clean()


async def test_a_row_changed_by_hand_is_found_with_its_columns(
    ledger: Ledger, streams: list[StreamName]
) -> None:
    await ledger.pool.execute("update views.queue_v2 set level = 3 where stream = $1", streams[4])

    found = await verified(ledger)

    assert not found.is_clean()
    assert [(one.kind, one.key["stream"], one.columns) for one in found.comparison.sample] == [
        ("differs", streams[4], ("level",))
    ]


async def test_a_row_deleted_by_hand_is_found(ledger: Ledger, streams: list[StreamName]) -> None:
    await ledger.pool.execute("delete from views.queue_v2 where stream = $1", streams[4])

    (one,) = (await verified(ledger)).comparison.sample
    assert (one.kind, one.key["stream"]) == ("only after", streams[4])


async def test_a_row_added_by_hand_is_found(ledger: Ledger, streams: list[StreamName]) -> None:
    await ledger.pool.execute(
        f"insert into views.queue_v2 (ledger_id, stream, {QUEUE_COLUMNS})"  # noqa: S608 - names of ours
        f" select ledger_id, 'decision-nobodys', {QUEUE_COLUMNS} from views.queue_v2 where stream = $1",
        streams[4],
    )

    (one,) = (await verified(ledger)).comparison.sample
    assert (one.kind, one.key["stream"]) == ("only before", "decision-nobodys")


@pytest.mark.parametrize(
    ("by_hand", "kinds"),
    [
        ("update views.queue_v2 set level = 3", {"differs"}),
        ("delete from views.queue_v2", {"only after"}),
        ("update views.queue_v2 set stream = stream || 'x'", {"only before", "only after"}),
    ],
)
async def test_a_sample_finds_what_is_wrong_with_what_it_looks_at(
    ledger: Ledger,
    streams: list[StreamName],
    monkeypatch: pytest.MonkeyPatch,
    by_hand: str,
    kinds: set[str],
) -> None:
    monkeypatch.setattr(verifying, "WHOLE", 0)
    clean = await verified(ledger, sample=4)
    assert clean.is_clean()
    assert clean.streams is not None
    assert 1 <= clean.streams <= 8

    await ledger.pool.execute(by_hand)
    found = await verified(ledger, sample=4)

    assert {one.kind for one in found.comparison.sample} == kinds


async def test_what_happens_meanwhile_makes_no_difference(ledger: Ledger, streams: list[StreamName]) -> None:
    """The log grows and the view follows while it is being verified."""
    slow, verifying = await under_way(ledger)
    await submissions(ledger, 10, start=50)
    await bring_level(ledger, QUEUE)
    slow.gate.set()

    found = await verifying
    assert found.is_clean()
    assert found.completeness.position == 16


async def test_parked_streams_are_accounted_for_and_left_out(ledger: Ledger) -> None:
    broken = Chaos(QUEUE)
    broken.fail_on(1)
    await submissions(ledger, 10)
    await bring_level_with_failures(ledger, broken)

    found = await verified(ledger)

    assert found.is_clean()
    assert (found.completeness.parked, found.left_out) == (3, 1)


async def bring_level_with_failures(ledger: Ledger, feed: Feed) -> None:
    from ledger.projections.batch import run_singly
    from ledger.projections.checkpoints import read_position

    async with ledger.pool.acquire() as conn:
        after = await read_position(conn, LEDGER_ID, feed)
        await run_singly(conn, LEDGER_ID, feed, after=after, limit=500)


async def test_an_event_that_this_release_cannot_apply_is_no_clean_fold(
    ledger: Ledger, streams: list[StreamName]
) -> None:
    broken = Chaos(QUEUE)
    broken.fail_on(4)

    found = await verified(ledger, broken)

    assert not found.is_clean()
    assert found.unfoldable == (streams[1],)
    assert found.comparison.is_equal()


@pytest.mark.parametrize(
    ("by_hand", "problem"),
    [
        (
            """update views.checkpoints
               set events_applied = events_applied - 1, events_not_wanted = events_not_wanted + 1""",
            "applied, parked and skipped are not the events in the log that it wants",
        ),
        (
            "update views.checkpoints set events_applied = events_applied - 1, events_parked = 1",
            "the parked events are not those that are counted",
        ),
        (
            "update views.checkpoints set events_applied = events_applied - 1, events_skipped = 1",
            "the skipped events are not those that are counted",
        ),
        (
            "update views.checkpoints set events_applied = events_applied + 1, position = position + 1",
            "the checkpoint lies beyond the end of the log",
        ),
        (
            """alter table views.checkpoints drop constraint checkpoints_complete;
               update views.checkpoints set events_not_wanted = 7""",
            "applied, not wanted, parked and skipped do not add up to the checkpoint",
        ),
    ],
)
async def test_accounts_that_do_not_add_up_are_told(
    ledger: Ledger, streams: list[StreamName], by_hand: str, problem: str
) -> None:
    await ledger.pool.execute(by_hand)

    found = await verified(ledger)

    assert problem in found.completeness.problems
    assert not found.is_clean()


async def test_a_hole_in_the_log_is_told(
    database: Database, ledger: Ledger, streams: list[StreamName]
) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("delete from ledger.events where position = 4")
    await owner.close()

    found = await verified(ledger)

    assert "the log has holes: its events are fewer than its last position" in found.completeness.problems


async def test_an_event_of_a_newer_release_is_no_difference_of_rows(ledger: Ledger) -> None:
    """A newer release beside this one may have applied it already."""
    await submissions(ledger, 2)
    await bring_level(ledger, QUEUE)
    await stored_as(ledger, "decision-submitted", 99)
    await submissions(ledger, 2, start=10)
    head = await ledger.head()
    await ledger.pool.execute(
        "update views.checkpoints set position = $1, events_applied = $1 - events_not_wanted", head
    )

    with pytest.raises(UnknownSchemaVersion):
        await verified(ledger)


@pytest.mark.parametrize("moment", IMPOSSIBLE)
async def test_a_time_that_no_program_can_hold_is_told_as_what_it_is(
    database: Database, ledger: Ledger, streams: list[StreamName], moment: str
) -> None:
    await happened_at(database, 4, moment)

    with pytest.raises(ImpossibleTime):
        await verified(ledger)


async def test_rows_that_somebody_has_locked_for_long_are_out_of_reach(
    ledger: Ledger, streams: list[StreamName], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SESSION_SETTINGS, "lock_timeout", "50ms")
    async with ledger.pool.acquire() as conn, conn.transaction():
        await conn.execute("lock table views.queue_v2 in access exclusive mode")

        with pytest.raises(DatabaseUnreachable):
            await verified(ledger)


async def test_a_line_that_is_lost_meanwhile_is_told(ledger: Ledger, streams: list[StreamName]) -> None:
    slow, verifying = await under_way(ledger)
    await ledger.pool.fetchval(
        "select count(pg_terminate_backend(pid)) from pg_locks where relation = 'views.queue_v2'::regclass"
    )
    slow.gate.set()

    with pytest.raises(DatabaseUnreachable):
        await verifying


async def test_a_projection_that_never_ran_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NeverRun):
        await verified(ledger)


async def test_a_login_that_may_not_make_temporary_tables_is_told_so(
    database: Database, ledger: Ledger, streams: list[StreamName]
) -> None:
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute(f"revoke all on database {database.name} from public, ledger_service")
        await owner.execute(f"grant connect on database {database.name} to ledger_service")
        with pytest.raises(NoTemporaryTables):
            await verified(ledger)

        await migrate(database.owner_url, database.service_url)
        assert (await verified(ledger)).is_clean()
    finally:
        await owner.close()


async def test_verifying_leaves_nothing_behind(ledger: Ledger, streams: list[StreamName]) -> None:
    relations = "select count(*) from pg_class"
    before = await ledger.pool.fetchval(relations)

    await verified(ledger)

    assert await ledger.pool.fetchval(relations) == before


async def test_nobody_waits_for_a_verification(ledger: Ledger, streams: list[StreamName]) -> None:
    slow, verifying = await under_way(ledger)

    await told(ledger, streams[1], [claimed()])
    await bring_level(ledger, QUEUE)
    assert await ledger.pool.fetchval("select holder from views.queue_v2 where stream = $1", streams[1])

    slow.gate.set()
    assert (await verifying).is_clean()

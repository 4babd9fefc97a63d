"""What can be folded anew by itself, and what can only be rebuilt."""

import pytest
from msgspec.structs import replace

from ledger.domain.ids import Position
from ledger.operations.replaying import rehearse_replay
from ledger.projections.checkpoints import lock, read_checkpoint
from ledger.projections.failures import Ending, Resolution
from ledger.projections.replay import Range, UseRebuild
from ledger.projections.replay import replay as replay_range
from ledger.projections.views.decisions import DECISIONS
from ledger.store.codec import UnknownSchemaVersion
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import SESSION_SETTINGS, DatabaseUnreachable
from ledger.store.true_log import PayloadChanged
from tests.projections.counting import stored_as
from tests.projections.given import bring_level
from tests.projections.scenes import ONE, THREE_ITEMS, changed, clean_rows, counted, happen, rows
from tests.support.chaos import Chaos, transient
from tests.support.databases import Database

BY_HAND = Ending(resolution=Resolution.MANUAL_REPLAY, by="operator")
EVERYTHING = Range(first=Position(1), last=Position(8))


@pytest.fixture
async def level(ledger: Ledger) -> Ledger:
    await happen(ledger, THREE_ITEMS)
    await bring_level(ledger, DECISIONS)
    return ledger


async def test_rows_that_belong_to_no_stream_cannot_be_replayed(level: Ledger) -> None:
    async with level.pool.acquire() as conn, conn.transaction():
        with pytest.raises(UseRebuild):
            await replay_range(
                conn, LEDGER_ID, replace(DECISIONS, is_keyed_by_stream=False), EVERYTHING, ending=BY_HAND
            )


async def test_a_part_of_the_log_leaves_other_sequences_alone(level: Ledger) -> None:
    await level.pool.execute("update views.decisions_v2 set level = 7")
    async with level.pool.acquire() as conn, conn.transaction():
        asked = Range(first=Position(7), last=Position(8))
        done = await replay_range(conn, LEDGER_ID, DECISIONS, asked, ending=BY_HAND)

    assert (done.sequences, done.replayed) == (1, 2)
    levels = await level.pool.fetch("select level from views.decisions_v2 order by stream")
    assert [row["level"] for row in levels] == [7, 7, 0]


async def test_what_nobody_has_begun_to_follow_is_left_to_the_runner(ledger: Ledger) -> None:
    await happen(ledger, THREE_ITEMS)
    async with ledger.pool.acquire() as conn, conn.transaction():
        done = await replay_range(conn, LEDGER_ID, DECISIONS, EVERYTHING, ending=BY_HAND)

    assert (done.sequences, done.replayed, done.failed) == (3, 0, 0)
    assert await counted(ledger, "decisions") == (0, 0, 0, 0, 0)


async def test_passing_trouble_undoes_a_replay_and_parks_nothing(level: Ledger) -> None:
    chaos = Chaos(DECISIONS)
    chaos.fail_on(3, error=transient)
    async with level.pool.acquire() as conn:
        with pytest.raises(type(transient())):
            async with conn.transaction():
                await replay_range(conn, LEDGER_ID, chaos, EVERYTHING, ending=BY_HAND)

    assert await rows(level) == await clean_rows(level)
    assert await counted(level, "decisions") == (8, 8, 0, 0, 0)


async def test_what_a_newer_release_wrote_is_not_replayed(level: Ledger) -> None:
    last = await stored_as(level, "decision-claimed", 99)
    await level.pool.execute(
        "update views.checkpoints set position = position + 1, events_applied = events_applied + 1"
    )
    async with level.pool.acquire() as conn:
        assert (await read_checkpoint(conn, LEDGER_ID, DECISIONS)).position == last
        with pytest.raises(UnknownSchemaVersion):
            async with conn.transaction():
                await replay_range(conn, LEDGER_ID, DECISIONS, Range(first=last, last=last), ending=BY_HAND)


async def test_what_was_changed_after_it_was_recorded_is_not_written_over_what_is_true(
    level: Ledger, database: Database
) -> None:
    before = await rows(level)
    await changed(database, 3)
    asked = Range(first=Position(1), last=Position(1))
    async with level.pool.acquire() as conn:
        with pytest.raises(PayloadChanged, match=r"docs/operations/tampered\.md") as refused:
            async with conn.transaction():
                await replay_range(conn, LEDGER_ID, DECISIONS, asked, ending=BY_HAND)

    assert refused.value.context == {"position": 3, "stream": ONE}
    assert await rows(level) == before
    assert await counted(level, "decisions") == (8, 8, 0, 0, 0)


async def test_a_dry_replay_of_what_was_changed_is_refused_too(level: Ledger, database: Database) -> None:
    await changed(database, 3)

    with pytest.raises(PayloadChanged):
        await rehearse_replay(level, DECISIONS, EVERYTHING)


async def test_another_sequence_is_replayed_beside_what_was_changed(
    level: Ledger, database: Database
) -> None:
    await changed(database, 3)
    async with level.pool.acquire() as conn, conn.transaction():
        asked = Range(first=Position(7), last=Position(8))
        done = await replay_range(conn, LEDGER_ID, DECISIONS, asked, ending=BY_HAND)

    assert (done.sequences, done.replayed) == (1, 2)


async def test_a_dry_run_that_waits_too_long_for_a_lock_is_told_as_such(
    database: Database, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SESSION_SETTINGS, "lock_timeout", "100ms")
    await bring_level(ledger, DECISIONS)
    async with (
        await Ledger.open(database.service_url) as hasty,
        ledger.pool.acquire() as holder,
        holder.transaction(),
    ):
        await lock(holder, LEDGER_ID, DECISIONS)
        with pytest.raises(DatabaseUnreachable) as refused:
            await rehearse_replay(hasty, DECISIONS, Range(first=Position(1), last=Position(1)))

    assert refused.value.context == {"reason": "LockNotAvailableError"}

"""Reading: streams whole, commands by their first event, the log by position."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid5

import asyncpg
import pytest

from ledger.domain.errors import Corrupt
from ledger.domain.ids import START, CommandId, DecisionId, EventId, Position
from ledger.domain.session.events import EndCause, SessionEnded
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.pool import DatabaseUnreachable, ImpossibleTime, borrowed
from ledger.store.streams import (
    MAX_LOG_BYTES,
    append,
    append_in,
    draft,
    event_ids,
    load_streams,
    new_command_id,
    read_command,
    read_log,
    read_stream,
    read_streams,
    recorded,
)
from tests.support.databases import Database
from tests.support.events import a_large_append, an_event, by_somebody, new_stream, with_key


@pytest.mark.parametrize("name", ["INC-1", "", "Ω", "a" * 200])
async def test_a_decisions_stream_is_named_by_an_id_of_version_5(ledger: Ledger, name: str) -> None:
    row = await ledger.pool.fetchrow("select namespace from ledger.ledger_identity where ledger_id = 1")

    assert row is not None
    assert ledger.decision_stream(DecisionId(name)) == f"decision-{uuid5(row['namespace'], name)}"


async def test_several_streams_come_in_one_round_trip_and_a_new_one_is_empty(ledger: Ledger) -> None:
    first, second, unknown = new_stream(), new_stream(), new_stream()
    await append(ledger, draft(first, [an_event()] * 2, by_somebody()))
    await append(ledger, draft(second, [an_event()], by_somebody()))

    read = await read_streams(ledger, [second.name, unknown.name, first.name])

    assert {name: stream.version() for name, stream in read.items()} == {
        second.name: 1,
        unknown.name: 0,
        first.name: 2,
    }
    assert read[unknown.name].last_leaf() == b""


async def test_an_event_comes_back_as_it_was_written(ledger: Ledger) -> None:
    stream, event = new_stream(), SessionEnded(at=datetime(2026, 2, 3, tzinfo=UTC), cause=EndCause.TOO_MANY)
    await append(ledger, draft(stream, [event], by_somebody()))

    stored = (await read_stream(ledger, stream.name)).events[0]

    assert recorded(stored, (SessionEnded,)).event == event


async def test_a_command_is_found_by_its_first_event_with_all_of_its_events(ledger: Ledger) -> None:
    stream, key = new_stream(), with_key("k", request="digest")
    await append(ledger, draft(stream, [an_event()] * 3, key))
    await append(ledger, draft(await read_stream(ledger, stream.name), [an_event()], by_somebody()))

    found = await read_command(ledger, event_ids(key, 1)[0])

    assert [stored.version for stored in found] == [1, 2, 3]
    assert all(stored.envelope for stored in found)
    assert await read_command(ledger, EventId(new_command_id())) == ()


async def test_the_log_accounts_for_every_position_and_carries_only_wanted_payloads(ledger: Ledger) -> None:
    for _ in range(3):
        await append(ledger, draft(new_stream(), [an_event()], by_somebody()))

    async with ledger.pool.acquire() as conn:
        wanted = await read_log(conn, ledger.ledger_id, after=START, wanted=["session-ended"], limit=2)
        unwanted = await read_log(conn, ledger.ledger_id, after=Position(1), wanted=["other"], limit=10)

    assert [stored.position for stored in wanted] == [1, 2]
    assert all(stored.payload for stored in wanted)
    assert [stored.position for stored in unwanted] == [2, 3]
    assert [stored.payload for stored in unwanted] == [None, None]
    with pytest.raises(Corrupt):
        recorded(unwanted[0], (SessionEnded,))


async def test_a_piece_of_the_log_is_bounded_by_bytes_but_never_empty(ledger: Ledger) -> None:
    for size in (MAX_LOG_BYTES + 1, 1000, MAX_LOG_BYTES - 1000, 10):
        await append(ledger, a_large_append(size))

    async def positions(after: int, wanted: str) -> list[int]:
        async with ledger.pool.acquire() as conn:
            log = await read_log(conn, ledger.ledger_id, after=Position(after), wanted=[wanted], limit=500)
        return [stored.position for stored in log]

    assert await positions(0, "session-ended") == [1]
    assert await positions(1, "session-ended") == [2, 3]
    assert await positions(3, "session-ended") == [4]
    assert await positions(0, "another type") == [1, 2, 3, 4], "what is not wanted is not read"


@pytest.mark.parametrize(
    "moment", ["infinity", "-infinity", "20000-01-01 00:00+00", "0044-03-15 00:00+00 BC"]
)
async def test_a_time_that_nobody_recorded_is_refused_as_what_it_is(
    moment: str, ledger: Ledger, database: Database
) -> None:
    """The owner of the database can write what no program can hold."""
    stream = new_stream()
    await append(ledger, draft(stream, [an_event()], by_somebody()))
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("update ledger.events set recorded_at = $1::text::timestamptz", moment)
    await owner.close()

    with pytest.raises(ImpossibleTime):
        await read_stream(ledger, stream.name)
    with pytest.raises(ImpossibleTime):
        async with borrowed(ledger.pool) as conn:
            await read_log(conn, 1, after=START, wanted=[], limit=10)


async def test_the_second_door_rolls_back_with_its_transaction(ledger: Ledger) -> None:
    drafted = draft(new_stream(), [an_event()], by_somebody())

    async with ledger.pool.acquire() as conn:
        change_of_mind = conn.transaction()
        await change_of_mind.start()
        await append_in(conn, ledger.ledger_id, drafted)
        await change_of_mind.rollback()

    assert await ledger.head() == 0


def test_a_keyed_command_names_its_events_the_same_way_every_time() -> None:
    key = with_key("k")

    assert event_ids(key, 3)[:2] == event_ids(key, 2)
    assert len(set(event_ids(key, 3))) == 3


def test_a_keyless_command_names_its_events_in_time_order_and_again_the_same() -> None:
    earlier, later = by_somebody(), by_somebody()

    assert list(event_ids(earlier, 3) + event_ids(later, 3)) == sorted(
        event_ids(earlier, 3) + event_ids(later, 3)
    )
    assert event_ids(earlier, 2) == event_ids(earlier, 2)
    assert event_ids(earlier, 1) == (EventId(earlier.command_id),)


def test_the_same_key_of_another_caller_is_another_command() -> None:
    assert with_key("k").command_id != with_key("k").command_id


async def test_a_closed_pool_is_an_unreachable_database(database: Database) -> None:
    opened = await Ledger.open(database.service_url)
    await opened.pool.close()

    with pytest.raises(DatabaseUnreachable):
        await read_stream(opened, new_stream().name)


def test_provenance_of_a_reaction_names_its_cause() -> None:
    cause = EventId(new_command_id())

    made = Provenance(actor="system", command_id=CommandId(new_command_id()), causation_id=cause)

    assert made.causation_id == cause


async def test_streams_and_commands_are_looked_up_by_key_however_early_that_was_planned(
    ledger: Ledger, database: Database
) -> None:
    """The first looks are planned on an empty log; later ones must not read the whole log with that plan."""
    first = by_somebody()
    for _ in range(10):
        await load_streams(ledger, [new_stream().name])
        await read_command(ledger, event_ids(first, 1)[0])
    grown = [draft(new_stream(), [an_event()] * 5, by_somebody()) for _ in range(400)]
    await asyncio.gather(*(append(ledger, one) for one in grown))
    for one in grown[:100]:
        assert (await load_streams(ledger, [one.stream]))[one.stream].version() == 5
        assert len(await read_command(ledger, one.events[0].event_id)) == 5
    owner = await asyncpg.connect(database.owner_url)
    async with asyncio.timeout(20):
        while (read := await owner.fetchval(ENTRIES_READ)) < 100 * 10:
            await asyncio.sleep(0.1)
    await owner.close()

    assert read < 100 * 2000


ENTRIES_READ = """
select sum(idx_tup_read) from pg_stat_user_indexes where schemaname = 'ledger' and relname = 'events'
"""

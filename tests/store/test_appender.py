"""Group commit: what travels together, what fails alone, and what survives a lost connection."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from structlog.testing import capture_logs

from ledger.domain.errors import Overloaded, Unavailable, VersionConflict
from ledger.domain.ids import EventId
from ledger.store.appender import FORGOTTEN_AFTER, UNDIVIDED, Appender
from ledger.store.appends import Append, Appended, Duplicate, NewEvent
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.sending import RejectedByDatabase
from ledger.store.streams import Stream, append_in, draft, read_stream
from tests.support.databases import Database
from tests.support.events import an_event, by_somebody, new_stream, with_key
from tests.support.proxy import proxy

HANG = 60.0


@pytest.fixture
async def appender(database: Database) -> AsyncIterator[Appender]:
    """An appender whose batches the test controls: nothing is sent before ``start``."""
    made = Appender(database.service_url, LEDGER_ID, max_queue=8)
    yield made
    await made.stop()


async def queued(appender: Appender, *drafts: Append) -> list[asyncio.Task[Appended | Duplicate]]:
    tasks = [asyncio.create_task(appender.append(one)) for one in drafts]
    await asyncio.sleep(0)
    return tasks


def one_event(stream: Stream | None = None, reads: tuple[Stream, ...] = ()) -> Append:
    return draft(stream or new_stream(), [an_event()], by_somebody(), reads)


def with_payload(payload: bytes, event_type: str = "session-ended") -> Append:
    plain = one_event()
    spoilt = NewEvent(event_id=plain.events[0].event_id, type=event_type, schema_version=1, payload=payload)
    return Append(
        stream=plain.stream, expected=plain.expected, prev=b"", events=(spoilt,), provenance=plain.provenance
    )


async def batches(ledger: Ledger, tasks: list[asyncio.Task[Appended | Duplicate]]) -> list[int]:
    """Number the transaction of each append, in order: appends of one batch share it."""
    await asyncio.gather(*tasks)
    rows = await ledger.pool.fetch("select xmin::text::bigint as tx from ledger.events order by position")
    order = sorted({row["tx"] for row in rows})
    return [order.index(row["tx"]) for row in rows]


async def test_concurrent_appends_share_a_commit(appender: Appender, ledger: Ledger) -> None:
    tasks = await queued(appender, *(one_event() for _ in range(5)))
    appender.start()

    assert await batches(ledger, tasks) == [0, 0, 0, 0, 0]


async def test_while_one_half_of_the_callers_commits_the_other_half_prepares(
    ledger: Ledger, database: Database
) -> None:
    appender = Appender(database.service_url, LEDGER_ID)

    async def caller() -> None:
        for _ in range(4):
            await appender.append(one_event())

    callers = [asyncio.create_task(caller()) for _ in range(40)]
    await asyncio.sleep(0)
    appender.start()
    await asyncio.gather(*callers)
    await appender.stop()

    rows = await ledger.pool.fetch("select count(*) from ledger.events group by xmin order by min(position)")
    first, *later = [row["count"] for row in rows]
    assert first == 40, "nothing is there to go with it"
    assert max(later) == 20


@pytest.mark.parametrize(
    ("theirs", "ours", "later", "together"),
    [
        pytest.param(0, 1, 0, 20, id="there is nobody else"),
        pytest.param(1, 1, 0, 40, id="another appends as much"),
        pytest.param(1, 8, 0, 20, id="another appends far less"),
        pytest.param(1, 1, FORGOTTEN_AFTER - 1, 40, id="another has missed turns"),
        pytest.param(1, 1, FORGOTTEN_AFTER, 20, id="another has gone"),
    ],
)
async def test_beside_another_writer_all_callers_travel_together(
    appender: Appender, ledger: Ledger, *, theirs: int, ours: int, later: int, together: int
) -> None:
    """Their batch is taken while ours is prepared: halves of ours would only be more batches."""
    appender.max_queue = 40
    appender.start()
    await appender.append(one_event())
    async with ledger.pool.acquire() as conn, conn.transaction():
        for _ in range(theirs):
            await append_in(conn, LEDGER_ID, one_event())
    await asyncio.gather(*await queued(appender, *(one_event() for _ in range(ours))))
    for _ in range(later):
        await appender.append(one_event())

    transactions = await batches(ledger, await queued(appender, *(one_event() for _ in range(40))))
    assert transactions.count(transactions[-40]) == together


async def test_a_reader_of_a_stream_never_shares_a_batch_with_its_writer(
    appender: Appender, ledger: Ledger
) -> None:
    read = new_stream()
    tasks = await queued(appender, one_event(reads=(read,)), one_event(read), one_event())
    appender.start()

    assert await batches(ledger, tasks) == [0, 0, 1]
    assert (await read_stream(ledger, read.name)).events[0].position == 3


async def test_a_writer_first_leaves_its_reader_behind(appender: Appender) -> None:
    read = new_stream()
    tasks = await queued(appender, one_event(read), one_event(reads=(read,)))
    appender.start()

    written, refused = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(written, Appended)
    assert isinstance(refused, VersionConflict)
    assert refused.context == {"stream": read.name, "expected": 0, "actual": 1}


async def test_readers_of_one_stream_share_a_batch(appender: Appender, ledger: Ledger) -> None:
    read = new_stream()
    tasks = await queued(appender, *(one_event(reads=(read,)) for _ in range(3)))
    appender.start()

    assert await batches(ledger, tasks) == [0, 0, 0]


async def test_nothing_overtakes_what_stayed_behind_on_its_streams(
    appender: Appender, ledger: Ledger
) -> None:
    """The second writer waits for the first; the reader behind it must not slip into the first batch."""
    hot, read = new_stream(), new_stream()
    tasks = await queued(
        appender, one_event(hot), one_event(hot, reads=(read,)), one_event(read), one_event()
    )
    appender.start()

    answers = await asyncio.gather(*tasks, return_exceptions=True)

    positions = [one.first_position if isinstance(one, Appended) else None for one in answers]
    assert positions == [1, None, 3, 2]


async def test_one_command_is_never_twice_in_a_batch(appender: Appender) -> None:
    key = with_key("k")
    tasks = await queued(
        appender, draft(new_stream(), [an_event()], key), draft(new_stream(), [an_event()], key)
    )
    appender.start()

    first, second = await asyncio.gather(*tasks)

    assert isinstance(first, Appended)
    assert isinstance(second, Duplicate)
    assert second.first_position == first.first_position


async def test_an_append_that_cannot_be_stored_fails_alone(appender: Appender, ledger: Ledger) -> None:
    spoilt = with_payload(b"{}", event_type="nul\x00")
    tasks = await queued(appender, one_event(), spoilt, one_event())
    appender.start()

    before, refused, after = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(before, Appended)
    assert isinstance(refused, RejectedByDatabase)
    assert isinstance(after, Appended)
    assert await ledger.head() == 2
    assert not appender.is_refused(), "the fault was the append's"


async def test_once_the_database_is_away_those_beside_an_append_that_cannot_be_stored_wait_for_it_once(
    database: Database,
) -> None:
    """Each of them would be sent by itself, and each wait until it was given up."""
    async with proxy(database.service_url) as line:
        line.hold_answers(after=b"append_one")
        appender = Appender(line.url, LEDGER_ID)
        spoilt = with_payload(b"{}", event_type="nul\x00")
        tasks = await queued(appender, one_event(), spoilt, *(one_event() for _ in range(4)))
        with capture_logs() as said:
            appender.start()
            await line.held.wait()
            line.refuse()
            await asyncio.wait(tasks)
        assert appender.is_refused()
        await appender.stop()

    assert [getattr(task.exception(), "code", "") for task in tasks] == [
        "outcome-unknown",
        *["unavailable"] * 5,
    ]
    assert [one["event"] for one in said] == ["append.connection.lost"] * 4


async def test_a_caller_that_left_before_sending_writes_nothing(appender: Appender, ledger: Ledger) -> None:
    gone, stays = await queued(appender, one_event(), one_event())
    gone.cancel()
    await asyncio.sleep(0)
    appender.start()
    await stays

    assert await ledger.head() == 1


async def test_a_batch_is_packed_while_another_is_under_way_and_without_those_who_leave(
    ledger: Ledger, database: Database
) -> None:
    async with asyncio.timeout(HANG), proxy(database.service_url) as line:
        appender = Appender(line.url, LEDGER_ID, max_queue=UNDIVIDED)
        appender.start()
        line.hold_answers(after=b"append_together")
        under_way = await queued(appender, *(one_event() for _ in range(UNDIVIDED)))
        await line.held.wait()
        packed = await queued(appender, *(one_event() for _ in range(UNDIVIDED)))
        assert appender.queued() == UNDIVIDED
        with pytest.raises(Overloaded):
            await appender.append(one_event())

        gone, *stay = packed
        gone.cancel()
        line.cut()
        landed = await asyncio.gather(*under_way, *stay)
        await appender.stop()

    assert [one.first_position for one in landed] == list(range(1, 2 * UNDIVIDED))
    assert await ledger.head() == 2 * UNDIVIDED - 1


async def test_a_crowd_that_comes_while_few_are_under_way_soon_travels_in_crowds(
    ledger: Ledger, database: Database
) -> None:
    """Packed ahead are half of all that are in the air, not as few as are under way for ever."""
    appender = Appender(database.service_url, LEDGER_ID)
    async with ledger.pool.acquire() as conn, conn.transaction():
        await append_in(conn, LEDGER_ID, one_event())  # what is sent now waits for the lock
        few = await queued(appender, one_event())
        appender.start()
        async with asyncio.timeout(HANG):
            while appender.queued():
                await asyncio.sleep(0)
        crowd = await queued(appender, *(one_event() for _ in range(12 * UNDIVIDED)))

    transactions = await batches(ledger, [*few, *crowd])
    await appender.stop()

    assert len(transactions) == 2 + 12 * UNDIVIDED
    assert len(set(transactions)) <= 6


async def test_a_command_without_a_key_that_comes_twice_is_found_though_nobody_looked_for_it(
    appender: Appender,
) -> None:
    twice = one_event()
    tasks = await queued(appender, twice)
    appender.start()
    await asyncio.gather(*tasks)

    tasks = await queued(appender, one_event(), twice, one_event())
    answers = await asyncio.gather(*tasks)

    assert [type(answer) for answer in answers] == [Appended, Duplicate, Appended]


async def test_a_caller_that_leaves_does_not_hurt_the_batch(appender: Appender, ledger: Ledger) -> None:
    """Cancelled at every possible moment while its batch is under way."""
    appender.start()
    for turns in range(12):
        gone, stays = await queued(appender, one_event(), one_event())
        for _ in range(turns):
            await asyncio.sleep(0)
        gone.cancel()
        assert isinstance(await stays, Appended)
        await asyncio.gather(gone, return_exceptions=True)


async def test_beyond_the_queue_it_is_overloaded_and_nothing_is_written(
    appender: Appender, ledger: Ledger
) -> None:
    tasks = await queued(appender, *(one_event() for _ in range(8)))

    with pytest.raises(Overloaded) as refusal:
        await appender.append(one_event())

    assert refusal.value.context == {"waiting": 8}
    appender.start()
    await asyncio.gather(*tasks)
    assert await ledger.head() == 8


async def test_stopping_writes_what_is_queued_and_refuses_what_comes(
    appender: Appender, ledger: Ledger
) -> None:
    tasks = await queued(appender, *(one_event() for _ in range(5)))
    appender.start()
    await appender.stop()

    assert all(isinstance(one, Appended) for one in await asyncio.gather(*tasks))
    with pytest.raises(Overloaded):
        await appender.append(one_event())


async def test_a_lost_connection_is_opened_again_and_the_same_bytes_sent(
    appender: Appender, ledger: Ledger, database: Database
) -> None:
    appender.start()
    await appender.append(one_event())
    await kill_others(database)

    landed = await appender.append(one_event())

    assert isinstance(landed, Appended)
    assert landed.first_position == 2
    assert appender.is_running()


async def test_connections_cut_again_and_again_lose_and_double_nothing(
    ledger: Ledger, database: Database
) -> None:
    """The server cuts connections while appends are under way; every acknowledged event is there once."""
    acknowledged: list[EventId] = []

    async def keep_appending() -> None:
        for _ in range(60):
            drafted = one_event()
            landed = await ledger.appender.append(drafted)
            assert isinstance(landed, Appended | Duplicate)
            acknowledged.append(drafted.events[0].event_id)

    async def keep_cutting() -> None:
        for _ in range(6):
            await asyncio.sleep(0.02)
            await kill_others(database)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(keep_appending())
        group.create_task(keep_cutting())

    conn = await asyncpg.connect(database.owner_url)
    rows = await conn.fetch("select position, event_id from ledger.events order by position")
    await conn.close()
    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
    assert sorted(acknowledged) == sorted(row["event_id"] for row in rows)


async def test_a_server_that_never_answers_is_unavailable_and_says_nothing_was_written() -> None:
    appender = Appender("postgresql://nobody@127.0.0.1:9/none", LEDGER_ID)
    appender.start()

    with pytest.raises(Unavailable) as refusal:
        await appender.append(one_event())

    assert refusal.value.code == "unavailable"
    await appender.stop()


async def test_those_behind_a_batch_that_got_nowhere_do_not_wait_for_the_same() -> None:
    appender = Appender("postgresql://nobody@127.0.0.1:9/none", LEDGER_ID)
    appender.start()
    tasks = await queued(appender, one_event())
    while appender.queued():
        await asyncio.sleep(0)
    tasks += await queued(appender, *(one_event() for _ in range(3 * UNDIVIDED)))

    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0)

    assert all(task.done() for task in tasks)
    assert {getattr(task.exception(), "code", "") for task in tasks} == {"unavailable"}
    await appender.stop()


async def test_a_batch_of_several_megabytes_is_split(appender: Appender, ledger: Ledger) -> None:
    large = b'"' + b"x" * (5 * 1024 * 1024) + b'"'
    tasks = await queued(appender, *(with_payload(large) for _ in range(3)))
    appender.start()

    assert await batches(ledger, tasks) == [0, 0, 1]


async def kill_others(database: Database) -> None:
    conn = await asyncpg.connect(database.owner_url)
    try:
        await conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
    finally:
        await conn.close()

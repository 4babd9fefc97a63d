"""An append lands once, after exactly what its command saw, or says why not: alone and in a batch alike."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from msgspec.structs import replace

from ledger.domain.errors import VersionConflict
from ledger.domain.ids import StreamName, Version
from ledger.store.appends import (
    Append,
    Appended,
    BrokenChainOfHashes,
    Duplicate,
    Landed,
    ReadConflict,
    send_one,
    stamp,
)
from ledger.store.batches import APPEND_TOGETHER, pack, send_batch
from ledger.store.envelope import Provenance, leaf_hash, open_envelope
from ledger.store.ledger import Ledger
from ledger.store.streams import Stream, append, append_in, draft, new_command_id, read_stream
from tests.support.databases import Database
from tests.support.events import an_event, by_somebody, new_stream, with_key

HANG = 60.0

Send = Callable[[Ledger, Append], Awaitable[Landed | Exception]]


async def alone(ledger: Ledger, drafted: Append) -> Landed | Exception:
    async with ledger.pool.acquire() as conn:
        return await send_one(conn, ledger.ledger_id, stamp(drafted, ledger.ledger_id))


async def among_others(ledger: Ledger, drafted: Append) -> Landed | Exception:
    others = [draft(new_stream(), [an_event(), an_event()], by_somebody()) for _ in range(2)]
    batch = [stamp(one, ledger.ledger_id) for one in (others[0], drafted, others[1])]
    async with ledger.pool.acquire() as conn:
        first, answer, last = await send_batch(conn, ledger.ledger_id, pack(batch))
    assert isinstance(first, Appended)
    assert isinstance(last, Appended)
    return answer


@pytest.fixture(params=[alone, among_others])
def send(request: pytest.FixtureRequest) -> Send:
    return request.param


async def a_stream_of(ledger: Ledger, count: int) -> Stream:
    stream = new_stream()
    await append(ledger, draft(stream, [an_event() for _ in range(count)], by_somebody()))
    return await read_stream(ledger, stream.name)


AWKWARD = (
    'a "quoted" one',
    "back\\slash\\",
    "{braces},commas",
    "NULL",
    "",
    " spaces ",
    "line\nend\t",
    "Zoë 🦉",
)


@pytest.mark.parametrize("text", AWKWARD)
async def test_awkward_texts_are_stored_as_they_are(ledger: Ledger, send: Send, text: str) -> None:
    first, second = (
        Provenance(actor=text, command_id=new_command_id(), correlation_id=text) for _ in range(2)
    )
    name = StreamName(f"session-{text}")
    await append(ledger, draft(Stream(name=name, events=()), [an_event()], first))
    stream = await read_stream(ledger, name)

    landed = await send(ledger, draft(stream, [an_event()], second, reads=[new_stream()]))

    assert isinstance(landed, Appended)
    rows = await ledger.pool.fetch(
        "select actor, correlation_id, type from ledger.events where stream = $1 order by version", name
    )
    assert [tuple(row) for row in rows] == [(text, text, "session-ended")] * 2


async def positions(ledger: Ledger) -> list[int]:
    rows = await ledger.pool.fetch("select position from ledger.events order by position")
    return [row["position"] for row in rows]


async def test_the_first_event_of_a_stream_is_version_one(ledger: Ledger, send: Send) -> None:
    landed = await send(ledger, draft(new_stream(), [an_event()], by_somebody()))

    assert isinstance(landed, Appended)
    assert landed.version == 1


async def test_events_of_one_append_lie_side_by_side(ledger: Ledger, send: Send) -> None:
    stream = new_stream()
    landed = await send(ledger, draft(stream, [an_event()] * 3, by_somebody()))

    read = await read_stream(ledger, stream.name)
    assert isinstance(landed, Appended)
    assert [event.version for event in read.events] == [1, 2, 3]
    assert [event.position for event in read.events] == [landed.first_position + n for n in range(3)]
    assert tuple(event.leaf for event in read.events) == landed.leaves


async def test_positions_have_no_holes(ledger: Ledger, send: Send) -> None:
    stream = await a_stream_of(ledger, 2)
    await send(ledger, draft(new_stream(), [an_event()], by_somebody()))
    await send(ledger, draft(Stream(name=stream.name, events=()), [an_event()], by_somebody()))
    await send(ledger, draft(stream, [an_event()], by_somebody()))

    found = await positions(ledger)
    assert found == list(range(1, len(found) + 1))


async def test_a_stale_version_is_told_what_is_there(ledger: Ledger, send: Send) -> None:
    stream = await a_stream_of(ledger, 2)
    stale = Stream(name=stream.name, events=stream.events[:1])

    refusal = await send(ledger, draft(stale, [an_event()], by_somebody()))

    assert type(refusal) is VersionConflict
    assert refusal.context == {"stream": stream.name, "expected": 1, "actual": 2}


async def test_a_version_that_is_not_there_yet_is_a_conflict(ledger: Ledger, send: Send) -> None:
    stream = await a_stream_of(ledger, 1)
    ahead = Append(
        stream=stream.name,
        expected=Version(7),
        prev=stream.last_leaf(),
        events=draft(stream, [an_event()], by_somebody()).events,
        provenance=by_somebody(),
    )

    refusal = await send(ledger, ahead)

    assert type(refusal) is VersionConflict
    assert refusal.context == {"stream": stream.name, "expected": 7, "actual": 1}


async def test_a_conflict_writes_nothing(ledger: Ledger) -> None:
    stream = await a_stream_of(ledger, 2)

    with pytest.raises(VersionConflict):
        await append(ledger, draft(Stream(name=stream.name, events=()), [an_event()], by_somebody()))

    assert await positions(ledger) == [1, 2]


async def test_a_read_stream_that_moved_on_is_a_conflict(ledger: Ledger, send: Send) -> None:
    read, fresh = await a_stream_of(ledger, 3), await a_stream_of(ledger, 1)
    stale = Stream(name=read.name, events=read.events[:2])

    refusal = await send(ledger, draft(new_stream(), [an_event()], by_somebody(), [fresh, stale]))

    assert type(refusal) is ReadConflict
    assert refusal.context == {"stream": read.name, "expected": 2, "actual": 3}


async def test_a_read_stream_that_did_not_exist_must_still_not(ledger: Ledger, send: Send) -> None:
    read = await a_stream_of(ledger, 1)
    unseen = Stream(name=read.name, events=())

    refusal = await send(ledger, draft(new_stream(), [an_event()], by_somebody(), [unseen]))

    assert type(refusal) is ReadConflict
    assert refusal.context == {"stream": read.name, "expected": 0, "actual": 1}


async def test_read_streams_as_they_were_seen_let_it_pass(ledger: Ledger, send: Send) -> None:
    reads = [await a_stream_of(ledger, 2), new_stream()]

    assert isinstance(await send(ledger, draft(new_stream(), [an_event()], by_somebody(), reads)), Appended)


async def test_a_command_sent_again_takes_effect_once(ledger: Ledger, send: Send) -> None:
    stream, key = new_stream(), with_key("k")
    first = await send(ledger, draft(stream, [an_event()] * 3, key))
    head = await ledger.head()

    again = await send(ledger, draft(stream, [an_event()] * 3, key))

    assert isinstance(first, Appended)
    assert again == Duplicate(stream=stream.name, version=Version(3), first_position=first.first_position)
    stored = await ledger.pool.fetchval("select count(*) from ledger.events where stream = $1", stream.name)
    assert stored == 3
    assert await ledger.head() >= head


async def test_a_duplicate_is_told_the_version_after_all_of_its_events(ledger: Ledger, send: Send) -> None:
    stream, key = new_stream(), with_key("k")
    await send(ledger, draft(stream, [an_event()] * 2, key))
    await append(ledger, draft(await read_stream(ledger, stream.name), [an_event()], by_somebody()))

    again = await send(ledger, draft(stream, [an_event()], key))

    assert isinstance(again, Duplicate)
    assert again.version == 2


async def test_a_duplicate_is_recognised_before_a_conflict(ledger: Ledger, send: Send) -> None:
    stream, key = await a_stream_of(ledger, 1), with_key("k")
    await send(ledger, draft(stream, [an_event()], key))

    assert isinstance(await send(ledger, draft(stream, [an_event()], key)), Duplicate)


async def test_an_envelope_that_does_not_continue_the_chain_is_refused(ledger: Ledger, send: Send) -> None:
    stream = await a_stream_of(ledger, 1)
    drafted = draft(stream, [an_event()], by_somebody())
    forged = Append(
        stream=drafted.stream,
        expected=drafted.expected,
        prev=b"\x01" * 32,
        events=drafted.events,
        provenance=drafted.provenance,
    )

    refusal = await send(ledger, forged)

    assert type(refusal) is BrokenChainOfHashes
    assert refusal.context == {"stream": stream.name, "version": 1}


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param({"version": Version(3)}, id="a version is left out"),
        pytest.param({"version": Version(2), "follows": b""}, id="it follows nothing"),
        pytest.param({"version": Version(2), "follows": b"\x01" * 32}, id="it follows something else"),
    ],
)
async def test_a_batch_is_not_taken_together_with_an_event_that_does_not_follow(
    ledger: Ledger, forged: dict[str, object]
) -> None:
    """Whatever a process sends, a stream has no hole, and no event without the one before it."""
    two, other = (
        stamp(draft(new_stream(), [an_event()] * count, by_somebody()), ledger.ledger_id) for count in (2, 1)
    )
    first, second = two.events
    spoilt = replace(two, events=(first, replace(second, **forged)))

    async with ledger.pool.acquire() as conn:
        head = await conn.fetchval(APPEND_TOGETHER, ledger.ledger_id, "{}", *pack([other, spoilt]).arguments)

    assert head is None
    assert await ledger.head() == 0


async def test_an_unknown_ledger_locks_nothing_and_takes_nothing(ledger: Ledger) -> None:
    sealed = stamp(draft(new_stream(), [an_event()], by_somebody()), 7)
    async with ledger.pool.acquire() as conn:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await send_one(conn, 7, sealed)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await send_batch(conn, 7, pack([sealed, sealed]))


async def test_the_stored_envelope_ties_the_event_to_its_bytes_and_its_past(
    ledger: Ledger, send: Send
) -> None:
    stream = await a_stream_of(ledger, 1)
    landed = await send(ledger, draft(stream, [an_event()] * 2, by_somebody()))

    rows = await ledger.pool.fetch(
        "select *, sha256(salt || payload) as data from ledger.events where stream = $1 order by version",
        stream.name,
    )
    assert isinstance(landed, Appended)
    previous = b""
    for row in rows:
        envelope = open_envelope(row["envelope"])
        assert envelope.prev == previous.hex()
        assert envelope.data == row["data"].hex()
        assert row["leaf_hash"] == leaf_hash(row["envelope"])
        assert (envelope.event_id, envelope.stream, envelope.version, envelope.type) == (
            str(row["event_id"]),
            row["stream"],
            row["version"],
            row["type"],
        )
        assert envelope.recorded_at == row["recorded_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert (envelope.actor, envelope.command_id) == (row["actor"], str(row["command_id"]))
        previous = row["leaf_hash"]


async def test_a_batch_looks_up_what_it_needs_however_early_it_was_planned(
    ledger: Ledger, database: Database
) -> None:
    """A generic plan is made once: on an empty log it must not be one that reads the whole log for every batch."""
    async with ledger.pool.acquire() as conn:
        for _ in range(60):
            batch = [
                stamp(draft(new_stream(), [an_event()], by_somebody()), ledger.ledger_id) for _ in range(50)
            ]
            await send_batch(conn, ledger.ledger_id, pack(batch))

    assert 0 < await rows_read(database) < 60 * 50


async def test_a_lone_append_looks_up_what_it_needs_however_early_it_was_planned(
    ledger: Ledger, database: Database
) -> None:
    first = draft(new_stream(), [an_event()], by_somebody())
    async with ledger.pool.acquire() as conn, conn.transaction():
        await send_one(conn, ledger.ledger_id, stamp(first, ledger.ledger_id))
        for _ in range(400):
            one = draft(new_stream(), [an_event()], by_somebody(), reads=[new_stream()])
            landed = await send_one(conn, ledger.ledger_id, stamp(one, ledger.ledger_id))
            assert isinstance(landed, Appended)
            repeated = await send_one(conn, ledger.ledger_id, stamp(first, ledger.ledger_id))
            assert isinstance(repeated, Duplicate)

    assert 0 < await rows_read(database) < 400 * 10


async def rows_read(database: Database) -> int:
    """Count the rows of the log that any query has read through an index or by scanning."""
    owner = await asyncpg.connect(database.owner_url)
    async with asyncio.timeout(HANG):
        while (read := await _rows_read(owner)) == 0:
            await asyncio.sleep(0.1)
    await owner.close()
    return read


async def _rows_read(owner: asyncpg.Connection) -> int:
    return await owner.fetchval(
        "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables "
        "where schemaname = 'ledger' and relname = 'events'"
    )


async def test_who_falls_asleep_between_append_and_commit_keeps_the_others_waiting_for_seconds_alone(
    ledger: Ledger,
) -> None:
    asked = "show idle_in_transaction_session_timeout"
    async with ledger.pool.acquire() as conn:
        async with conn.transaction():
            await append_in(conn, ledger.ledger_id, draft(new_stream(), [an_event()], by_somebody()))
            assert await conn.fetchval(asked) == "5s"
        assert await conn.fetchval(asked) == "1min"


async def test_a_database_of_a_stricter_isolation_takes_what_waited_for_another_append(
    database: Database,
) -> None:
    """Else it would see the log as it was before it waited, and collide with what came meanwhile."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        f"alter database {database.name} set default_transaction_isolation = 'repeatable read'"
    )
    async with await Ledger.open(database.service_url) as strict, strict.pool.acquire() as conn:
        async with conn.transaction():
            await append_in(conn, strict.ledger_id, draft(new_stream(), [an_event()], by_somebody()))
            behind = asyncio.create_task(append(strict, draft(new_stream(), [an_event()], by_somebody())))
            async with asyncio.timeout(HANG):
                while not await owner.fetchval(WAITS):
                    await asyncio.sleep(0.01)
        landed = await behind
    await owner.close()

    assert isinstance(landed, Appended)
    assert landed.first_position == 2


WAITS = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%append_one%'"

"""The traps that prototypes of this store fell into, each by name; some lie in tests/store beside what they spoil."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from structlog.testing import capture_logs

from ledger.domain.errors import Corrupt, VersionConflict
from ledger.domain.ids import START
from ledger.store.appender import Appender
from ledger.store.appends import (
    Append,
    Appended,
    Duplicate,
    Landed,
    ReadConflict,
    send_one,
    stamp,
)
from ledger.store.batches import pack, send_batch
from ledger.store.history import follow
from ledger.store.ledger import LEDGER_ID, Ledger
from ledger.store.pool import Connection
from ledger.store.signals import APPENDED_CHANNEL
from ledger.store.streams import append, append_in, draft
from tests.support.databases import Database
from tests.support.events import an_event, by_somebody, new_stream, with_key
from tests.support.proxy import proxy

HANG = 60.0
BATCH = 50

Answer = Landed | VersionConflict | Corrupt
Send = Callable[[Connection, Append], Awaitable[Answer]]


async def alone(conn: Connection, drafted: Append) -> Answer:
    return await send_one(conn, LEDGER_ID, stamp(drafted, LEDGER_ID))


async def in_a_batch(conn: Connection, drafted: Append) -> Answer:
    answers = await send_batch(
        conn, LEDGER_ID, pack([stamp(drafted, LEDGER_ID), stamp(one_event(), LEDGER_ID)])
    )
    return answers[0]


def one_event() -> Append:
    return draft(new_stream(), [an_event()], by_somebody())


@pytest.fixture(params=[alone, in_a_batch])
def send(request: pytest.FixtureRequest) -> Send:
    sender: Send = request.param
    return sender


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection]:
    conn = await asyncpg.connect(database.owner_url)
    yield conn
    await conn.close()


@pytest.mark.parametrize("function", ["append_batch", "append_one", "append_together"])
async def test_an_append_is_planned_once_not_for_every_call(owner: asyncpg.Connection, function: str) -> None:
    settings = await owner.fetchval(
        "select proconfig from pg_proc where oid = $1::text::regproc", f"ledger.{function}"
    )

    assert "plan_cache_mode=force_generic_plan" in settings


class Meanwhile:
    """Sends an append that has to wait for the head, which another holds until it has committed its own."""

    def __init__(self, ledger: Ledger, owner: asyncpg.Connection, send: Send) -> None:
        self.ledger, self.owner, self.send = ledger, owner, send

    async def __call__(self, first: Append, waiting: Append) -> Answer:
        async with (
            asyncio.timeout(HANG),
            self.ledger.pool.acquire() as holder,
            self.ledger.pool.acquire() as conn,
        ):
            async with holder.transaction():
                await append_in(holder, LEDGER_ID, first)
                sent = asyncio.create_task(self.send(conn, waiting))
                while not await self.owner.fetchval(
                    "select exists (select from pg_stat_activity "
                    "where datname = current_database() and wait_event_type = 'Lock')"
                ):
                    assert not sent.done(), "it did not wait for the lock"
                    await asyncio.sleep(0.005)
            return await sent


@pytest.fixture
def meanwhile(ledger: Ledger, owner: asyncpg.Connection, send: Send) -> Meanwhile:
    return Meanwhile(ledger, owner, send)


async def test_who_waited_for_the_lock_sees_the_last_position(meanwhile: Meanwhile) -> None:
    landed = await meanwhile(one_event(), one_event())

    assert isinstance(landed, Appended)
    assert landed.first_position == 2


async def test_who_waited_for_the_lock_sees_its_stream_as_it_is_now(meanwhile: Meanwhile) -> None:
    stream = new_stream()
    refused = await meanwhile(*(draft(stream, [an_event()], by_somebody()) for _ in range(2)))

    assert type(refused) is VersionConflict
    assert refused.context == {"stream": stream.name, "expected": 0, "actual": 1}


async def test_who_waited_for_the_lock_sees_what_it_read_as_it_is_now(meanwhile: Meanwhile) -> None:
    read = new_stream()
    refused = await meanwhile(
        draft(read, [an_event()], by_somebody()), draft(new_stream(), [an_event()], by_somebody(), [read])
    )

    assert isinstance(refused, ReadConflict)
    assert refused.context == {"stream": read.name, "expected": 0, "actual": 1}


async def test_who_waited_for_the_lock_sees_that_its_command_has_happened(meanwhile: Meanwhile) -> None:
    key = with_key("k")
    again = await meanwhile(*(draft(new_stream(), [an_event()], key) for _ in range(2)))

    assert isinstance(again, Duplicate)
    assert again.first_position == 1


def message(kind: bytes, severity: bytes, code: bytes) -> bytes:
    """What a server says of an error or by the way."""
    fields = b"S%b\0V%b\0C%b\0Mgone\0\0" % (severity, severity, code)
    return kind + struct.pack("!i", len(fields) + 4) + fields


SHUTDOWN = message(b"E", b"FATAL", b"57P01")
CRASH = message(b"E", b"FATAL", b"XX000")
BY_THE_WAY = message(b"N", b"NOTICE", b"00000")
READY = b"Z" + struct.pack("!i", 5) + b"I"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", "ConnectionDoesNotExistError"),
        (SHUTDOWN, "ConnectionDoesNotExistError"),
        (SHUTDOWN + READY, "AdminShutdownError"),
        (CRASH + READY, "InternalServerError"),
    ],
    ids=["nothing", "shutdown", "shutdown as an answer", "crash as an answer"],
)
async def test_whatever_is_said_instead_of_an_answer_the_append_is_sent_again(
    ledger: Ledger, database: Database, said: bytes, error: str
) -> None:
    """It committed, and then the server says this."""
    async with asyncio.timeout(HANG), proxy(database.service_url) as line:
        appender = Appender(line.url, LEDGER_ID)
        appender.start()
        await appender.append(one_event())
        line.hold_answers(after=b"session-ended")
        with capture_logs() as logs:
            rings = ledger.appended.rings()
            sent = asyncio.create_task(appender.append(one_event()))
            await line.held.wait()
            while await ledger.head() < 2:
                await ledger.appended.wait_past(rings, 0.5)
                rings = ledger.appended.rings()
            line.say(said)
            line.cut()
            landed = await sent
        await appender.stop()

    assert isinstance(landed, Duplicate)
    assert landed.first_position == 2
    assert [log["error"] for log in logs] == [error]
    assert await ledger.head() == 2


async def test_a_driver_that_is_confused_is_replaced(ledger: Ledger, database: Database) -> None:
    """Told off while idle it fails with an error of its own, outside the families of the server's errors."""
    async with asyncio.timeout(HANG), proxy(database.service_url) as line:
        appender = Appender(line.url, LEDGER_ID)
        appender.start()
        await appender.append(one_event())
        arrived = asyncio.Event()
        assert appender._line._conn is not None
        appender._line._conn.add_log_listener(lambda *_: arrived.set())
        line.say(SHUTDOWN + BY_THE_WAY)
        await arrived.wait()
        with capture_logs() as logs:
            landed = await appender.append(one_event())
        await appender.stop()

    assert isinstance(landed, Appended)
    assert [log["error"] for log in logs] == ["InternalClientError"]
    assert await ledger.head() == 2


async def test_two_appends_to_one_stream_do_not_break_their_batch(ledger: Ledger, database: Database) -> None:
    """Side by side they would collide, and all the others would be sent again one by one."""
    stream = new_stream()
    appender = Appender(database.service_url, LEDGER_ID)
    twice = [draft(stream, [an_event()], by_somebody()) for _ in range(2)]
    others = [one_event() for _ in range(BATCH)]
    appends = [asyncio.create_task(appender.append(one)) for one in (*twice, *others)]
    await asyncio.sleep(0)
    appender.start()
    async with asyncio.timeout(HANG):
        answers = await asyncio.gather(*appends, return_exceptions=True)
    await appender.stop()

    assert [type(answer) for answer in answers] == [Appended, VersionConflict, *[Appended] * BATCH]
    assert await ledger.pool.fetchval("select count(distinct xmin::text) from ledger.events") == 1


async def test_a_batch_of_fifty_notifies_once(ledger: Ledger, database: Database) -> None:
    heard: list[object] = []
    ended = asyncio.Event()
    conn = await asyncpg.connect(database.service_url)
    await conn.add_listener(APPENDED_CHANNEL, lambda *said: heard.append(said[-1]))
    await conn.add_listener("the_end", lambda *_: ended.set())
    appender = Appender(database.service_url, LEDGER_ID)
    appends = [asyncio.create_task(appender.append(one_event())) for _ in range(BATCH)]
    await asyncio.sleep(0)
    appender.start()
    async with asyncio.timeout(HANG):
        await asyncio.gather(*appends)
        await ledger.pool.execute("notify the_end")  # they arrive in the order of the commits
        await ended.wait()
    await appender.stop()
    await conn.close()

    commits = await ledger.pool.fetchval("select count(distinct xmin::text) from ledger.events")
    assert commits == 1
    assert heard == [str(LEDGER_ID)]


async def test_who_hears_no_notification_looks_for_itself(database: Database, ledger: Ledger) -> None:
    """This one was never started: it does not listen."""
    deaf = await Ledger.open(database.service_url)
    followed = follow(deaf, after=START, types=["session-ended"])
    async with asyncio.timeout(HANG):
        looked = asyncio.ensure_future(anext(followed))
        await append(ledger, one_event())
        assert (await looked).position == 1
    await followed.aclose()
    await deaf.pool.close()


async def test_the_head_is_locked_and_never_updated(
    ledger: Ledger, database: Database, owner: asyncpg.Connection
) -> None:
    """An update would make a new version of the row, with another place and another maker."""
    row = "select ctid::text, xmin::text from ledger.ledger_head"
    before = await owner.fetch(row)
    for _ in range(5):
        await asyncio.gather(*(append(ledger, one_event()) for _ in range(BATCH)))
        async with ledger.pool.acquire() as conn, conn.transaction():
            await append_in(conn, LEDGER_ID, one_event())

    assert await ledger.head() == 5 * (BATCH + 1)
    assert await owner.fetch(row) == before


async def test_handing_a_connection_back_costs_no_round_trip(database: Database) -> None:
    async with asyncio.timeout(HANG), proxy(database.service_url) as line:
        ledger = await Ledger.open(line.url, min_size=1, max_size=1)
        async with ledger.pool.acquire() as conn:
            await conn.fetchval("select 1")
        before = line.sent
        for _ in range(10):
            async with ledger.pool.acquire():
                pass
        handed_back = line.sent - before
        await ledger.pool.close()

    assert handed_back == 0


async def test_the_pool_is_small_unless_told_otherwise(ledger: Ledger) -> None:
    assert 4 <= ledger.pool.get_max_size() <= 8

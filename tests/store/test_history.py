"""The past as it was, page by page, and a follower that misses nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg

from ledger.domain.ids import START, Position, Version
from ledger.domain.session.events import ExpiryCause, SessionExpired
from ledger.store.history import follow, position_at, read_page, read_stream_until
from ledger.store.ledger import Ledger
from ledger.store.streams import MAX_LOG_BYTES, Stored, Stream, append, draft, read_stream
from tests.store.test_appender import kill_others
from tests.support.databases import Database
from tests.support.events import a_large_append, an_event, by_somebody, new_stream

HANG = 60.0
ENDED, EXPIRED = "session-ended", "session-expired"


def another_event() -> SessionExpired:
    return SessionExpired(at=datetime.now(UTC), cause=ExpiryCause.IDLE)


async def grow(ledger: Ledger, stream: Stream, events: int = 1) -> Stream:
    found = await read_stream(ledger, stream.name)
    await append(ledger, draft(found, [an_event() for _ in range(events)], by_somebody()))
    return await read_stream(ledger, stream.name)


async def take(following: AsyncIterator[Stored], count: int) -> list[int]:
    async with asyncio.timeout(HANG):
        return [(await anext(following)).position for _ in range(count)]


async def test_a_stream_as_it_was_at_a_version_and_at_a_position(ledger: Ledger) -> None:
    stream = await grow(ledger, new_stream(), 2)
    await grow(ledger, new_stream())
    await grow(ledger, stream)

    at_version = await read_stream_until(ledger, stream.name, version=Version(1))
    at_position = await read_stream_until(ledger, stream.name, position=Position(3))
    now = await read_stream_until(ledger, stream.name)

    assert [event.version for event in at_version.events] == [1]
    assert [event.version for event in at_position.events] == [1, 2]
    assert [event.version for event in now.events] == [1, 2, 3]


async def test_before_anything_happened_the_position_is_the_start(ledger: Ledger) -> None:
    assert await position_at(ledger, datetime.now(UTC)) == START


async def test_the_position_of_a_time_is_the_highest_that_was_recorded_by_then(ledger: Ledger) -> None:
    await grow(ledger, new_stream())
    first = (await read_page(ledger, after=START, types=[ENDED])).events[0].recorded_at
    await grow(ledger, new_stream())
    second = (await read_page(ledger, after=Position(1), types=[ENDED])).events[0].recorded_at

    assert await position_at(ledger, first - timedelta(microseconds=1)) == 0
    assert await position_at(ledger, first) == 1
    assert await position_at(ledger, second) == 2
    assert await position_at(ledger, second + timedelta(days=365)) == 2


async def test_a_clock_that_runs_behind_does_not_hide_a_higher_position(
    ledger: Ledger, database: Database
) -> None:
    """Two processes: the later position carries the earlier time. Both had been written by the later time."""
    await grow(ledger, new_stream())
    await grow(ledger, new_stream())
    noon = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
    owner = await asyncpg.connect(database.owner_url)
    for position, moment in ((1, noon), (2, noon - timedelta(seconds=3))):
        await owner.execute("update ledger.events set recorded_at = $2 where position = $1", position, moment)
    await owner.close()

    assert await position_at(ledger, noon) == 2
    assert await position_at(ledger, noon - timedelta(seconds=1)) == 2
    assert await position_at(ledger, noon - timedelta(seconds=4)) == 0


async def test_pages_hold_the_wanted_types_and_go_on_where_they_ended(ledger: Ledger) -> None:
    for kind in (an_event, another_event, another_event, an_event, another_event):
        await append(ledger, draft(new_stream(), [kind()], by_somebody()))

    first = await read_page(ledger, after=START, types=[ENDED], limit=3)
    second = await read_page(ledger, after=first.after, types=[ENDED], limit=3)

    assert ([event.position for event in first.events], first.after, first.is_last) == ([1], 3, False)
    assert ([event.position for event in second.events], second.after, second.is_last) == ([4], 5, True)


async def test_a_page_that_large_events_have_cut_short_is_not_the_last(ledger: Ledger) -> None:
    await append(ledger, a_large_append(MAX_LOG_BYTES))
    await append(ledger, a_large_append(1))

    first = await read_page(ledger, after=START, types=[ENDED])
    second = await read_page(ledger, after=first.after, types=[ENDED])

    assert (first.after, first.is_last) == (1, False)
    assert (second.after, second.is_last) == (2, True)


async def test_a_page_past_the_end_is_empty_and_stays_where_it_is(ledger: Ledger) -> None:
    page = await read_page(ledger, after=Position(9), types=[ENDED])

    assert (page.events, page.after, page.is_last) == ((), 9, True)


async def test_a_follower_catches_up_and_then_follows(ledger: Ledger) -> None:
    await grow(ledger, new_stream(), 3)
    following = follow(ledger, after=Position(1), types=[ENDED])

    assert await take(following, 2) == [2, 3]
    await grow(ledger, new_stream())
    assert await take(following, 1) == [4]
    await following.aclose()


async def test_a_follower_resumes_after_the_position_it_dealt_with(ledger: Ledger) -> None:
    await grow(ledger, new_stream(), 4)
    first = follow(ledger, after=START, types=[ENDED])
    assert await take(first, 2) == [1, 2]
    await first.aclose()

    resumed = follow(ledger, after=Position(2), types=[ENDED])
    assert await take(resumed, 2) == [3, 4]
    await resumed.aclose()


async def test_a_follower_passes_what_it_does_not_want(ledger: Ledger) -> None:
    await append(ledger, draft(new_stream(), [another_event()], by_somebody()))
    await grow(ledger, new_stream())
    following = follow(ledger, after=START, types=[ENDED])

    assert await take(following, 1) == [2]
    await following.aclose()


async def test_a_follower_goes_through_more_than_a_page(ledger: Ledger) -> None:
    await asyncio.gather(*(grow(ledger, Stream(name=f"x-{uuid4()}", events=()), 20) for _ in range(30)))
    following = follow(ledger, after=START, types=[ENDED])

    assert await take(following, 600) == list(range(1, 601))
    await following.aclose()


async def test_a_follower_survives_lost_connections_and_misses_nothing(
    ledger: Ledger, database: Database
) -> None:
    following = follow(ledger, after=START, types=[ENDED])
    taking = asyncio.create_task(take(following, 40))
    for _ in range(4):
        for _ in range(10):
            async with asyncio.timeout(HANG):
                await ledger.appender.append(draft(new_stream(), [an_event()], by_somebody()))
        await kill_others(database)

    assert await taking == list(range(1, 41))
    await following.aclose()


async def test_a_slow_consumer_holds_back_its_own_reading_only(ledger: Ledger) -> None:
    """Nothing is read ahead for it: what it has not asked for is not there yet when it asks."""
    await grow(ledger, new_stream(), 2)
    following = follow(ledger, after=START, types=[ENDED])
    assert await take(following, 1) == [1]
    await grow(ledger, new_stream(), 3)

    assert await take(following, 4) == [2, 3, 4, 5]
    await following.aclose()

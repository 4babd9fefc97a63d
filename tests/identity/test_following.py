"""What an instance holds of sessions is as exact as the log, and asks the log when in doubt."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from ledger.domain.authority import SessionNotLive
from ledger.domain.ids import Position, SessionId, StreamName
from ledger.identity import instance_rows
from ledger.identity.ending import dismiss, logout
from ledger.identity.following import TRUST_SECONDS, Following
from ledger.identity.identity import Identity
from ledger.identity.passwords import Passwords
from ledger.identity.sessions import Principal, authenticate, own_session
from ledger.store.ledger import Ledger, session_stream
from ledger.store.pool import DirectConnection, connect
from tests.identity.house import SECRET, MovingClock, admitted, asked_by, logged_in
from tests.support.databases import Database

HANG_GUARD = 60.0
# no binds
CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and query like '%as is_urgent%' and pid <> pg_backend_pid()
"""


@asynccontextmanager
async def instance(database: Database, clock: MovingClock) -> AsyncIterator[tuple[Identity, Following]]:
    """An instance of the service, as far as it knows people."""
    ledger = await Ledger.open(database.service_url)
    following = Following(ledger)
    passwords = Passwords(memory_kib=64, passes=1)
    async with ledger:
        following.start()
        try:
            await current(following)
            yield (
                Identity.of(
                    ledger, secret_keys=[SECRET], passwords=passwords, clock=clock, following=following
                ),
                following,
            )
        finally:
            await following.stop()


async def current(following: Following) -> None:
    async with asyncio.timeout(HANG_GUARD):
        while not following.is_current():
            await asyncio.sleep(0.01)


async def held(identity: Identity, following: Following, token: str) -> Principal:
    """Authenticate so that what it takes stays in memory: the log's head is followed before."""
    assert await following.settled(await identity.ledger.head())
    return await authenticate(identity, token)


def no_database(following: Following) -> None:
    """From now on a question to the database fails."""

    async def refuse(names: object) -> None:
        raise AssertionError(f"the database was asked for {names}")

    following._fetch = refuse  # type: ignore[method-assign, assignment]


async def test_who_is_known_is_not_asked_for_again(database: Database, clock: MovingClock) -> None:
    async with instance(database, clock) as (identity, following):
        await admitted(identity, "sam")
        token = (await logged_in(identity, "sam")).access_token
        first = await held(identity, following, token)
        await current(following)
        no_database(following)

        assert await authenticate(identity, token) == first


async def test_a_revoked_session_is_gone_everywhere_when_the_call_answers(
    database: Database, clock: MovingClock
) -> None:
    async with instance(database, clock) as (here, _), instance(database, clock) as (there, _):
        await admitted(here, "sam")
        for _ in range(5):
            token = (await logged_in(here, "sam")).access_token
            sam = await authenticate(there, token)
            await authenticate(here, token)

            await logout(here, sam, asked_by(sam))

            for identity in (there, here):
                with pytest.raises(SessionNotLive):
                    await authenticate(identity, token)


async def test_nobody_reads_a_session_back_in_that_is_revoked_meanwhile(
    database: Database, clock: MovingClock
) -> None:
    """Reads and the revocation race; whoever asks after the answer is refused."""
    chance = random.Random(3)  # noqa: S311 - where in the crowd the revocation sets out
    async with instance(database, clock) as (here, _), instance(database, clock) as (there, _):
        await admitted(here, "sam")
        for _ in range(6):
            token = (await logged_in(here, "sam")).access_token
            sam = await authenticate(here, token)

            async def revoke(sam: Principal = sam) -> None:
                for _ in range(chance.randrange(30)):
                    await asyncio.sleep(0)
                await dismiss(here, own_session(sam), reason="", by=sam, provenance=asked_by(sam))

            readers = [authenticate(there, token) for _ in range(20)]
            await asyncio.gather(revoke(), *readers, return_exceptions=True)

            with pytest.raises(SessionNotLive):
                await authenticate(there, token)


async def test_what_is_touched_while_it_is_being_read_is_not_kept(
    database: Database, clock: MovingClock
) -> None:
    async with instance(database, clock) as (here, following), instance(database, clock) as (there, _):
        await admitted(there, "sam")
        sam = await authenticate(there, (await logged_in(there, "sam")).access_token)
        stream = session_stream(own_session(sam))
        assert await following.settled(await there.ledger.head())
        pool = here.ledger.pool
        taken = [await pool.acquire() for _ in range(pool.get_max_size())]
        reading = asyncio.create_task(following.read([stream]))
        await asyncio.sleep(0)
        assert len(following._readings) == 1

        await logout(there, sam, asked_by(sam))
        for conn in taken:
            await pool.release(conn)

        assert (await reading)[stream].version() == 2
        assert stream not in following._held


async def test_an_instance_that_lost_the_log_asks_the_database(
    database: Database, clock: MovingClock
) -> None:
    async with instance(database, clock) as (here, following), instance(database, clock) as (there, _):
        await admitted(here, "sam")
        token = (await logged_in(here, "sam")).access_token
        sam = await held(here, following, token)
        assert following._task is not None
        following._task.cancel()
        await asyncio.gather(following._task, return_exceptions=True)
        assert session_stream(own_session(sam)) in following._held

        await logout(there, sam, asked_by(sam))

        assert not following.is_current()
        with pytest.raises(SessionNotLive):
            await authenticate(here, token)


async def test_an_instance_that_stops_is_not_waited_for(database: Database, clock: MovingClock) -> None:
    async with instance(database, clock) as (here, following):
        async with instance(database, clock):
            pass
        live = await instance_rows.live(here.ledger.pool, here.ledger.ledger_id)

        assert set(live) == {following.instance}


async def test_an_instance_that_hangs_is_waited_for_as_long_as_it_may_trust_itself(
    database: Database, clock: MovingClock
) -> None:
    async with instance(database, clock) as (here, following):
        hanging = Following(here.ledger).instance
        async with here.ledger.pool.acquire() as conn:
            await instance_rows.tell(conn, here.ledger.ledger_id, hanging, Position(0))

        assert await following.settled(Position(1)) is False
        assert await following.settled(Position(0)) is True


class Slow:
    """A connection whose answers take long to arrive: ``meanwhile`` happens on the way."""

    def __init__(self, conn: DirectConnection, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._conn, self._meanwhile = conn, meanwhile
        self.execute = conn.execute

    async def fetchrow(self, query: str, *binds: object) -> object:
        answer = await self._conn.fetchrow(query, *binds)
        await self._meanwhile()
        return answer


async def test_what_was_held_by_an_instance_that_nobody_waited_for_any_more_is_not_trusted_again(
    database: Database, clock: MovingClock
) -> None:
    """It was away for so long that a revocation answered without it, just while it looked at the log again."""
    async with instance(database, clock) as (here, following), instance(database, clock) as (there, _):
        await admitted(here, "sam")
        token = (await logged_in(here, "sam")).access_token
        sam = await held(here, following, token)
        assert following._task is not None
        following._task.cancel()
        await asyncio.gather(following._task, return_exceptions=True)
        await here.ledger.pool.execute("update work.instances set seen_at = seen_at - interval '1 minute'")
        following._confirmed_at = following._told_at = float("-inf")

        conn = await connect(database.service_url)
        slow = Slow(conn, lambda: logout(there, sam, asked_by(sam)))
        assert await following._look(slow, following._position or Position(0))  # type: ignore[arg-type]
        # However long this machine took for it:
        following._confirmed_at = following._told_at = time.monotonic()
        await conn.close()

        with pytest.raises(SessionNotLive):
            await authenticate(here, token)


async def test_without_the_database_nobody_answers_before_all_have_lost_their_trust(
    database: Database, clock: MovingClock
) -> None:
    async with instance(database, clock) as (here, following):
        await here.ledger.pool.close()

        assert await following.settled(Position(1)) is False


async def test_what_does_not_exist_is_not_held(database: Database, clock: MovingClock) -> None:
    async with instance(database, clock) as (_, following):
        nobody = StreamName(f"session-{SessionId(following.instance)}")

        assert (await following.read([nobody]))[nobody].version() == 0
        assert nobody not in following._held


async def test_no_more_is_held_than_fits(
    database: Database, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.identity.following.MAX_HELD", 3)
    async with instance(database, clock) as (identity, following):
        await admitted(identity, "sam")
        for _ in range(5):
            await held(identity, following, (await logged_in(identity, "sam")).access_token)

        assert len(following._held) == 3


async def lose_after(database: Database, position: Position) -> None:
    """The log ends earlier now, as on a standby that took over and had not received all; connections are gone."""
    owner = await connect(database.owner_url)
    try:
        await owner.execute("delete from ledger.events where position > $1", position)
        await owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    finally:
        await owner.close()


async def test_what_was_held_of_a_log_that_went_back_is_not_trusted(
    database: Database, clock: MovingClock
) -> None:
    async with instance(database, clock) as (here, following):
        await admitted(here, "sam")
        token = (await logged_in(here, "sam")).access_token
        sam = await held(here, following, token)
        kept = await here.ledger.head()
        for _ in range(5):
            await logged_in(here, "sam")
        assert await following.settled(await here.ledger.head())
        await held(here, following, token)

        await lose_after(database, kept)
        async with instance(database, clock) as (there, _):
            await logout(there, sam, asked_by(sam))

        await asyncio.sleep(2 * TRUST_SECONDS)
        await current(following)
        with pytest.raises(SessionNotLive):
            await authenticate(here, token)


async def test_whoever_follows_again_asks_by_the_connection_that_is_followed(
    database: Database, clock: MovingClock
) -> None:
    """Those of the pool may be taken, or lead to another server, whose log ends elsewhere."""
    async with instance(database, clock) as (here, following), AsyncExitStack() as taken:
        for _ in range(here.ledger.pool.get_max_size()):
            await taken.enter_async_context(here.ledger.pool.acquire())
        assert following._task is not None
        following._task.cancel()
        await asyncio.gather(following._task, return_exceptions=True)
        following._confirmed_at = float("-inf")

        following.start()

        await current(following)


async def cut_followers(database: Database) -> None:
    """Whoever follows loses the connection, and nobody else does."""
    owner = await connect(database.owner_url)
    try:
        async with asyncio.timeout(HANG_GUARD):
            while not await owner.fetch(CUT):  # what it asked last was something else
                await asyncio.sleep(0.01)
    finally:
        await owner.close()


async def test_what_is_taken_away_while_nobody_follows_is_told_afterwards(
    database: Database, clock: MovingClock
) -> None:
    """Calls that last look at their sessions when they are told."""
    async with instance(database, clock) as (here, following):
        await admitted(here, "sam")
        sam = await authenticate(here, (await logged_in(here, "sam")).access_token)
        told: list[Position | None] = []
        following.on_taken_away(lambda: told.append(following._position))

        await cut_followers(database)
        await logout(here, sam, asked_by(sam))
        ended = await here.ledger.head()

        async with asyncio.timeout(HANG_GUARD):
            while not any(position is not None and position >= ended for position in told):
                await asyncio.sleep(0.01)

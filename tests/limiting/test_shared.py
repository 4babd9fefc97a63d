"""Counting over several processes: one Redis for all of them, and what happens without it."""

import asyncio

from limits.aio.storage import RedisStorage
from redis.asyncio import Redis
from structlog.testing import capture_logs

from ledger.limiting.limiter import Limiter
from ledger.limiting.rates import Rate
from ledger.limiting.shared import FAILURES, OPEN_SECONDS, PATIENCE_SECONDS
from tests.limiting.conftest import Over, Seconds
from tests.support.redis import RedisServer

TEN = Rate(name="guesses", amount=10, seconds=900)


async def test_of_eighty_at_once_over_two_processes_exactly_ten_are_let_in(over: Over) -> None:
    both = (Limiter(shared=over()), Limiter(shared=over()))

    entered = await asyncio.gather(*(both[turn % 2].enter(TEN, "sam") for turn in range(80)))
    counted = await asyncio.gather(*(both[turn % 2].count(TEN, "sam") for turn in range(80)))

    assert sum(entered) == 10
    assert sum(quota is not None for quota in counted) == 10
    assert all([await one.seconds_to_entry(TEN, "sam") in range(890, 901) for one in both])
    assert all([await one.seconds_to_window(TEN, "sam") in range(890, 901) for one in both])


async def test_every_key_runs_out_by_itself_and_none_outlives_its_window(
    redis: RedisServer, over: Over
) -> None:
    limiter = Limiter(shared=over())
    await limiter.enter(TEN, "sam")
    await limiter.count(TEN, "sam")
    async with Redis.from_url(redis.url) as client:
        lives = {key: await client.ttl(key) for key in await client.keys()}

    assert len(lives) == 2
    assert all(key.startswith(b"ledger:test") for key in lives)
    assert all(0 < life <= 900 for life in lives.values())


async def test_what_one_process_forgets_is_forgotten_by_all(over: Over) -> None:
    first, second = Limiter(shared=over()), Limiter(shared=over())
    for _ in range(10):
        await first.enter(TEN, "sam")
    assert not await second.enter(TEN, "sam")

    await first.forget(TEN, "sam")

    assert await second.enter(TEN, "sam")


async def test_without_its_redis_a_process_goes_on_counting_where_it_was_and_says_so_once(
    redis: RedisServer, over: Over
) -> None:
    limiter = Limiter(shared=over())
    with capture_logs() as logs:
        entered = [await limiter.enter(TEN, "sam") for _ in range(7)]
        redis.kill()
        entered += [await limiter.enter(TEN, "sam") for _ in range(7)]

    assert sum(entered) == 10
    assert [line["event"] for line in logs] == ["limits.redis.away", "breaker.opened"]
    assert await limiter.is_alone()


async def test_a_redis_that_hangs_holds_nobody_up_for_long(redis: RedisServer, over: Over) -> None:
    limiter = Limiter(shared=over(patience=PATIENCE_SECONDS))
    redis.freeze()

    with capture_logs() as logs:
        entered = [await limiter.enter(TEN, "sam") for _ in range(100)]
    redis.thaw()

    assert sum(entered) == 10
    assert [line["event"] for line in logs] == ["limits.redis.away", "breaker.opened"]


async def test_a_redis_that_comes_back_counts_for_all_again(redis: RedisServer, over: Over) -> None:
    steady = Seconds()
    limiter = Limiter(shared=over(clock=steady))
    other = Limiter(shared=over())
    redis.kill()
    with capture_logs() as logs:
        for _ in range(5):
            await limiter.enter(TEN, "sam")
        redis.start()
        steady.now += OPEN_SECONDS
        entered = [await limiter.enter(TEN, "alex") for _ in range(10)]

    assert all(entered)
    assert not await other.enter(TEN, "alex")
    assert [line["event"] for line in logs] == [
        *("limits.redis.away", "breaker.opened"),
        *("breaker.closed", "limits.redis.back"),
    ]


async def test_one_caller_looks_whether_it_is_back_and_all_others_go_on_without(
    redis: RedisServer, over: Over
) -> None:
    steady = Seconds()
    shared = over(clock=steady)
    redis.freeze()
    asked = 0

    async def ask(storage: RedisStorage) -> int:
        nonlocal asked
        asked += 1
        return await storage.get("anything")

    async def fail(_: RedisStorage) -> int:
        raise OSError

    for _ in range(FAILURES):
        await shared.ask(fail)
    steady.now += OPEN_SECONDS
    looking = asyncio.create_task(shared.ask(ask))
    await asyncio.sleep(0)
    others = [await shared.ask(ask) for _ in range(100)]

    assert not looking.done()
    assert (others, asked) == (100 * [None], 1)
    redis.thaw()
    assert await looking == 0
    assert await shared.ask(ask) == 0


async def test_whoever_asks_how_limits_are_counted_finds_a_redis_that_is_back(
    redis: RedisServer, over: Over
) -> None:
    steady = Seconds()
    limiter = Limiter(shared=over(clock=steady))
    redis.kill()
    for _ in range(5):
        await limiter.enter(TEN, "sam")
    redis.start()

    assert await limiter.is_alone()
    steady.now += OPEN_SECONDS
    assert not await limiter.is_alone()

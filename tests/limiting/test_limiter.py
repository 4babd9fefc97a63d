"""Counting in one process: exact, whoever asks at once, and forgotten in time."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.limiting.limiter import Limiter
from ledger.limiting.rates import Rate, Rates, growing
from ledger.limiting.windows import SWEEP_SECONDS, Windows
from tests.limiting.conftest import Seconds

TEN = Rate(name="guesses", amount=10, seconds=900)


async def test_of_eighty_at_once_exactly_ten_are_let_in(seconds: Seconds) -> None:
    limiter = Limiter(clock=seconds)

    entered = await asyncio.gather(*(limiter.enter(TEN, "sam") for _ in range(80)))
    counted = await asyncio.gather(*(limiter.count(TEN, "sam") for _ in range(80)))

    assert sum(entered) == 10
    assert [quota.remaining for quota in counted if quota is not None] == list(range(9, -1, -1))


async def test_one_key_has_nothing_to_do_with_another(seconds: Seconds) -> None:
    limiter = Limiter(clock=seconds)
    for _ in range(10):
        await limiter.enter(TEN, "sam")

    assert not await limiter.enter(TEN, "sam")
    assert await limiter.enter(TEN, "alex")
    assert await limiter.enter(Rate(name="other", amount=10, seconds=900), "sam")


async def test_a_moving_window_tells_when_its_oldest_hit_falls_out(seconds: Seconds) -> None:
    limiter = Limiter(clock=seconds)
    for _ in range(10):
        seconds.now += 60
        assert await limiter.seconds_to_entry(TEN, "sam") == 0
        await limiter.enter(TEN, "sam")

    assert await limiter.seconds_to_entry(TEN, "sam") == 900 - 9 * 60
    seconds.now += 900 - 9 * 60
    assert await limiter.seconds_to_entry(TEN, "sam") == 0
    assert await limiter.enter(TEN, "sam")
    assert not await limiter.enter(TEN, "sam")


async def test_a_clock_that_is_put_back_keeps_nobody_waiting_for_longer_than_a_window(
    seconds: Seconds,
) -> None:
    limiter = Limiter(clock=seconds)
    for _ in range(10):
        await limiter.enter(TEN, "sam")
        await limiter.count(TEN, "sam")
    seconds.now -= 86_400

    assert await limiter.seconds_to_entry(TEN, "sam") == 900
    assert await limiter.count(TEN, "sam") is None
    seconds.now += 900

    assert await limiter.enter(TEN, "sam")
    assert await limiter.count(TEN, "sam") is not None


@given(st.lists(st.floats(0, 600), min_size=1, max_size=60))
@settings(deadline=None)
def test_no_stretch_of_the_window_ever_holds_more_than_allowed(pauses: list[float]) -> None:
    seconds = Seconds()
    limiter = Limiter(clock=seconds)
    entered: list[float] = []

    async def guess() -> None:
        for pause in pauses:
            seconds.now += pause
            if await limiter.enter(TEN, "sam"):
                entered.append(seconds.now)

    asyncio.run(guess())

    assert all(sum(moment - 900 < other <= moment for other in entered) <= 10 for moment in entered)


async def test_a_fixed_window_begins_with_its_first_hit_and_ends_as_told(seconds: Seconds) -> None:
    limiter = Limiter(clock=seconds)
    minute = Rate(name="requests", amount=2, seconds=60)

    first = await limiter.count(minute, "sam")
    seconds.now += 40.5
    second = await limiter.count(minute, "sam")

    assert (first and (first.remaining, first.reset_seconds)) == (1, 60)
    assert (second and (second.remaining, second.reset_seconds)) == (0, 20)
    assert await limiter.count(minute, "sam") is None
    assert await limiter.seconds_to_window(minute, "sam") == 20
    seconds.now += 19.5
    assert (await limiter.count(minute, "sam")) is not None


async def test_what_is_forgotten_counts_no_more(seconds: Seconds) -> None:
    limiter = Limiter(clock=seconds)
    for _ in range(10):
        await limiter.enter(TEN, "sam")

    await limiter.forget(TEN, "sam")

    assert await limiter.enter(TEN, "sam")


async def test_a_guesser_waits_longer_and_longer(seconds: Seconds) -> None:
    limiter, waits = Limiter(clock=seconds), []
    rates = growing("guesses", 10, 900)

    for _ in range(30):
        for rate in rates:
            await limiter.enter(rate, "sam")
        wait = max([await limiter.seconds_to_entry(rate, "sam") for rate in rates])
        if wait:
            waits.append(wait)
            seconds.now += wait

    assert waits == [900, 2 * 3600 - 900, 24 * 3600 - 2 * 3600]


async def test_what_has_run_out_does_not_stay_in_memory(seconds: Seconds) -> None:
    windows = Windows(seconds)
    for number in range(100):
        await windows.incr(f"count-{number}", 60)
        await windows.acquire_entry(f"entry-{number}", 1, 60)

    seconds.now += 60 + SWEEP_SECONDS
    await windows.incr("another", 60)

    assert await windows.reset() == 1
    assert await windows.check()


def test_the_numbers_are_those_of_the_contract() -> None:
    rates = Rates()

    assert (rates.requests_per_minute, rates.registrations_per_minute) == (6_000, 60)
    assert (rates.failed_logins, rates.failed_logins_per_address) == (10, 100)
    assert (rates.second_factor_tries, rates.guessing_seconds) == (10, 15 * 60)

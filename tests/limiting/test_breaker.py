"""A circuit breaker: closed, open, half open, and what a late answer does to it."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ledger.limiting.breaker import Breaker, BreakerCall, BreakerState
from tests.limiting.conftest import Seconds

FAILURES = 3
REST = 5.0


@pytest.fixture
def breaker(seconds: Seconds) -> Breaker:
    return a_breaker(seconds)


def a_breaker(clock: Callable[[], float]) -> Breaker:
    return Breaker("redis", failures=FAILURES, rest_seconds=REST, clock=clock)


def let_through(breaker: Breaker) -> BreakerCall:
    call = breaker.call()
    assert call is not None
    return call


def ended(call: BreakerCall, *, is_answered: bool | None) -> None:
    """Let a call end; ``None``: it is broken off."""
    with call:
        if is_answered is not None:
            (call.answered if is_answered else call.failed)()


def fail(breaker: Breaker, times: int = FAILURES) -> None:
    for _ in range(times):
        ended(let_through(breaker), is_answered=False)


def test_failures_in_a_row_open_it_and_it_turns_calls_away(breaker: Breaker):
    fail(breaker, FAILURES - 1)
    assert breaker.state is BreakerState.CLOSED
    fail(breaker, 1)

    assert breaker.state is BreakerState.OPEN
    assert breaker.call() is None


def test_an_answer_between_them_begins_the_count_anew(breaker: Breaker):
    fail(breaker, FAILURES - 1)
    ended(let_through(breaker), is_answered=True)
    fail(breaker, FAILURES - 1)

    assert breaker.state is BreakerState.CLOSED


def test_half_open_lets_one_call_through_and_turns_the_others_away(breaker: Breaker, seconds: Seconds):
    fail(breaker)
    seconds.now += REST

    assert breaker.state is BreakerState.HALF_OPEN
    assert [breaker.call() is not None for _ in range(64)] == [True] + 63 * [False]


def test_a_probe_that_is_answered_closes_it(breaker: Breaker, seconds: Seconds):
    fail(breaker)
    seconds.now += REST
    ended(let_through(breaker), is_answered=True)

    assert breaker.state is BreakerState.CLOSED
    fail(breaker, FAILURES - 1)
    assert breaker.state is BreakerState.CLOSED


def test_a_probe_that_fails_begins_the_next_rest(breaker: Breaker, seconds: Seconds):
    fail(breaker)
    seconds.now += REST
    ended(let_through(breaker), is_answered=False)

    assert breaker.state is BreakerState.OPEN
    seconds.now += REST
    assert breaker.state is BreakerState.HALF_OPEN


def test_a_probe_that_is_broken_off_says_nothing_and_lets_another_one_try(breaker: Breaker, seconds: Seconds):
    fail(breaker)
    seconds.now += REST
    ended(let_through(breaker), is_answered=None)

    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.call() is not None


def test_calls_that_are_broken_off_open_nothing(breaker: Breaker):
    for _ in range(10 * FAILURES):
        ended(let_through(breaker), is_answered=None)

    assert breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("is_answered", [True, False, None])
def test_what_began_before_it_opened_says_nothing_new(
    breaker: Breaker,
    seconds: Seconds,
    is_answered: bool | None,  # noqa: FBT001 - a parameter of the test
):
    late = let_through(breaker)
    fail(breaker)
    seconds.now += REST
    probe = let_through(breaker)
    ended(late, is_answered=is_answered)

    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.call() is None
    ended(probe, is_answered=True)
    assert breaker.state is BreakerState.CLOSED


def test_an_error_of_ours_goes_on_and_opens_nothing(breaker: Breaker):
    for _ in range(10 * FAILURES):
        with pytest.raises(ZeroDivisionError), let_through(breaker):
            raise ZeroDivisionError

    assert breaker.state is BreakerState.CLOSED


def test_an_outage_is_two_lines_in_the_log_however_long_it_lasts(breaker: Breaker, seconds: Seconds):
    with capture_logs() as logs:
        fail(breaker)
        for _ in range(20):
            seconds.now += REST
            ended(let_through(breaker), is_answered=False)
        seconds.now += REST
        ended(let_through(breaker), is_answered=True)

    assert [(line["event"], line["breaker"]) for line in logs] == [
        ("breaker.opened", "redis"),
        ("breaker.closed", "redis"),
    ]


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 7)),
        st.tuples(st.sampled_from(["answer", "fail", "break off"]), st.integers(0, 5)),
    ),
    max_size=60,
)


@given(MOVES)
def test_whatever_happens_it_lets_at_most_one_through_until_an_answer_of_that_one(
    moves: list[tuple[str, int]],
):
    seconds = Seconds()
    breaker = a_breaker(seconds)
    under_way: list[tuple[BreakerCall, BreakerState]] = []
    for move, number in moves:
        before = breaker.state
        if move == "begin":
            call = breaker.call()
            assert (call is None) or before is not BreakerState.OPEN
            if call is not None:
                under_way.append((call, before))
        elif move == "wait":
            seconds.now += number
        elif under_way:
            call, begun = under_way.pop(number % len(under_way))
            ended(call, is_answered={"answer": True, "fail": False, "break off": None}[move])
            if before is not BreakerState.CLOSED and breaker.state is BreakerState.CLOSED:
                assert (begun, move) == (BreakerState.HALF_OPEN, "answer")
        assert sum(begun is BreakerState.HALF_OPEN for _, begun in under_way) <= 1 + (
            breaker.state is BreakerState.CLOSED
        )

"""A clock that leaps forward is believed when it has stayed there for a minute; one that leaps back at once."""

from datetime import timedelta

from ledger.reactions.steady_clock import PATIENCE_SECONDS, SteadyClock, ticks
from tests.builders import NOW
from tests.reactions.waiting import Ticks


class Hands:
    """A clock whose hands a test turns, and the ticks beside it."""

    def __init__(self) -> None:
        self.ticks = Ticks()
        self.wrong_by = 0.0
        self.clock = SteadyClock(
            lambda: NOW + timedelta(seconds=self.ticks.seconds + self.wrong_by), self.ticks
        )

    def after(self, seconds: float) -> float:
        """Let so much time pass and read the clock; seconds since the beginning."""
        self.ticks.seconds += seconds
        return (self.clock() - NOW).total_seconds()


def test_it_says_what_the_clock_says():
    hands = Hands()

    assert [hands.after(seconds) for seconds in (0, 0.5, 3_600)] == [0, 0.5, 3_600.5]


def test_a_leap_forward_is_not_believed_at_once():
    hands = Hands()
    hands.wrong_by = 86_400.0

    assert hands.after(1) == 1
    assert hands.after(PATIENCE_SECONDS - 1) == PATIENCE_SECONDS


def test_a_leap_forward_that_lasts_is_believed():
    hands = Hands()
    hands.wrong_by = 86_400.0
    hands.after(1)

    assert hands.after(PATIENCE_SECONDS) == 86_400 + PATIENCE_SECONDS + 1
    assert hands.after(1) == 86_400 + PATIENCE_SECONDS + 2


def test_a_leap_that_is_put_right_within_a_minute_was_none():
    hands = Hands()
    hands.wrong_by = 86_400.0
    hands.after(30)
    hands.wrong_by = 0.0
    assert hands.after(1) == 31

    hands.wrong_by = 86_400.0
    assert hands.after(1) == 32
    assert hands.after(PATIENCE_SECONDS - 1) == 31 + PATIENCE_SECONDS, "its minute begins anew"


def test_a_leap_backward_is_believed_at_once():
    hands = Hands()
    hands.after(10)
    hands.wrong_by = -3_600.0

    assert hands.after(1) == 11 - 3_600


def test_a_clock_that_runs_a_little_fast_is_followed():
    hands = Hands()
    told = []
    for _ in range(100):
        hands.wrong_by += 0.5
        told.append(hands.after(1))

    assert told[-1] == 150


def test_ticks_do_not_go_back():
    first = ticks()

    assert ticks() >= first

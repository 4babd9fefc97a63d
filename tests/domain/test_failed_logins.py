from ledger.domain.login.decide import LOGIN
from tests.builders import NOW, later, lock_out, locked_out, sum_up, summed_up
from tests.domain.given import Given

NOTHING = Given(LOGIN)


def test_failures_are_told_as_a_sum():
    NOTHING.when(sum_up(passwords=7, codes=2, since=NOW, now=later(9))).then(
        summed_up(passwords=7, codes=2, since=NOW, at=later(9))
    )


def test_there_is_no_second_sum_within_a_minute():
    Given(LOGIN, summed_up()).when(sum_up(now=later(59))).then()
    Given(LOGIN, summed_up()).when(sum_up(now=later(60))).then(summed_up(at=later(60)))


def test_a_lock_out_is_told_once_and_the_next_one_again():
    NOTHING.when(lock_out(until=later(900))).then(locked_out(until=later(900)))
    locked = Given(LOGIN, summed_up(), locked_out(until=later(900)))

    locked.when(lock_out(until=later(960), now=later(60))).then()
    locked.when(lock_out(until=later(8100), now=later(900))).then(
        locked_out(until=later(8100), at=later(900))
    )


def test_a_lock_out_does_not_keep_the_sum_from_being_told():
    Given(LOGIN, locked_out(until=later(900))).when(sum_up()).then(summed_up())

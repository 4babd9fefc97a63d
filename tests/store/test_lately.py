"""Streams as they were read lately: all that are asked for, or none."""

from ledger.domain.ids import StreamName
from ledger.store.lately import MAX_HELD, Lately
from ledger.store.streams import Stream


def stream(name: str) -> Stream:
    return Stream(name=StreamName(name), events=())


def names(*several: str) -> list[StreamName]:
    return [StreamName(one) for one in several]


def followed() -> bool:
    return True


def test_what_was_noted_is_given_together_or_not_at_all() -> None:
    lately = Lately(followed)
    lately.note([stream("session-1"), stream("account-1")])

    assert lately.all_of(names("session-1", "account-1", "session-1")) == {
        "session-1": stream("session-1"),
        "account-1": stream("account-1"),
    }
    assert lately.all_of(names("session-1", "policy-1")) is None


def test_what_is_out_of_date_is_forgotten() -> None:
    lately = Lately(followed)
    lately.note([stream("session-1"), stream("account-1")])

    lately.forget(names("session-1", "policy-1"))

    assert lately.all_of(names("session-1")) is None
    assert lately.all_of(names("account-1")) is not None


def test_the_longest_unread_make_room() -> None:
    lately = Lately(followed)
    lately.note(stream(f"session-{number}") for number in range(MAX_HELD))
    lately.note([stream("session-0"), stream("session-new")])

    assert lately.all_of(names("session-0", "session-new")) is not None
    assert lately.all_of(names("session-1")) is None


def test_nothing_is_given_while_nobody_knows_of_which_log_it_is() -> None:
    is_followed = [True]
    lately = Lately(lambda: is_followed[0])
    lately.note([stream("account-1")])

    is_followed[0] = False

    assert lately.all_of(names("account-1")) is None


def test_all_can_be_forgotten() -> None:
    lately = Lately(followed)
    lately.note([stream("account-1")])

    lately.clear()

    assert lately.all_of(names("account-1")) is None

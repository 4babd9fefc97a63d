"""Guessing passwords and codes: ten answers in a quarter of an hour, then silence, and all of it on the record."""

import asyncio
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from ledger.domain.errors import Unauthenticated
from ledger.domain.ids import PersonId
from ledger.domain.login.decide import LOGIN
from ledger.domain.login.events import LoginFailed, LoginLockedOut
from ledger.identity.administering import WrongCurrentPassword, change_password
from ledger.identity.guesses import Guesses
from ledger.identity.identity import Identity
from ledger.identity.login import WrongCredentials, login
from ledger.identity.session_rows import Client
from ledger.limiting.limiter import Limiter
from ledger.limiting.rates import Rates, TooManyFailures
from ledger.reactions.failed_logins import tell
from ledger.store.ledger import Ledger, account_stream, login_stream
from ledger.store.streams import read_stream, recorded
from tests.builders.people import NOW
from tests.identity.house import PASSWORD, MovingClock, admitted, asking, logged_in, principal
from tests.support.databases import Database

WRONG = "wrong"
AWAY = Client(address="198.51.100.9", user_agent="a browser")


async def guess(identity: Identity, username: str, password: str = WRONG, client: Client = AWAY) -> str:
    """Try once; the name of what came of it."""
    try:
        await login(identity, username=username, password=password, client=client)
    except (WrongCredentials, TooManyFailures) as refused:
        return type(refused).__name__
    return "in"


async def guesses(identity: Identity, username: str, times: int, password: str = WRONG) -> list[str]:
    return [await guess(identity, username, password) for _ in range(times)]


async def told(identity: Identity, person: PersonId) -> list[LoginFailed | LoginLockedOut]:
    await tell(identity)
    stream = await read_stream(identity.ledger, login_stream(person))
    return [recorded(stored, LOGIN.event_types).event for stored in stream.events]


@pytest.mark.parametrize("username", ["sam", "nobody", "Sam"])
async def test_ten_wrong_passwords_are_answered_and_then_not_even_the_right_one(
    identity: Identity, username: str
) -> None:
    await admitted(identity, "sam")

    outcomes = await guesses(identity, username, 11)

    assert outcomes == [*["WrongCredentials"] * 10, "TooManyFailures"]
    assert await guess(identity, username, PASSWORD) == "TooManyFailures"


async def test_as_many_questions_are_asked_about_a_name_that_nobody_has(identity: Identity) -> None:
    """A shared count is a round trip away: one question more would tell by its time that somebody has the name."""
    asked = 0

    def counting() -> float:
        nonlocal asked
        asked += 1
        return NOW.timestamp()

    person = PersonId(UUID(int=1))
    judged = Guesses(
        Limiter(clock=counting),
        Rates(),
        secret=b"",
        clock=lambda: NOW,
        failed_logins=identity.failed_logins,
    )
    questions = []
    for name, whose in (("sam", person), ("nobody", None)):
        asked = 0
        with pytest.raises(WrongCredentials):
            async with judged.password(name, whose, AWAY.address):
                raise WrongCredentials
        questions.append(asked)

    assert questions[0] == questions[1] > 0


async def test_a_hundred_guesses_at_once_get_ten_answers(identity: Identity) -> None:
    await admitted(identity, "sam")

    outcomes = await asyncio.gather(*(guess(identity, "sam") for _ in range(60)))

    assert sorted(outcomes) == [*["TooManyFailures"] * 50, *["WrongCredentials"] * 10]


async def test_what_was_compared_while_the_limit_was_reached_is_not_told(identity: Identity) -> None:
    await admitted(identity, "sam")
    await guesses(identity, "sam", 9)

    with pytest.raises(TooManyFailures):
        async with identity.guesses.password("sam", None, AWAY.address):  # let in, and right
            assert await guess(identity, "sam") == "WrongCredentials"


async def test_a_hundred_right_passwords_at_once_are_no_guesses(identity: Identity) -> None:
    await admitted(identity, "sam")

    outcomes = await asyncio.gather(*(guess(identity, "sam", PASSWORD) for _ in range(100)))

    assert set(outcomes) == {"in"}


async def test_who_waits_gets_ten_more_and_then_has_to_wait_longer(
    identity: Identity, clock: MovingClock
) -> None:
    await admitted(identity, "sam")
    waits = []
    for _ in range(3):
        await guesses(identity, "sam", 10)
        with pytest.raises(TooManyFailures) as refused:
            await login(identity, username="sam", password=PASSWORD, client=AWAY)
        waits.append(refused.value.context["retry_after"])
        clock.forward(seconds=waits[-1])

    assert waits == [15 * 60, 2 * 3600 - 15 * 60, 24 * 3600 - 2 * 3600]
    assert await guess(identity, "sam", PASSWORD) == "in"


def strict_about_addresses(identity: Identity) -> Identity:
    return Identity.of(
        identity.ledger,
        secret_keys=["another process of the same"],
        passwords=identity.passwords,
        clock=identity.clock,
        rates=Rates(failed_logins_per_address=1),
    )


async def test_a_hundred_wrong_passwords_for_all_kinds_of_names_close_an_address(identity: Identity) -> None:
    await admitted(identity, "sam")
    outcomes = [await guess(identity, f"name-{number}") for number in range(101)]

    assert outcomes == [*["WrongCredentials"] * 100, "TooManyFailures"]
    assert await guess(identity, "sam", PASSWORD) == "TooManyFailures"
    assert (await logged_in(identity, "sam")).access_token  # from another address


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("not an address", "not an address", True),
    ],
)
async def test_the_addresses_of_one_ipv6_network_are_one(
    identity: Identity, first: str, second: str, *, is_one: bool
) -> None:
    strict = strict_about_addresses(identity)
    await admitted(strict, "sam")
    await guess(strict, "nobody", client=Client(address=first, user_agent=""))

    outcome = await guess(strict, "sam", PASSWORD, Client(address=second, user_agent=""))

    assert outcome == ("TooManyFailures" if is_one else "in")


async def test_the_password_form_of_a_stolen_session_is_no_place_to_guess_either(identity: Identity) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")

    async def try_changing(current: str) -> None:
        await change_password(
            identity, "sam", asking(sam), new_password="another one of mine", current_password=current
        )

    for _ in range(10):
        with pytest.raises(WrongCurrentPassword):
            await try_changing("wrong")
    with pytest.raises(TooManyFailures):
        await try_changing(PASSWORD)
    assert await guess(identity, "sam", PASSWORD) == "TooManyFailures"


async def test_ten_wrong_codes_at_once_are_compared_and_a_right_one_begins_anew(identity: Identity) -> None:
    sam = await admitted(identity, "sam")

    async def try_code(*, is_right: bool) -> None:
        async with identity.guesses.code(sam):
            await asyncio.sleep(0)
            if not is_right:
                raise Unauthenticated

    outcomes = await asyncio.gather(*(try_code(is_right=False) for _ in range(9)), return_exceptions=True)
    await try_code(is_right=True)
    outcomes += await asyncio.gather(*(try_code(is_right=False) for _ in range(30)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [*[Unauthenticated] * 19, *[TooManyFailures] * 20]
    with pytest.raises(TooManyFailures):
        await try_code(is_right=True)


async def test_failures_are_on_the_record_as_one_sum_a_minute_with_the_lock_out(
    identity: Identity, clock: MovingClock
) -> None:
    sam = await admitted(identity, "sam")
    await guesses(identity, "sam", 2)
    first = await told(identity, sam)
    clock.forward(seconds=10)
    await guesses(identity, "sam", 8)
    early = await told(identity, sam)
    clock.forward(seconds=50)
    late = await told(identity, sam)

    until = NOW + timedelta(minutes=15)
    assert first == [LoginFailed(at=NOW, person=sam, passwords=2, codes=0, since=NOW)]
    assert early[1:] == [LoginLockedOut(at=NOW + timedelta(seconds=10), person=sam, until=until)]
    assert late[2:] == [LoginFailed(at=clock.now, person=sam, passwords=8, codes=0, since=NOW)]
    clock.forward(minutes=5)
    assert await told(identity, sam) == late


async def test_a_guesser_leaves_the_version_of_the_account_alone(identity: Identity) -> None:
    sam = await admitted(identity, "sam")
    await guesses(identity, "sam", 12)
    await told(identity, sam)

    assert (await read_stream(identity.ledger, account_stream(sam))).version() == 1


async def test_two_processes_tell_at_most_one_sum_a_minute_and_lose_nothing(
    identity: Identity, ledger: Ledger, clock: MovingClock
) -> None:
    sam = await admitted(identity, "sam")
    other = Identity.of(
        ledger, secret_keys=["another process of the same"], passwords=identity.passwords, clock=clock
    )
    await guesses(identity, "sam", 3)
    await guesses(other, "sam", 4)
    await told(identity, sam)
    first = await told(other, sam)
    clock.forward(minutes=1)
    both = await told(other, sam)

    assert [event.passwords for event in first] == [3]
    assert [event.passwords for event in both] == [3, 4]


async def test_what_cannot_be_written_is_told_later(
    identity: Identity, database: Database, clock: MovingClock
) -> None:
    sam = await admitted(identity, "sam")
    await guesses(identity, "sam", 10)
    async with await Ledger.open(database.service_url, max_queue=0) as full:
        await tell(msgspec.structs.replace(identity, ledger=full))
    clock.forward(minutes=1)

    assert {type(event) for event in await told(identity, sam)} == {LoginLockedOut, LoginFailed}


async def test_nothing_is_told_of_names_that_nobody_has(identity: Identity) -> None:
    before = await identity.ledger.head()
    await guesses(identity, "nobody", 12)
    await tell(identity)

    assert await identity.ledger.head() == before

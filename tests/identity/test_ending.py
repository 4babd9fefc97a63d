"""A session ends at once, everywhere, and once; the log says why."""

import asyncio

import msgspec
import pytest

from ledger.domain.authority import SessionNotLive
from ledger.domain.errors import LedgerError, Overloaded, Unavailable, VersionConflict
from ledger.domain.session.decide import SESSION, SessionNotFound
from ledger.domain.session.events import EndCause, SessionEnded
from ledger.identity.ending import left_for_later, logout
from ledger.identity.identity import Identity, Limits
from ledger.identity.opening import LoggedIn
from ledger.identity.refreshing import refresh
from ledger.identity.sessions import authenticate
from ledger.store.ledger import session_stream
from ledger.store.streams import read_stream, recorded
from tests.identity.house import MovingClock, admitted, asked_by, logged_in


async def is_alive(identity: Identity, answer: LoggedIn) -> bool:
    try:
        await authenticate(identity, answer.access_token)
    except SessionNotLive:
        return False
    return True


async def test_logging_out_ends_the_session_and_no_other(identity: Identity) -> None:
    await admitted(identity, "sam")
    here, there = await logged_in(identity, "sam"), await logged_in(identity, "sam")
    who = await authenticate(identity, here.access_token)

    await logout(identity, who, asked_by(who))

    assert not await is_alive(identity, here)
    assert await is_alive(identity, there)
    stream = await read_stream(identity.ledger, session_stream(who.session))
    ended = recorded(stream.events[-1], SESSION.event_types).event
    assert isinstance(ended, SessionEnded)
    assert ended.cause is EndCause.LOGOUT


async def test_logging_out_many_times_at_once_is_one_event(identity: Identity) -> None:
    await admitted(identity, "sam")
    who = await authenticate(identity, (await logged_in(identity, "sam")).access_token)
    head = await identity.ledger.head()

    await asyncio.gather(*(logout(identity, who, asked_by(who)) for _ in range(10)))

    assert await identity.ledger.head() == head + 1


async def test_beyond_the_limit_the_longest_idle_session_ends(identity: Identity, clock: MovingClock) -> None:
    few = msgspec.structs.replace(identity, limits=Limits(max_sessions=2))
    await admitted(few, "sam")
    oldest = await logged_in(few, "sam")
    clock.forward(minutes=5)
    idle = await logged_in(few, "sam")
    clock.forward(minutes=5)
    await refresh(few, oldest.refresh_token or "")

    newest = await logged_in(few, "sam")

    assert [await is_alive(few, answer) for answer in (oldest, idle, newest)] == [True, False, True]


async def test_people_do_not_count_for_each_other(identity: Identity) -> None:
    few = msgspec.structs.replace(identity, limits=Limits(max_sessions=1))
    await admitted(few, "sam")
    await admitted(few, "ben")
    sams = await logged_in(few, "sam")
    await logged_in(few, "ben")

    assert await is_alive(few, sams)


async def test_many_logins_at_once_leave_as_many_sessions_as_allowed(identity: Identity) -> None:
    few = msgspec.structs.replace(identity, limits=Limits(max_sessions=3))
    await admitted(few, "sam")

    answers = await asyncio.gather(*(logged_in(few, "sam") for _ in range(20)))

    assert sum([await is_alive(few, answer) for answer in answers]) == 3


@pytest.mark.parametrize("refusal", [Unavailable, Overloaded, VersionConflict])
def test_what_follows_a_command_may_wait(refusal: type[LedgerError]) -> None:
    with left_for_later("revocations"):
        raise refusal


def test_a_mistake_in_what_follows_a_command_is_told() -> None:
    with pytest.raises(SessionNotFound), left_for_later("revocations"):
        raise SessionNotFound

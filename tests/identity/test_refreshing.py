"""A refresh token is spent once; a second use soon after is an accident, later it is a theft."""

import asyncio

import pytest

from ledger.domain.authority import SessionNotLive
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import RevocationCause, SessionRevoked
from ledger.identity.ending import logout
from ledger.identity.identity import Identity, Limits
from ledger.identity.refreshing import InvalidRefreshToken, RefreshTokenReused, refresh
from ledger.identity.sessions import authenticate
from ledger.store.ledger import session_stream
from ledger.store.streams import read_stream, recorded
from tests.identity.house import MovingClock, admitted, asked_by, logged_in


async def first_token(identity: Identity) -> str:
    await admitted(identity, "sam")
    token = (await logged_in(identity, "sam")).refresh_token
    assert token is not None
    return token


async def test_a_refresh_token_gets_a_new_pair_of_the_same_session(
    identity: Identity, clock: MovingClock
) -> None:
    await admitted(identity, "sam")
    before = await logged_in(identity, "sam")
    who = await authenticate(identity, before.access_token)
    clock.forward(minutes=31)

    after = await refresh(identity, before.refresh_token or "")

    assert await authenticate(identity, after.access_token) == who
    assert after.refresh_token != before.refresh_token
    await refresh(identity, after.refresh_token)


@pytest.mark.parametrize("token", ["", "nonsense", "\ud800", "a\0b", "x" * 10_000])
async def test_what_is_no_refresh_token_gets_nothing(identity: Identity, token: str) -> None:
    with pytest.raises(InvalidRefreshToken):
        await refresh(identity, token)


async def test_an_access_token_does_not_refresh(identity: Identity) -> None:
    await admitted(identity, "sam")

    with pytest.raises(InvalidRefreshToken):
        await refresh(identity, (await logged_in(identity, "sam")).access_token)


async def test_a_repetition_within_ten_seconds_gets_another_pair(
    identity: Identity, clock: MovingClock
) -> None:
    token = await first_token(identity)
    once = await refresh(identity, token)
    clock.forward(seconds=10)
    again = await refresh(identity, token)

    assert once.refresh_token != again.refresh_token
    await refresh(identity, once.refresh_token)
    await refresh(identity, again.refresh_token)


async def test_of_two_who_go_on_from_one_token_the_later_one_is_caught(
    identity: Identity, clock: MovingClock
) -> None:
    token = await first_token(identity)
    owners = await refresh(identity, token)
    thiefs = await refresh(identity, token)
    clock.forward(minutes=25)
    await refresh(identity, owners.refresh_token)
    clock.forward(minutes=1)

    with pytest.raises(RefreshTokenReused):
        await refresh(identity, thiefs.refresh_token)


async def test_whoever_repeats_gets_a_token_of_the_newest_generation(
    identity: Identity, clock: MovingClock
) -> None:
    token = await first_token(identity)
    second = await refresh(identity, token)
    clock.forward(seconds=3)
    third = await refresh(identity, second.refresh_token)
    clock.forward(seconds=3)
    again = await refresh(identity, token)
    clock.forward(minutes=1)

    await refresh(identity, again.refresh_token)
    clock.forward(minutes=1)
    with pytest.raises(RefreshTokenReused):
        await refresh(identity, third.refresh_token)


async def test_a_repetition_after_ten_seconds_revokes_the_session(
    identity: Identity, clock: MovingClock
) -> None:
    token = await first_token(identity)
    pair = await refresh(identity, token)
    who = await authenticate(identity, pair.access_token)
    clock.forward(seconds=10.001)

    with pytest.raises(RefreshTokenReused):
        await refresh(identity, token)

    with pytest.raises(SessionNotLive):
        await authenticate(identity, pair.access_token)
    with pytest.raises(SessionNotLive):
        await refresh(identity, pair.refresh_token)
    stream = await read_stream(identity.ledger, session_stream(who.session))
    revoked = recorded(stream.events[-1], SESSION.event_types).event
    assert isinstance(revoked, SessionRevoked)
    assert (revoked.cause, revoked.by) == (RevocationCause.REFRESH_REUSED, None)


async def test_repetitions_do_not_lengthen_the_ten_seconds(identity: Identity, clock: MovingClock) -> None:
    token = await first_token(identity)
    await refresh(identity, token)
    clock.forward(seconds=9)
    await refresh(identity, token)
    clock.forward(seconds=9)

    with pytest.raises(RefreshTokenReused):
        await refresh(identity, token)


async def test_twenty_refreshes_of_one_token_at_once_all_get_a_pair(identity: Identity) -> None:
    token = await first_token(identity)

    pairs = await asyncio.gather(*(refresh(identity, token) for _ in range(20)))

    assert len({pair.refresh_token for pair in pairs}) == 20
    sessions = {(await authenticate(identity, pair.access_token)).session for pair in pairs}
    assert len(sessions) == 1


async def test_twenty_thefts_at_once_revoke_the_session_once(identity: Identity, clock: MovingClock) -> None:
    token = await first_token(identity)
    await refresh(identity, token)
    clock.forward(minutes=1)
    head = await identity.ledger.head()

    outcomes = await asyncio.gather(*(refresh(identity, token) for _ in range(20)), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} <= {RefreshTokenReused, SessionNotLive}
    assert await identity.ledger.head() == head + 1


async def test_logging_out_ends_the_refresh_token_too(identity: Identity) -> None:
    await admitted(identity, "sam")
    answer = await logged_in(identity, "sam")
    who = await authenticate(identity, answer.access_token)
    await logout(identity, who, asked_by(who))

    with pytest.raises(SessionNotLive):
        await refresh(identity, answer.refresh_token or "")


async def test_a_session_in_use_lives_on_and_an_idle_one_does_not(
    identity: Identity, clock: MovingClock
) -> None:
    token = await first_token(identity)
    for _ in range(3):
        clock.forward(hours=11)
        token = (await refresh(identity, token)).refresh_token
    clock.forward(hours=12)

    with pytest.raises(SessionNotLive):
        await refresh(identity, token)


async def test_no_use_carries_a_session_past_its_absolute_limit(
    identity: Identity, clock: MovingClock
) -> None:
    token = await first_token(identity)
    for _ in range(15):
        clock.forward(hours=11)
        token = (await refresh(identity, token)).refresh_token
    clock.forward(hours=4)

    with pytest.raises(SessionNotLive):
        await refresh(identity, token)


async def test_the_database_does_not_hold_the_token(identity: Identity) -> None:
    token = await first_token(identity)
    rows = await identity.ledger.pool.fetch("select t::text as line from work.refresh_tokens t")

    assert len(rows) == 1
    assert token not in rows[0]["line"]
    assert token.encode().hex() not in rows[0]["line"]


def test_by_default_a_refresh_token_may_lie_unused_for_all_of_its_seven_days() -> None:
    limits = Limits()

    assert limits.refresh_seconds == 7 * 24 * 3600
    assert limits.refresh_seconds <= limits.idle_seconds <= limits.absolute_seconds

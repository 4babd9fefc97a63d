"""The sweep ends what nobody ended, once, however many sweep."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from ledger.command_handling.context import CommandContext
from ledger.command_handling.handler import handle
from ledger.domain.account.commands import ChangePassword
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.event import Event
from ledger.domain.ids import PersonId, SessionId
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import (
    ExpiryCause,
    RevocationCause,
    SessionEnded,
    SessionExpired,
    SessionOpened,
    SessionRevoked,
)
from ledger.identity import session_rows
from ledger.identity.ending import logout
from ledger.identity.identity import Identity
from ledger.identity.refreshing import refresh
from ledger.identity.sessions import authenticate
from ledger.reactions.sessions import run_forever, sweep
from ledger.store.ledger import account_stream, session_stream
from ledger.store.streams import read_stream, recorded
from tests.builders import CREDENTIAL
from tests.identity.conftest import clock, identity
from tests.identity.house import MovingClock, admitted, asked_by, by_operator, logged_in, principal

__all__ = ["clock", "identity"]


async def last_event(identity: Identity, session: SessionId) -> Event:
    stream = await read_stream(identity.ledger, session_stream(session))
    return recorded(stream.events[-1], SESSION.event_types).event


async def open_rows(identity: Identity, person: PersonId) -> int:
    ledger = identity.ledger
    return len(await session_rows.open_of(ledger.pool, ledger.ledger_id, [person]))


async def password_changed_and_then_a_crash(identity: Identity, person: PersonId) -> None:
    """The event without what follows it."""
    await handle(
        identity.ledger,
        CommandContext(
            decider=ACCOUNT, target=account_stream(person), clock=identity.clock, provenance=by_operator()
        ),
        lambda facts: ChangePassword(now=facts.now, by=None, reason="leaked", credential=CREDENTIAL),
    )


async def test_an_idle_session_expires(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    clock.forward(hours=12)

    await sweep(identity)

    expired = await last_event(identity, sam.session)
    assert isinstance(expired, SessionExpired)
    assert expired.cause is ExpiryCause.IDLE
    assert await open_rows(identity, sam.person) == 0


async def test_a_session_in_use_is_left_alone(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "sam")
    answer = await logged_in(identity, "sam")
    sam = await authenticate(identity, answer.access_token)
    clock.forward(hours=11)
    await refresh(identity, answer.refresh_token or "")
    clock.forward(hours=11)

    await sweep(identity)

    assert isinstance(await last_event(identity, sam.session), SessionOpened)


async def test_reading_is_a_use_too(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "sam")
    answer = await logged_in(identity, "sam")
    sam = await authenticate(identity, answer.access_token)
    clock.forward(minutes=29)
    await authenticate(identity, answer.access_token)
    clock.forward(hours=11, minutes=59)

    await sweep(identity)

    assert isinstance(await last_event(identity, sam.session), SessionOpened)
    clock.forward(minutes=1)
    await sweep(identity)
    assert isinstance(await last_event(identity, sam.session), SessionExpired)


async def test_a_session_expires_at_its_absolute_limit_however_busy(
    identity: Identity, clock: MovingClock
) -> None:
    await admitted(identity, "sam")
    answer = await logged_in(identity, "sam")
    sam = await authenticate(identity, answer.access_token)
    token = answer.refresh_token or ""
    for _ in range(15):
        clock.forward(hours=11)
        token = (await refresh(identity, token)).refresh_token
    clock.forward(hours=3)

    await sweep(identity)

    expired = await last_event(identity, sam.session)
    assert isinstance(expired, SessionExpired)
    assert expired.cause is ExpiryCause.ABSOLUTE


async def test_an_idle_session_that_is_used_at_that_moment_lives_or_dies_and_never_both(
    identity: Identity, clock: MovingClock
) -> None:
    from ledger.reactions.sessions import _expire

    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    clock.forward(hours=12)
    ledger = identity.ledger
    (row,) = await session_rows.overdue(ledger.pool, ledger.ledger_id, clock(), 10)
    async with ledger.pool.acquire() as conn:
        await session_rows.touch(conn, ledger.ledger_id, sam.session, now=clock(), unless_since=clock())

    await _expire(identity, row, clock())

    assert isinstance(await last_event(identity, sam.session), SessionOpened)
    assert await open_rows(identity, sam.person) == 1


async def test_what_a_crash_left_unsaid_is_said_with_its_cause(identity: Identity) -> None:
    person = await admitted(identity, "sam")
    sams = [await principal(identity, "sam") for _ in range(3)]
    await password_changed_and_then_a_crash(identity, person)

    await sweep(identity)

    for sam in sams:
        revoked = await last_event(identity, sam.session)
        assert isinstance(revoked, SessionRevoked)
        assert (revoked.cause, revoked.reason) == (RevocationCause.PASSWORD_CHANGED, "leaked")
    assert await open_rows(identity, person) == 0


async def test_many_sweeps_at_once_say_it_once(identity: Identity, clock: MovingClock) -> None:
    idle = await admitted(identity, "ida")
    await principal(identity, "ida")
    clock.forward(hours=12)
    revoked = await admitted(identity, "sam")
    await principal(identity, "sam")
    await password_changed_and_then_a_crash(identity, revoked)
    head = await identity.ledger.head()

    await asyncio.gather(*(sweep(identity) for _ in range(5)))
    await sweep(identity)

    assert await identity.ledger.head() == head + 2
    assert await open_rows(identity, idle) == await open_rows(identity, revoked) == 0


async def test_a_row_left_open_by_a_crash_is_closed_and_its_session_stays_as_it_ended(
    identity: Identity, clock: MovingClock
) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    await logout(identity, sam, asked_by(sam))
    await identity.ledger.pool.execute("update work.sessions set closed_at = null")
    head = await identity.ledger.head()
    clock.forward(hours=12)

    await sweep(identity)

    assert await identity.ledger.head() == head
    assert await open_rows(identity, sam.person) == 0


async def test_expired_refresh_tokens_are_forgotten(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "sam")
    await logged_in(identity, "sam")
    clock.forward(days=8)

    await sweep(identity)

    assert await identity.ledger.pool.fetchval("select count(*) from work.refresh_tokens") == 0


async def test_closed_sessions_are_forgotten_after_their_absolute_limit_and_not_before(
    identity: Identity, clock: MovingClock
) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    await logout(identity, sam, asked_by(sam))
    for moved, left in ((timedelta(days=7), 1), (timedelta(seconds=1), 0)):
        clock.now += moved
        await sweep(identity)
        assert await identity.ledger.pool.fetchval("select count(*) from work.sessions") == left

    assert isinstance(await last_event(identity, sam.session), SessionEnded)


@pytest.mark.slow
async def test_the_sweep_comes_round_by_itself(identity: Identity, clock: MovingClock) -> None:
    await admitted(identity, "sam")
    sam = await principal(identity, "sam")
    clock.forward(hours=12)
    sweeping = asyncio.create_task(run_forever(identity, every=0.02))
    for _ in range(250):
        if isinstance(await last_event(identity, sam.session), SessionExpired):
            break
        await asyncio.sleep(0.02)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)

    assert isinstance(await last_event(identity, sam.session), SessionExpired)


async def test_a_clock_that_runs_ahead_ends_nothing(identity: Identity, clock: MovingClock) -> None:
    """Nobody could open again what it had ended, nor bring back the tokens it had forgotten."""
    clock.now = datetime.now(UTC)
    await admitted(identity, "sam")
    answer = await logged_in(identity, "sam")
    sam = await authenticate(identity, answer.access_token)
    ahead = SweepingClock(clock() + timedelta(days=400))
    sweeping = asyncio.create_task(run_forever(replace(identity, clock=ahead), every=0.0))
    await ahead.was_asked(times=3)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)

    assert isinstance(await last_event(identity, sam.session), SessionOpened)
    assert await refresh(identity, answer.refresh_token or "")


class SweepingClock:
    """Tells when a sweep has come round so many times: each begins by asking it."""

    def __init__(self, now: datetime) -> None:
        self._now, self._times, self._asked = now, 0, asyncio.Event()

    def __call__(self) -> datetime:
        self._times += 1
        self._asked.set()
        return self._now

    async def was_asked(self, *, times: int) -> None:
        async with asyncio.timeout(30):
            while self._times < times:
                self._asked.clear()
                await self._asked.wait()

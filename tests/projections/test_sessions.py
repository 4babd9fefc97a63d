"""The view of sessions knows who is logged in, and whose time has come."""

from datetime import datetime

from ledger.domain.event import Event
from ledger.domain.ids import PersonId, SessionId
from ledger.projections.views.sessions import SESSIONS, Stage, due, last_login, open_of, outdated
from ledger.store.ledger import Ledger, session_stream
from tests.builders import (
    ABSOLUTE_SECONDS,
    ANA,
    BEN,
    IDLE_SECONDS,
    NOW,
    ended,
    expired,
    later,
    opened,
    revoked,
    session_of,
)
from tests.projections.given import bring_level
from tests.support.recorded import happened

PHONE, DESK, OLD = (session_of(ANA, login) for login in range(3))


async def log_in(ledger: Ledger, session: SessionId, *more: Event, epoch: int = 0, at: float = 0) -> None:
    event = opened(by=ANA, session=session, epoch=epoch, at=later(at))
    await happened(ledger, session_stream(session), event, *more)


async def open_sessions(ledger: Ledger, person: PersonId = ANA) -> list[SessionId]:
    await bring_level(ledger, SESSIONS)
    async with ledger.pool.acquire() as conn:
        return [row.session for row in await open_of(conn, ledger.ledger_id, person)]


async def test_a_person_has_the_sessions_they_opened_the_oldest_first(ledger: Ledger) -> None:
    await log_in(ledger, DESK, at=10)
    await log_in(ledger, PHONE, epoch=3)

    assert await open_sessions(ledger) == [PHONE, DESK]
    assert await open_sessions(ledger, BEN) == []
    async with ledger.pool.acquire() as conn:
        first, _ = await open_of(conn, ledger.ledger_id, ANA)
    assert (first.person, first.epoch, first.idle_seconds, first.state) == (ANA, 3, IDLE_SECONDS, Stage.OPEN)
    assert (first.opened_at, first.expires_at, first.ended_at) == (NOW, later(ABSOLUTE_SECONDS), None)


async def test_a_session_that_has_ended_in_any_manner_is_not_open(ledger: Ledger) -> None:
    await log_in(ledger, PHONE, ended())
    await log_in(ledger, DESK, expired())
    await log_in(ledger, OLD, revoked(at=later(5)))

    assert await open_sessions(ledger) == []
    async with ledger.pool.acquire() as conn:
        rows = await conn.fetch("select state, ended_at from views.sessions_v1 order by state")
    assert [row["state"] for row in rows] == ["ended", "expired", "revoked"]
    assert [row["ended_at"] for row in rows] == [NOW, NOW, later(5)]


async def test_sessions_past_their_limit_are_due_until_they_are_ended(ledger: Ledger) -> None:
    await log_in(ledger, DESK, at=10)
    await log_in(ledger, PHONE)
    await bring_level(ledger, SESSIONS)

    async def due_at(seconds: float, limit: int = 10) -> list[SessionId]:
        async with ledger.pool.acquire() as conn:
            return [row.session for row in await due(conn, ledger.ledger_id, later(seconds), limit)]

    assert await due_at(ABSOLUTE_SECONDS - 1) == []
    assert await due_at(ABSOLUTE_SECONDS) == [PHONE]
    assert await due_at(ABSOLUTE_SECONDS + 10) == [PHONE, DESK]
    assert await due_at(ABSOLUTE_SECONDS + 10, limit=1) == [PHONE]

    await happened(ledger, session_stream(PHONE), expired())
    await bring_level(ledger, SESSIONS)
    assert await due_at(ABSOLUTE_SECONDS + 10) == [DESK]


async def test_sessions_of_an_earlier_epoch_are_outdated_but_for_the_one_that_was_kept(
    ledger: Ledger,
) -> None:
    await log_in(ledger, OLD, epoch=0)
    await log_in(ledger, PHONE, epoch=0)
    await log_in(ledger, DESK, epoch=1)
    await bring_level(ledger, SESSIONS)

    async with ledger.pool.acquire() as conn:
        kept = await outdated(conn, ledger.ledger_id, ANA, epoch=1, kept_session=PHONE)
        none_kept = await outdated(conn, ledger.ledger_id, ANA, epoch=1, kept_session=None)

    assert [row.session for row in kept] == [OLD]
    assert {row.session for row in none_kept} == {OLD, PHONE}


async def test_the_last_login_is_the_latest_opening(ledger: Ledger) -> None:
    await log_in(ledger, PHONE, ended(), at=20)
    await log_in(ledger, DESK, at=10)
    await bring_level(ledger, SESSIONS)

    async def last(person: PersonId) -> datetime | None:
        async with ledger.pool.acquire() as conn:
            return await last_login(conn, ledger.ledger_id, person)

    assert await last(ANA) == later(20)
    assert await last(BEN) is None

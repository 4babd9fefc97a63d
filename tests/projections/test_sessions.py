"""The view of sessions knows who is logged in, and whose time has come."""

from datetime import datetime

from ledger.domain.event import Event
from ledger.domain.ids import PersonId, SessionId
from ledger.projections.views.sessions import SESSIONS, Stage, last_login, open_of
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


async def test_the_last_login_is_the_latest_opening(ledger: Ledger) -> None:
    await log_in(ledger, PHONE, ended(), at=20)
    await log_in(ledger, DESK, at=10)
    await bring_level(ledger, SESSIONS)

    async def last(person: PersonId) -> datetime | None:
        async with ledger.pool.acquire() as conn:
            return await last_login(conn, ledger.ledger_id, person)

    assert await last(ANA) == later(20)
    assert await last(BEN) is None

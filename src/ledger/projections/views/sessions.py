"""Sessions: who is logged in, since when and until when, and who was."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never, get_args

import asyncpg
import msgspec
from msgspec.structs import replace

from ledger.domain.ids import PersonId, SessionId, StreamName
from ledger.domain.session.events import (
    SessionEnded,
    SessionEvent,
    SessionExpired,
    SessionOpened,
    SessionPaused,
    SessionResumed,
    SessionRevoked,
    SessionStepUpCompleted,
    SessionStepUpFailed,
)
from ledger.projections.projection import Projection, fold_rows, load_rows, must_exist
from ledger.store.pool import Connection
from ledger.store.streams import Recorded

# One range of the key at a time, in its order: another index of this ledger looks as good while the table is, or is
# known to be, empty, and would be read whole ever after.
# $1 ledger, $2 streams
LOAD: Final = """
select found.*
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select stream, session_id, person_id, epoch, idle_seconds, opened_at, expires_at, state, ended_at
    from sessions_v1
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) found
"""
# $1 ledger; arrays, a session each: $2 stream, $3 session, $4 person, $5 epoch, $6 idle seconds,
# $7 opened at, $8 expires at, $9 state, $10 ended at
SAVE: Final = """
insert into sessions_v1 (
    ledger_id, stream, session_id, person_id, epoch, idle_seconds, opened_at, expires_at, state, ended_at)
select $1, s.stream, s.session_id, s.person_id, s.epoch, s.idle_seconds, s.opened_at, s.expires_at, s.state,
       s.ended_at
from unnest($2::text[], $3::uuid[], $4::uuid[], $5::integer[], $6::integer[], $7::timestamptz[],
            $8::timestamptz[], $9::text[], $10::timestamptz[])
    as s(stream, session_id, person_id, epoch, idle_seconds, opened_at, expires_at, state, ended_at)
on conflict (ledger_id, stream) do update
set state = excluded.state, ended_at = excluded.ended_at
"""
# $1 ledger, $2 person
OPEN_OF: Final = """
select stream, session_id, person_id, epoch, idle_seconds, opened_at, expires_at, state, ended_at
from views.sessions_v1
where ledger_id = $1 and person_id = $2 and state = 'open'
order by opened_at, stream
"""
# $1 ledger, $2 person
LAST_LOGIN: Final = """
select max(opened_at) from views.sessions_v1 where ledger_id = $1 and person_id = $2
"""


class Stage(StrEnum):
    """How a session stands; an open one past its ``expires_at`` is good for nothing, yet still open."""

    OPEN = "open"
    ENDED = "ended"
    EXPIRED = "expired"
    REVOKED = "revoked"


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A login; ``ended_at`` is ``None`` while it is open."""

    stream: StreamName
    session: SessionId
    person: PersonId
    epoch: int
    idle_seconds: int
    opened_at: datetime
    expires_at: datetime
    state: Stage = Stage.OPEN
    ended_at: datetime | None = None


async def open_of(conn: Connection, ledger_id: int, person: PersonId) -> tuple[SessionRow, ...]:
    """List a person's open sessions, the oldest first."""
    return tuple(_row(row) for row in await conn.fetch(OPEN_OF, ledger_id, person))


async def last_login(conn: Connection, ledger_id: int, person: PersonId) -> datetime | None:
    """Tell when the person last logged in; ``None``: never."""
    moment: datetime | None = await conn.fetchval(LAST_LOGIN, ledger_id, person)
    return moment


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[SessionEvent]]) -> None:
    """Open and end the sessions of the batch."""
    loaded = await load_rows(conn, LOAD, ledger_id, batch)
    before = {StreamName(row["stream"]): _row(row) for row in loaded}
    rows = [row for row in fold_rows(before, batch, _evolve).values() if row is not None]
    await conn.execute(
        SAVE,
        ledger_id,
        [row.stream for row in rows],
        [row.session for row in rows],
        [row.person for row in rows],
        [row.epoch for row in rows],
        [row.idle_seconds for row in rows],
        [row.opened_at for row in rows],
        [row.expires_at for row in rows],
        [row.state.value for row in rows],
        [row.ended_at for row in rows],
    )


def _evolve(row: SessionRow | None, item: Recorded[SessionEvent]) -> SessionRow:
    event = item.event
    match event:
        case SessionOpened():
            return _opened(item.stream, event)
        case SessionEnded():
            return _finished(must_exist(row, item), Stage.ENDED, event.at)
        case SessionExpired():
            return _finished(must_exist(row, item), Stage.EXPIRED, event.at)
        case SessionRevoked():
            return _finished(must_exist(row, item), Stage.REVOKED, event.at)
        case SessionStepUpCompleted() | SessionStepUpFailed() | SessionPaused() | SessionResumed():
            return must_exist(row, item)
        case _:
            assert_never(event)


def _opened(stream: StreamName, event: SessionOpened) -> SessionRow:
    return SessionRow(
        stream=stream,
        session=event.session,
        person=event.person,
        epoch=event.epoch,
        idle_seconds=event.idle_seconds,
        opened_at=event.at,
        expires_at=event.expires_at,
    )


def _finished(row: SessionRow, state: Stage, at: datetime) -> SessionRow:
    """End it, once: what comes after the end changes nothing, as in the domain."""
    return replace(row, state=state, ended_at=at) if row.state is Stage.OPEN else row


def _row(row: asyncpg.Record) -> SessionRow:
    return SessionRow(
        stream=row["stream"],
        session=row["session_id"],
        person=row["person_id"],
        epoch=row["epoch"],
        idle_seconds=row["idle_seconds"],
        opened_at=row["opened_at"],
        expires_at=row["expires_at"],
        state=Stage(row["state"]),
        ended_at=row["ended_at"],
    )


SESSIONS: Final = Projection[SessionEvent](
    name="sessions",
    version=1,
    event_types=get_args(SessionEvent),
    tables=("sessions_v1",),
    apply=apply,
)

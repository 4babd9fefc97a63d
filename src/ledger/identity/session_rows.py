"""The working side of sessions: who called, when it was last used, which are open.

The log alone says whether a session is live. These rows say where to look: they are written in the transaction
that opens the session, and closed after the log has ended it; one that was left open is closed by the sweep.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self

import asyncpg
import msgspec

from ledger.domain.ids import PersonId, SessionId
from ledger.identity.identity import writing
from ledger.store.pool import Connection, Pool, reading

MAX_CLIENT_CHARACTERS: Final = 512
MOST_SHOWN: Final = 1_000

# $1 ledger, $2 session, $3 person, $4 epoch, $5 now, $6 idle seconds, $7 expires at, $8 salt, $9 address,
# $10 user agent
INSERT: Final = """
insert into work.sessions (ledger_id, session_id, person_id, epoch, opened_at, last_seen, idle_seconds,
                           expires_at, salt, address, user_agent)
values ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10)
"""
# $1 ledger, $2 sessions, $3 now
CLOSE: Final = """
update work.sessions set closed_at = $3
where ledger_id = $1 and session_id = any($2) and closed_at is null
"""
# $1 ledger, $2 session, $3 now, $4 only if last seen at this moment
CLOSE_UNUSED: Final = """
update work.sessions set closed_at = $3
where ledger_id = $1 and session_id = $2 and last_seen = $4 and closed_at is null
returning session_id
"""
# $1 ledger, $2 session, $3 now, $4 only if last seen before this moment
TOUCH: Final = """
update work.sessions set last_seen = $3 where ledger_id = $1 and session_id = $2 and last_seen < $4
"""
# $1 ledger, $2 persons
OPEN: Final = """
select session_id, person_id, epoch, last_seen, idle_seconds, expires_at from work.sessions
where ledger_id = $1 and person_id = any($2) and closed_at is null
"""
# $1 ledger, $2 person, $3 at most this many
USED_BY: Final = """
select session_id, last_seen, address, user_agent from work.sessions
where ledger_id = $1 and person_id = $2 and closed_at is null
order by last_seen desc, session_id limit $3
"""
# $1 ledger, $2 person, $3 how many may stay open
EXCESS: Final = """
select session_id from work.sessions
where ledger_id = $1 and person_id = $2 and closed_at is null
order by last_seen desc, session_id
offset $3
"""
# $1 ledger, $2 now, $3 at most this many
OVERDUE: Final = """
select session_id, person_id, epoch, last_seen, idle_seconds, expires_at from work.sessions
where ledger_id = $1 and closed_at is null
  and (expires_at <= $2 or last_seen + make_interval(secs => idle_seconds) <= $2)
order by expires_at limit $3
"""
# $1 ledger, $2 past their absolute limit at this moment
FORGET: Final = """
delete from work.sessions where ledger_id = $1 and closed_at is not null and expires_at < $2
"""
# $1 ledger, $2 person to begin after, $3 at most this many
PEOPLE_WITH_OPEN_SESSIONS: Final = """
select distinct person_id from work.sessions
where ledger_id = $1 and closed_at is null and person_id > $2
order by person_id limit $3
"""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody calls from; kept beside the log, which holds a commitment to it."""

    address: str
    user_agent: str

    @classmethod
    def of(cls, address: str, user_agent: str) -> Self:
        """Take what a client says of itself, cut to 512 characters and cleared of what cannot be stored."""
        return cls(address=_cleared(address), user_agent=_cleared(user_agent))


class OpenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A session that the log has opened and, as far as this table knows, not ended."""

    session: SessionId
    person: PersonId
    epoch: int
    last_seen: datetime
    idle_seconds: int
    expires_at: datetime


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """From where an open session was opened, and when it was last used, to the minute."""

    session: SessionId
    last_seen: datetime
    client: Client


class NewRow(msgspec.Struct, frozen=True, kw_only=True):
    """What to write down of a session that opens now."""

    session: SessionId
    person: PersonId
    epoch: int
    now: datetime
    idle_seconds: int
    expires_at: datetime
    salt: bytes
    client: Client


async def insert(conn: Connection, ledger_id: int, row: NewRow) -> None:
    """Write a session down, in the transaction that opens it."""
    await conn.execute(
        INSERT,
        ledger_id,
        row.session,
        row.person,
        row.epoch,
        row.now,
        row.idle_seconds,
        row.expires_at,
        row.salt,
        row.client.address,
        row.client.user_agent,
    )


async def close(pool: Pool, ledger_id: int, sessions: Sequence[SessionId], now: datetime) -> None:
    """Note that the log has ended these."""
    async with writing(pool) as conn:
        await conn.execute(CLOSE, ledger_id, list(sessions), now)


async def close_unused(
    conn: Connection, ledger_id: int, session: SessionId, *, now: datetime, last_seen: datetime
) -> bool:
    """Note that the log ends this one, unless it was used after ``last_seen``; tell whether it was not."""
    return await conn.fetchval(CLOSE_UNUSED, ledger_id, session, now, last_seen) is not None


async def touch(
    conn: Connection, ledger_id: int, session: SessionId, *, now: datetime, unless_since: datetime
) -> None:
    """Note that the session is used, unless that was noted at or after ``unless_since``."""
    await conn.execute(TOUCH, ledger_id, session, now, unless_since)


async def open_of(pool: Pool, ledger_id: int, persons: Sequence[PersonId]) -> tuple[OpenRow, ...]:
    """List these people's open sessions."""
    async with reading(pool) as conn:
        return tuple(_open(row) for row in await conn.fetch(OPEN, ledger_id, list(persons)))


async def used_by(pool: Pool, ledger_id: int, person: PersonId) -> tuple[Used, ...]:
    """List a person's open sessions, the last used one first, a thousand at most."""
    async with reading(pool) as conn:
        rows = await conn.fetch(USED_BY, ledger_id, person, MOST_SHOWN)
    return tuple(
        Used(
            session=row["session_id"],
            last_seen=row["last_seen"],
            client=Client(address=row["address"], user_agent=row["user_agent"]),
        )
        for row in rows
    )


async def beyond(pool: Pool, ledger_id: int, person: PersonId, allowed: int) -> tuple[SessionId, ...]:
    """List the open sessions beyond the ``allowed`` last used ones."""
    async with reading(pool) as conn:
        return tuple(row["session_id"] for row in await conn.fetch(EXCESS, ledger_id, person, allowed))


async def overdue(pool: Pool, ledger_id: int, now: datetime, limit: int) -> tuple[OpenRow, ...]:
    """List up to ``limit`` open sessions past their absolute or their idle limit."""
    async with reading(pool) as conn:
        return tuple(_open(row) for row in await conn.fetch(OVERDUE, ledger_id, now, limit))


async def people_logged_in(
    pool: Pool, ledger_id: int, *, after: PersonId, limit: int
) -> tuple[PersonId, ...]:
    """List people with open sessions in the order of their ids, ``limit`` at a time."""
    async with reading(pool) as conn:
        rows = await conn.fetch(PEOPLE_WITH_OPEN_SESSIONS, ledger_id, after, limit)
    return tuple(row["person_id"] for row in rows)


async def forget(pool: Pool, ledger_id: int, now: datetime) -> None:
    """Forget the closed sessions that are past their absolute limit; the log keeps what it says of them."""
    async with writing(pool) as conn:
        await conn.execute(FORGET, ledger_id, now)


def _open(row: asyncpg.Record) -> OpenRow:
    return OpenRow(
        session=row["session_id"],
        person=row["person_id"],
        epoch=row["epoch"],
        last_seen=row["last_seen"],
        idle_seconds=row["idle_seconds"],
        expires_at=row["expires_at"],
    )


def _cleared(text: str) -> str:
    storable = text[:MAX_CLIENT_CHARACTERS].encode("utf-8", "replace").decode()
    return storable.replace("\0", "?")

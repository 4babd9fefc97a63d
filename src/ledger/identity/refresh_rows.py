"""Refresh tokens: random, good once, stored as their hash."""

import hashlib
import secrets
from datetime import datetime
from typing import Final

import msgspec

from ledger.domain.ids import PersonId, SessionId
from ledger.identity.identity import writing
from ledger.store.pool import Connection, Pool, reading

TOKEN_BYTES: Final = 32

# $1 ledger, $2 token hash, $3 session, $4 now, $5 expires at
INSERT: Final = """
insert into work.refresh_tokens (ledger_id, token_hash, session_id, issued_at, expires_at)
values ($1, $2, $3, $4, $5)
"""
# $1 ledger, $2 token hash
FIND: Final = """
select t.session_id, t.expires_at, s.person_id, s.last_seen, s.idle_seconds
from work.refresh_tokens t
join work.sessions s on s.ledger_id = t.ledger_id and s.session_id = t.session_id
where t.ledger_id = $1 and t.token_hash = $2
"""
# $1 ledger, $2 token hash, $3 now. The row stays locked until the transaction ends: uses take turns.
SPEND: Final = """
update work.refresh_tokens set spent_at = coalesce(spent_at, $3)
where ledger_id = $1 and token_hash = $2
returning spent_at
"""
# $1 ledger, $2 expired before this moment
FORGET: Final = "delete from work.refresh_tokens where ledger_id = $1 and expires_at < $2"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a refresh token is good for, and until when."""

    session: SessionId
    person: PersonId
    expires_at: datetime
    last_seen: datetime
    idle_seconds: int


def new_token() -> str:
    """Make a token of 256 random bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


async def insert(
    conn: Connection, ledger_id: int, token: str, session: SessionId, *, now: datetime, expires_at: datetime
) -> None:
    """Write a new token of the session's family down."""
    await conn.execute(INSERT, ledger_id, _hash(token), session, now, expires_at)


async def find(pool: Pool, ledger_id: int, token: str) -> Held | None:
    """Find what a token is good for; ``None``: nothing, it is none of ours or long forgotten."""
    async with reading(pool) as conn:
        row = await conn.fetchrow(FIND, ledger_id, _hash(token))
    if row is None:
        return None
    return Held(
        session=row["session_id"],
        person=row["person_id"],
        expires_at=row["expires_at"],
        last_seen=row["last_seen"],
        idle_seconds=row["idle_seconds"],
    )


async def spend(conn: Connection, ledger_id: int, token: str, now: datetime) -> datetime | None:
    """Spend a token; when it was first spent, which is ``now`` or earlier; ``None``: it has been forgotten."""
    spent_at: datetime | None = await conn.fetchval(SPEND, ledger_id, _hash(token), now)
    return spent_at


async def forget(pool: Pool, ledger_id: int, before: datetime) -> None:
    """Forget the tokens that expired before this moment."""
    async with writing(pool) as conn:
        await conn.execute(FORGET, ledger_id, before)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

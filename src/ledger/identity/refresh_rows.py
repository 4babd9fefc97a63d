"""Refresh tokens: random, good once, stored as their hash.

All tokens of a session begin with its family's secret, to which the event that opened it commits: whoever can write rows
but was given no token of the session cannot make one (ADR 0041).
"""

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Final

import msgspec

from ledger.domain.ids import PersonId, SessionId
from ledger.identity.identity import writing
from ledger.store.pool import Connection, Pool, reading

TOKEN_BYTES: Final = 32
FAMILY_BYTES: Final = 32

# $1 ledger, $2 token hash, $3 session, $4 generation, $5 now, $6 expires at
INSERT: Final = """
insert into work.refresh_tokens (ledger_id, token_hash, session_id, generation, issued_at, expires_at)
values ($1, $2, $3, $4, $5, $6)
"""
# $1 ledger, $2 token hash
FIND: Final = """
select t.session_id, t.expires_at, s.person_id, s.last_seen, s.idle_seconds
from work.refresh_tokens t
join work.sessions s on s.ledger_id = t.ledger_id and s.session_id = t.session_id
where t.ledger_id = $1 and t.token_hash = $2
"""
# $1 ledger, $2 session. The row stays locked until the transaction ends: uses of one family take turns.
LOCK: Final = "select from work.sessions where ledger_id = $1 and session_id = $2 for update"
# $1 ledger, $2 token hash, $3 now. A token's siblings are spent with it.
SPEND: Final = """
update work.refresh_tokens t set spent_at = $3
from work.refresh_tokens used
where used.ledger_id = $1 and used.token_hash = $2 and t.ledger_id = $1
  and t.session_id = used.session_id and t.generation = used.generation and t.spent_at is null
"""
# $1 ledger, $2 token hash
SPENT: Final = """
select used.spent_at, max(t.generation) as newest, used.generation
from work.refresh_tokens used
join work.refresh_tokens t on t.ledger_id = used.ledger_id and t.session_id = used.session_id
where used.ledger_id = $1 and used.token_hash = $2
group by used.spent_at, used.generation
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


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """When a token, or a sibling of it, was first spent, and the generation of what is given for it.

    That is the family's newest one: one generation is good at a time, however often a token comes again.
    """

    at: datetime
    successor: int


def new_family() -> bytes:
    """Make the secret of a session's tokens."""
    return secrets.token_bytes(FAMILY_BYTES)


def new_token(family: bytes) -> str:
    """Make a token of 256 random bits beside its family's."""
    return urlsafe_b64encode(family + secrets.token_bytes(TOKEN_BYTES)).decode().rstrip("=")


def family_of(token: str) -> bytes:
    """Read the secret of a token's family; empty where it has none, as those of older releases."""
    try:
        return urlsafe_b64decode(token.encode("ascii") + b"==")[:-TOKEN_BYTES]
    except ValueError:  # none of ours
        return b""


async def insert(
    conn: Connection,
    ledger_id: int,
    token: str,
    session: SessionId,
    *,
    generation: int = 0,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Write a new token of the session's family down, in a generation of it."""
    await conn.execute(INSERT, ledger_id, _hash(token), session, generation, now, expires_at)


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


async def spend(
    conn: Connection, ledger_id: int, token: str, session: SessionId, now: datetime
) -> Spent | None:
    """Spend a token and with it every sibling of its generation; ``None``: it has been forgotten."""
    await conn.execute(LOCK, ledger_id, session)
    await conn.execute(SPEND, ledger_id, _hash(token), now)
    row = await conn.fetchrow(SPENT, ledger_id, _hash(token))
    if row is None:
        return None
    return Spent(at=row["spent_at"], successor=max(row["newest"], row["generation"] + 1))


async def forget(pool: Pool, ledger_id: int, before: datetime) -> None:
    """Forget the tokens that expired before this moment."""
    async with writing(pool) as conn:
        await conn.execute(FORGET, ledger_id, before)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

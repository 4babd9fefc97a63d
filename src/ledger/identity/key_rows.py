"""API keys as they are stored: hashed, named, with the moment of their last use.

A key is ``ldk_``, its id, an underscore and 256 random bits: whoever finds one somewhere recognises it, and knows
which to revoke. What a key may do, and whether it still may, its account's stream says.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from ledger.domain.ids import Digest, KeyId, PersonId
from ledger.identity.credentials import committed
from ledger.store.pool import Connection, Pool, reading

MARK: Final = "ldk_"
SECRET_BYTES: Final = 32
SHAPE: Final = re.compile(r"ldk_([0-9a-f]{32})_[A-Za-z0-9_-]{43}")
SHOWN: Final = 12

# $1 ledger, $2 key, $3 person, $4 name, $5 hash, $6 now
INSERT: Final = """
insert into work.api_keys (ledger_id, key_id, person_id, name, key_hash, created_at)
values ($1, $2, $3, $4, $5, $6)
"""
# $1 ledger, $2 key
FIND: Final = "select person_id, key_hash from work.api_keys where ledger_id = $1 and key_id = $2"
# $1 ledger, $2 key, $3 now
TOUCH: Final = """
update work.api_keys set last_used_at = $3
where ledger_id = $1 and key_id = $2 and (last_used_at is null or last_used_at < $3)
"""
# $1 ledger, $2 keys
DESCRIBE: Final = """
select key_id, name, created_at, last_used_at from work.api_keys where ledger_id = $1 and key_id = any($2)
"""
# $1 ledger, $2 key
OWNER: Final = "select person_id from work.api_keys where ledger_id = $1 and key_id = $2"
# $1 ledger
OWNERS: Final = "select distinct person_id from work.api_keys where ledger_id = $1 order by person_id"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Whose key it is, as its row says; ``credential`` is what its stored hash commits to."""

    key: KeyId
    person: PersonId
    credential: Digest


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What the log does not say of a key; ``last_used_at`` is ``None`` until it is used."""

    name: str
    created_at: datetime
    last_used_at: datetime | None


class _Row(msgspec.Struct, frozen=True):
    person: PersonId
    key_hash: bytes
    credential: Digest


class KeyMemory:
    """Keys looked up once: rows never change and ids never come again, so that asking again costs nothing."""

    def __init__(self, pool: Pool, ledger_id: int) -> None:
        """Look keys up through ``pool``."""
        self._pool = pool
        self._ledger_id = ledger_id
        self._rows: dict[KeyId, _Row] = {}

    async def find(self, bearer: str) -> Held | None:
        """Find whose key it is; ``None``: nobody's."""
        match = SHAPE.fullmatch(bearer)
        if match is None:
            return None
        key = KeyId(UUID(match[1]))
        row = self._rows.get(key) or await self._look_up(key)
        if row is None or not hmac.compare_digest(row.key_hash, hash_of(bearer)):
            return None
        return Held(key=key, person=row.person, credential=row.credential)

    async def _look_up(self, key: KeyId) -> _Row | None:
        async with reading(self._pool) as conn:
            found = await conn.fetchrow(FIND, self._ledger_id, key)
        if found is None:
            return None
        key_hash = found["key_hash"]
        self._rows[key] = _Row(found["person_id"], key_hash, committed(key_hash))
        return self._rows[key]


def is_api_key(bearer: str) -> bool:
    """Tell an API key from a token."""
    return bearer.startswith(MARK)


def new_key(key: KeyId) -> str:
    """Make the secret of a new key."""
    return f"{MARK}{key.hex}_{secrets.token_urlsafe(SECRET_BYTES)}"


def prefix_of(key: KeyId) -> str:
    """Say how a key begins, by which people recognise it."""
    return f"{MARK}{key.hex[:SHOWN]}"


def hash_of(secret: str) -> bytes:
    """Hash a key as it is stored; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


async def insert(
    conn: Connection, ledger_id: int, key: KeyId, person: PersonId, *, name: str, secret: str, now: datetime
) -> None:
    """Write a key down, in the transaction that issues it."""
    await conn.execute(INSERT, ledger_id, key, person, name, hash_of(secret), now)


async def touch(pool: Pool, ledger_id: int, key: KeyId, now: datetime) -> None:
    """Note that a key is used."""
    async with reading(pool) as conn:
        await conn.execute(TOUCH, ledger_id, key, now)


async def owner_of(pool: Pool, ledger_id: int, key: KeyId) -> PersonId | None:
    """Name the account of a key; ``None``: there is no such key."""
    async with reading(pool) as conn:
        person: PersonId | None = await conn.fetchval(OWNER, ledger_id, key)
    return person


async def owners(pool: Pool, ledger_id: int) -> tuple[PersonId, ...]:
    """Name every account that ever had a key."""
    async with reading(pool) as conn:
        return tuple(row["person_id"] for row in await conn.fetch(OWNERS, ledger_id))


async def describe(pool: Pool, ledger_id: int, keys: Sequence[KeyId]) -> dict[KeyId, Described]:
    """Say what the log does not of these keys."""
    async with reading(pool) as conn:
        rows = await conn.fetch(DESCRIBE, ledger_id, list(keys))
    return {row["key_id"]: _described(row) for row in rows}


def _described(row: asyncpg.Record) -> Described:
    return Described(name=row["name"], created_at=row["created_at"], last_used_at=row["last_used_at"])

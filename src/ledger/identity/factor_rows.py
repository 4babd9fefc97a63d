"""Second factors as they are stored: a sealed secret, the last accepted time step, hashed backup codes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from ledger.domain.errors import Corrupt
from ledger.domain.ids import PersonId
from ledger.identity import sealed as boxes
from ledger.identity.keys import Keyring
from ledger.store.pool import Connection, Pool, reading

# $1 ledger, $2 person, $3 sealed secret, $4 key id, $5 now
SET_UP: Final = """
insert into work.second_factors as f (ledger_id, person_id, secret, key_id, created_at)
values ($1, $2, $3, $4, $5)
on conflict (ledger_id, person_id) do update
set secret = excluded.secret, key_id = excluded.key_id, created_at = excluded.created_at, last_step = 0
where f.enabled_at is null
returning person_id
"""
# $1 ledger, $2 person
FORGET_CODES: Final = "delete from work.backup_codes where ledger_id = $1 and person_id = $2"
# $1 ledger, $2 person
REMOVE: Final = "delete from work.second_factors where ledger_id = $1 and person_id = $2"
# $1 ledger, $2 person, $3 code hashes
INSERT_CODES: Final = """
insert into work.backup_codes (ledger_id, person_id, code_hash) select $1, $2, h from unnest($3::bytea[]) h
"""
# $1 ledger, $2 person
READ: Final = """
select secret, key_id, last_step, enabled_at is not null as is_enabled
from work.second_factors where ledger_id = $1 and person_id = $2
"""
# $1 ledger, $2 ids of the keys, $3 at most this many
SEALED_BY: Final = """
select person_id, secret, key_id, last_step, enabled_at is not null as is_enabled
from work.second_factors where ledger_id = $1 and key_id = any($2)
limit $3
"""
# $1 ledger, $2 person, $3 secret as it was sealed, $4 sealed anew, $5 its key id
RESEAL: Final = """
update work.second_factors set secret = $4, key_id = $5
where ledger_id = $1 and person_id = $2 and secret = $3
"""
# $1 ledger, $2 person, $3 now, $4 the code's step, $5 the sealed secret it was proven against
ENABLE: Final = """
update work.second_factors set enabled_at = $3, last_step = $4
where ledger_id = $1 and person_id = $2 and enabled_at is null and last_step < $4 and secret = $5
returning person_id
"""
# $1 ledger, $2 person, $3 the code's step
ACCEPT_STEP: Final = """
update work.second_factors set last_step = $3
where ledger_id = $1 and person_id = $2 and enabled_at is not null and last_step < $3
returning person_id
"""
# $1 ledger, $2 person, $3 code hash, $4 now
USE_CODE: Final = """
update work.backup_codes set used_at = $4
where ledger_id = $1 and person_id = $2 and code_hash = $3 and used_at is null
returning person_id
"""


class UnreadableSecret(Corrupt):
    """A stored second factor cannot be opened with any key of this service."""

    code = "unreadable-second-factor"


class FactorRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person's second factor; only an enabled one is asked for."""

    secret: bytes
    key_id: str
    last_step: int
    is_enabled: bool


async def set_up(
    conn: Connection,
    ledger_id: int,
    person: PersonId,
    *,
    sealed: bytes,
    key_id: str,
    code_hashes: Sequence[bytes],
    now: datetime,
) -> bool:
    """Write a factor down that is still to be proven, in place of one never proven; ``False``: one is enabled."""
    if await conn.fetchval(SET_UP, ledger_id, person, sealed, key_id, now) is None:
        return False
    await replace_codes(conn, ledger_id, person, code_hashes)
    return True


async def replace_codes(
    conn: Connection, ledger_id: int, person: PersonId, code_hashes: Sequence[bytes]
) -> None:
    """Put these backup codes in place of whatever there were."""
    await conn.execute(FORGET_CODES, ledger_id, person)
    await conn.execute(INSERT_CODES, ledger_id, person, list(code_hashes))


async def remove(conn: Connection, ledger_id: int, person: PersonId) -> None:
    """Forget a person's factor and its backup codes."""
    await conn.execute(FORGET_CODES, ledger_id, person)
    await conn.execute(REMOVE, ledger_id, person)


async def read(pool: Pool, ledger_id: int, person: PersonId) -> FactorRow | None:
    """Read a person's second factor; ``None``: none was set up."""
    async with reading(pool) as conn:
        row = await conn.fetchrow(READ, ledger_id, person)
    if row is None:
        return None
    return _row(row)


def _row(row: asyncpg.Record) -> FactorRow:
    return FactorRow(
        secret=row["secret"],
        key_id=row["key_id"],
        last_step=row["last_step"],
        is_enabled=row["is_enabled"],
    )


async def reseal(pool: Pool, ledger_id: int, keys: Keyring, limit: int) -> int:
    """Seal up to ``limit`` secrets of earlier keys anew under the current one; return how many could not be opened.

    Those stay as they are: whoever names their key again can still open them.
    """
    unreadable = 0
    async with reading(pool) as conn:
        for row in await conn.fetch(SEALED_BY, ledger_id, keys.previous_ids(), limit):
            person = PersonId(row["person_id"])
            try:
                secret = unseal(keys, person, _row(row))
            except UnreadableSecret:
                unreadable += 1
                continue
            sealed = seal(keys, person, secret)
            await conn.execute(RESEAL, ledger_id, person, row["secret"], sealed, keys.current.key_id)
    return unreadable


async def enable(
    conn: Connection, ledger_id: int, person: PersonId, *, step: int, sealed: bytes, now: datetime
) -> bool:
    """Enable the factor that ``step`` was proven against; ``False``: it is another now, or enabled already."""
    return await conn.fetchval(ENABLE, ledger_id, person, now, step, sealed) is not None


async def accept_step(conn: Connection, ledger_id: int, person: PersonId, step: int) -> bool:
    """Take a time step, and with it all before; ``False``: it was taken already."""
    return await conn.fetchval(ACCEPT_STEP, ledger_id, person, step) is not None


async def use_code(
    conn: Connection, ledger_id: int, person: PersonId, code_hash: bytes, now: datetime
) -> bool:
    """Use a backup code up; ``False``: it is none of theirs, or used already."""
    return await conn.fetchval(USE_CODE, ledger_id, person, code_hash, now) is not None


def seal(keys: Keyring, person: PersonId, secret: str) -> bytes:
    """Encrypt a secret under the current key, bound to the person."""
    return boxes.seal(keys, person, secret)


def unseal(keys: Keyring, person: PersonId, row: FactorRow) -> str:
    """Decrypt a person's secret.

    Raises:
        UnreadableSecret: its key is not known any more, or it is not this person's.
    """
    secret = boxes.unseal(keys, person, row.key_id, row.secret)
    if secret is None:
        raise UnreadableSecret(person=person, key_id=row.key_id)
    return secret

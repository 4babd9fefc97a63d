"""What people prove themselves with: password hashes, beside the log and never in it.

The log commits to each hash (and to those of API keys), so that whoever puts another one into its row has gained
nothing: it opens an account only if an event says so (ADR 0041).
"""

import hashlib
from datetime import datetime
from typing import Final

from ledger.domain.ids import Digest, PersonId
from ledger.store.pool import Connection, Pool, reading

# $1 ledger, $2 person, $3 password hash, $4 now
INSERT: Final = """
insert into work.credentials (ledger_id, person_id, password_hash, changed_at) values ($1, $2, $3, $4)
"""
# $1 ledger, $2 person
READ: Final = "select password_hash from work.credentials where ledger_id = $1 and person_id = $2"
# $1 ledger, $2 person, $3 new password hash, $4 now
REPLACE: Final = """
update work.credentials set password_hash = $3, changed_at = $4 where ledger_id = $1 and person_id = $2
"""

COMMITMENT: Final = b"decision-ledger/credential/v1\x00"


def committed(secret: bytes) -> Digest:
    """Commit to the stored hash of a password or key, or to the secret of a family of refresh tokens.

    SHA-256(COMMITMENT ‖ secret). It tells nothing of it: a password's hash has a salt of its own in it, keys and families
    are 256 random bits.
    """
    return Digest(hashlib.sha256(COMMITMENT + secret).hexdigest())


async def insert(
    conn: Connection, ledger_id: int, person: PersonId, password_hash: str, now: datetime
) -> None:
    """Write a person's first password hash down."""
    await conn.execute(INSERT, ledger_id, person, password_hash, now)


async def read(pool: Pool, ledger_id: int, person: PersonId) -> str | None:
    """Read a person's password hash; ``None``: there is none."""
    async with reading(pool) as conn:
        found: str | None = await conn.fetchval(READ, ledger_id, person)
    return found


async def replace(
    conn: Connection, ledger_id: int, person: PersonId, password_hash: str, now: datetime
) -> None:
    """Write a person's new password hash down."""
    await conn.execute(REPLACE, ledger_id, person, password_hash, now)

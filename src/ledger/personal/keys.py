"""The keys of data subjects: wrapped under a key of the service, one or a few for each subject, none once erased.

Theory. Nothing of a key is held between two calls: whatever opens or seals asks for it, so that a deleted key is gone
for every process at the same moment. A subject may have several keys (two submissions at once, a service whose secret
key was lost): each names itself, and all of them go together.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec
import structlog

from ledger.domain.ids import StreamName, SubjectId, SubjectKeyId
from ledger.identity import sealed as boxes
from ledger.identity.identity import SUBJECT_KEY_PURPOSE, writing
from ledger.identity.keys import Keyring
from ledger.personal.tokens import SubjectKey
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection, reading

log = structlog.get_logger()

# Whoever notes that a decision is about somebody holds their keys until that is committed: an erasure waits, and finds
# it; whoever comes while one is on its way waits for that, and makes a new key.
# $1 ledger, $2 subject
OF_SUBJECT: Final = """
select key_id, subject, wrapped, kek_id from work.subject_keys
where ledger_id = $1 and subject = $2
order by created_at desc, key_id
for key share
"""
# In the order in which they are held.
# $1 ledger, $2 subject
LOCK: Final = """
select key_id from work.subject_keys
where ledger_id = $1 and subject = $2
order by created_at desc, key_id
for update
"""
# $1 ledger, $2 key ids
NAMED: Final = """
select key_id, subject, wrapped, kek_id from work.subject_keys where ledger_id = $1 and key_id = any($2)
"""
# $1 ledger, $2 key ids
THERE: Final = "select key_id from work.subject_keys where ledger_id = $1 and key_id = any($2)"
# $1 ledger, $2 subjects
OF_SUBJECTS: Final = (
    "select key_id, subject from work.subject_keys where ledger_id = $1 and subject = any($2)"
)
# $1 ledger, $2 key id, $3 subject, $4 wrapped, $5 under which key, $6 now
KEEP: Final = """
insert into work.subject_keys (ledger_id, key_id, subject, wrapped, kek_id, created_at)
values ($1, $2, $3, $4, $5, $6)
"""
# $1 ledger, $2 stream, $3 key id, $4 subject
NOTE: Final = """
insert into work.decision_subjects (ledger_id, stream, key_id, subject) values ($1, $2, $3, $4)
on conflict (ledger_id, stream, key_id) do nothing
"""
# $1 ledger, $2 key id
HOLD: Final = "select key_id from work.subject_keys where ledger_id = $1 and key_id = $2 for key share"
# $1 ledger, $2 subject
DELETE: Final = "delete from work.subject_keys where ledger_id = $1 and subject = $2"
# $1 ledger, $2 subject
FORGET: Final = "delete from work.decision_subjects where ledger_id = $1 and subject = $2"
# $1 ledger, $2 ids of the keys they are wrapped under, $3 at most this many
WRAPPED_BY: Final = """
select key_id, subject, wrapped, kek_id from work.subject_keys
where ledger_id = $1 and kek_id = any($2)
order by key_id
limit $3
"""
# $1 ledger, $2 key id, $3 as it was wrapped, $4 wrapped anew, $5 under which key
REWRAP: Final = """
update work.subject_keys set wrapped = $4, kek_id = $5 where ledger_id = $1 and key_id = $2 and wrapped = $3
"""
# $1 ledger
COUNTED: Final = """
select kek_id, count(*) as keys from work.subject_keys where ledger_id = $1 group by kek_id
"""


class KeptKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept; ``key`` is ``None`` where no secret key of this service unwraps it."""

    key_id: SubjectKeyId
    subject: SubjectId
    key: SubjectKey | None


async def key_for(
    ledger: Ledger, keyring: Keyring, subject: SubjectId, *, stream: StreamName, now: datetime
) -> SubjectKey:
    """Give a key of a subject, made if there is none that can be read, and note that a decision is about them.

    Raises:
        Unavailable: the database cannot be reached.
    """
    async with writing(ledger.pool) as conn:
        rows = await conn.fetch(OF_SUBJECT, ledger.ledger_id, subject)
        key = next((kept.key for row in rows if (kept := _kept(row, keyring)).key is not None), None)
        if key is None:
            key = SubjectKey.new()
            wrapped, kek_id = _wrapped(keyring, subject, key), keyring.current.key_id
            await conn.execute(KEEP, ledger.ledger_id, key.key_id, subject, wrapped, kek_id, now)
        await conn.execute(NOTE, ledger.ledger_id, stream, key.key_id, subject)
    return key


async def keys_named(
    ledger: Ledger, keyring: Keyring, ids: Collection[SubjectKeyId]
) -> Mapping[SubjectKeyId, SubjectKey | None]:
    """Look keys up: the erased are missing, those that cannot be unwrapped are ``None``.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    return {kept.key_id: kept.key for kept in await kept_keys(ledger, keyring, ids)}


async def kept_keys(ledger: Ledger, keyring: Keyring, ids: Collection[SubjectKeyId]) -> tuple[KeptKey, ...]:
    """Look keys up with whose they are; the erased are missing.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    if not ids:
        return ()
    async with reading(ledger.pool) as conn:
        rows = await conn.fetch(NAMED, ledger.ledger_id, list(ids))
    return tuple(_kept(row, keyring) for row in rows)


async def which_are_there(
    conn: Connection, ledger_id: int, ids: Collection[SubjectKeyId]
) -> frozenset[SubjectKeyId]:
    """Tell which of these keys have not been erased, whether they can be unwrapped or not."""
    return frozenset(row["key_id"] for row in await conn.fetch(THERE, ledger_id, list(ids)))


async def owners(
    conn: Connection, ledger_id: int, subjects: Collection[SubjectId]
) -> dict[SubjectKeyId, SubjectId]:
    """Name the keys that there are of these subjects, each with whose it is."""
    rows = await conn.fetch(OF_SUBJECTS, ledger_id, list(subjects))
    return {SubjectKeyId(row["key_id"]): SubjectId(row["subject"]) for row in rows}


async def hold(conn: Connection, ledger_id: int, key_id: SubjectKeyId) -> bool:
    """Let a key not be deleted before the caller's transaction has ended; ``False``: it is gone."""
    return await conn.fetchval(HOLD, ledger_id, key_id) is not None


async def lock_keys(conn: Connection, ledger_id: int, subject: SubjectId) -> None:
    """Wait for whoever holds a subject's keys, and let nobody hold them before the caller's transaction has ended."""
    await conn.execute(LOCK, ledger_id, subject)


async def delete_keys(conn: Connection, ledger_id: int, subject: SubjectId) -> int:
    """Erase all that was sealed for a subject, and which decisions were about them; say how many keys are gone.

    What the caller needs to know of those decisions it reads before.
    """
    await conn.execute(FORGET, ledger_id, subject)
    deleted = await conn.execute(DELETE, ledger_id, subject)
    return int(deleted.rpartition(" ")[2])


async def rewrap(ledger: Ledger, keyring: Keyring, *, at_most: int) -> int:
    """Wrap keys that an earlier secret key has wrapped under the current one; say how many.

    Raises:
        Unavailable: the database cannot be reached.
    """
    async with writing(ledger.pool) as conn:
        rows, done = await conn.fetch(WRAPPED_BY, ledger.ledger_id, keyring.previous_ids(), at_most), 0
        for row in rows:
            kept = _kept(row, keyring)
            if kept.key is None:
                log.warning("subject_key.unreadable", key_id=kept.key_id)
                continue
            wrapped = _wrapped(keyring, kept.subject, kept.key)
            await conn.execute(
                REWRAP, ledger.ledger_id, kept.key_id, row["wrapped"], wrapped, keyring.current.key_id
            )
            done += 1
    return done


async def count_unreadable(conn: Connection, ledger_id: int, secret_keys: Sequence[str]) -> int:
    """Count the keys that none of ``secret_keys`` unwraps: what they sealed cannot be read."""
    return await count_unreadable_with(conn, ledger_id, Keyring(secret_keys, SUBJECT_KEY_PURPOSE))


async def count_unreadable_with(conn: Connection, ledger_id: int, keyring: Keyring) -> int:
    """Count the keys that nothing on this ring unwraps."""
    rows = await conn.fetch(COUNTED, ledger_id)
    return sum(int(row["keys"]) for row in rows if keyring.find(row["kek_id"]) is None)


def _wrapped(keyring: Keyring, subject: SubjectId, key: SubjectKey) -> bytes:
    return boxes.seal(keyring, subject, key.secret.hex())


def _kept(row: asyncpg.Record, keyring: Keyring) -> KeptKey:
    """Unwrap a key, and make sure that it is the one it is called."""
    subject, key_id = SubjectId(row["subject"]), SubjectKeyId(row["key_id"])
    secret = boxes.unseal(keyring, subject, row["kek_id"], row["wrapped"])
    key = None if secret is None else SubjectKey(bytes.fromhex(secret))
    return KeptKey(key_id=key_id, subject=subject, key=key if key and key.key_id == key_id else None)

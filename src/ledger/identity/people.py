"""Who people are: the one table that knows names and addresses; the log holds a commitment to each row."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from unicodedata import category, normalize

import asyncpg
import msgspec

from ledger.domain.account.decide import AccountNotFound
from ledger.domain.errors import Invalid
from ledger.domain.ids import Digest, PersonId
from ledger.store.pool import Connection, Pool, reading
from ledger.store.together import Together

ERASED: Final = "erased"
"""Stands for the name of somebody whose row has been deleted."""
SALT_BYTES: Final = 32
UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})

# $1 ledger, $2 person, $3 user name, $4 folded user name, $5 address, $6 full name, $7 salt, $8 now
INSERT: Final = """
insert into work.people (ledger_id, person_id, username, username_folded, email, full_name, salt, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""
# $1 ledger, $2 person, $3 user name, $4 address, $5 full name
COMPLETE: Final = """
update work.people set username = $3, email = $4, full_name = $5 where ledger_id = $1 and person_id = $2
"""
# $1 ledger, $2 folded user name
FIND: Final = """
select person_id, username, email, full_name, salt, created_at
from work.people where ledger_id = $1 and username_folded = $2
"""
# $1 ledger, $2 person
READ: Final = """
select person_id, username, email, full_name, salt, created_at
from work.people where ledger_id = $1 and person_id = $2
"""
# $1 ledger, $2 persons
NAMES: Final = "select person_id, username from work.people where ledger_id = $1 and person_id = any($2)"
# $1 ledger, $2 person ids
THESE: Final = """
select person_id, username, email, full_name, salt, created_at
from work.people where ledger_id = $1 and person_id = any($2)
order by username_folded
"""
# $1 ledger, $2 user name to begin after, $3 at most this many
LIST: Final = """
select person_id, username, email, full_name, salt, created_at
from work.people where ledger_id = $1 and username_folded > $2
order by username_folded limit $3
"""
# $1 ledger, $2 person
HOLD: Final = "select person_id from work.people where ledger_id = $1 and person_id = $2 for key share"
# $1 ledger, $2 folded user names
HOLD_NAMES: Final = """
select username from work.people where ledger_id = $1 and username_folded = any($2) order by person_id for key share
"""
# $1 ledger
ANYBODY: Final = "select exists (select from work.people where ledger_id = $1)"


class UnstorableText(Invalid):
    """The text holds a character that cannot be stored."""

    code = "unstorable-text"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the log commits to."""

    username: str
    email: str
    full_name: str


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A row: who somebody is, and the salt of the commitment to it."""

    person: PersonId
    record: Record
    salt: bytes
    created_at: datetime


def commitment(salt: bytes, record: msgspec.Struct) -> Digest:
    """Commit to a record: SHA-256(salt ‖ canonical JSON), its keys sorted, nothing between them."""
    canonical = msgspec.json.encode(record, order="sorted")
    return Digest(hashlib.sha256(salt + canonical).hexdigest())


def folded(username: str) -> str:
    """Fold a user name as it is compared: compatibility forms and case do not tell people apart (Unicode, D146)."""
    once = normalize("NFKC", normalize("NFD", username).casefold())
    return normalize("NFKC", once.casefold())


def is_storable(text: str) -> bool:
    """Tell whether PostgreSQL takes it: no NUL, no half of a surrogate pair."""
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def holds_unseen(text: str) -> bool:
    """Tell whether a text holds what nobody sees: control and format characters, line and paragraph separators.

    They make one name look like another (Unicode Technical Report 36, section 2).
    """
    if text.isascii() and text.isprintable():  # nearly every name
        return False
    return any(category(character) in UNSEEN for character in text)


def new_salt() -> bytes:
    """Make the salt of one commitment."""
    return secrets.token_bytes(SALT_BYTES)


def check_storable(record: Record) -> None:
    """Refuse what the table cannot hold, before anything is done about it.

    Raises:
        UnstorableText: a field holds NUL or half of a surrogate pair.
    """
    for field, text in (
        ("username", record.username),
        ("email", record.email),
        ("full_name", record.full_name),
    ):
        if not is_storable(text):
            raise UnstorableText(field=field)


async def insert(conn: Connection, ledger_id: int, person: Person) -> None:
    """Write a person down; the name must be nobody else's, which a unique key says."""
    record = person.record
    await conn.execute(
        INSERT,
        ledger_id,
        person.person,
        record.username,
        folded(record.username),
        record.email,
        record.full_name,
        person.salt,
        person.created_at,
    )


async def complete(conn: Connection, ledger_id: int, person: Person) -> None:
    """Write down the whole record of somebody who was known by user name only, and had no account."""
    record = person.record
    await conn.execute(COMPLETE, ledger_id, person.person, record.username, record.email, record.full_name)


async def find(pool: Pool, ledger_id: int, username: str) -> Person | None:
    """Find a person by user name, however it is capitalised; ``None``: nobody has it."""
    if not is_storable(username):
        return None
    async with reading(pool) as conn:
        row = await conn.fetchrow(FIND, ledger_id, folded(username))
    return None if row is None else _person(row)


async def must_find(pool: Pool, ledger_id: int, username: str) -> Person:
    """Find a person by user name.

    Raises:
        AccountNotFound: nobody has it.
    """
    found = await find(pool, ledger_id, username)
    if found is None:
        raise AccountNotFound
    return found


async def read(pool: Pool, ledger_id: int, person: PersonId) -> Person | None:
    """Read a person's row; ``None``: never registered, or erased."""
    async with reading(pool) as conn:
        row = await conn.fetchrow(READ, ledger_id, person)
    return None if row is None else _person(row)


async def names_of(pool: Pool, ledger_id: int, persons: Sequence[PersonId]) -> dict[PersonId, str]:
    """Look up user names, verbatim; who was erased is not in the answer."""
    async with reading(pool) as conn:
        rows = await conn.fetch(NAMES, ledger_id, list(persons))
    return {row["person_id"]: row["username"] for row in rows}


async def read_those(pool: Pool, ledger_id: int, persons: Sequence[PersonId]) -> tuple[Person, ...]:
    """Read the rows of these people, by user name; who was erased is missing."""
    async with reading(pool) as conn:
        return await those(conn, ledger_id, persons)


async def those(conn: Connection, ledger_id: int, persons: Sequence[PersonId]) -> tuple[Person, ...]:
    """As ``read_those``, over a connection of the caller's."""
    rows = await conn.fetch(THESE, ledger_id, list(persons))
    return tuple(_person(row) for row in rows)


def lookups(pool: Pool, ledger_id: int) -> Together[PersonId, str]:
    """Prepare to look user names up together."""
    return Together(lambda persons: names_of(pool, ledger_id, persons))


async def list_people(pool: Pool, ledger_id: int, *, after: str = "", limit: int = 100) -> tuple[Person, ...]:
    """List people by user name, ``limit`` at a time, beginning after the user name ``after``."""
    async with reading(pool) as conn:
        rows = await conn.fetch(LIST, ledger_id, folded(after), limit)
    return tuple(_person(row) for row in rows)


async def hold(conn: Connection, ledger_id: int, person: PersonId) -> bool:
    """Let a person not be erased before the caller's transaction has ended; ``False``: they are not there."""
    return await conn.fetchval(HOLD, ledger_id, person) is not None


async def hold_names(conn: Connection, ledger_id: int, usernames: Sequence[str]) -> frozenset[str]:
    """As ``hold``, of people by user name, for whoever is about to write names down; name those that are there."""
    rows = await conn.fetch(HOLD_NAMES, ledger_id, [folded(username) for username in usernames])
    return frozenset(row["username"] for row in rows)


async def is_anybody_there(pool: Pool, ledger_id: int) -> bool:
    """Tell whether anybody was ever registered and not erased."""
    async with reading(pool) as conn:
        return bool(await conn.fetchval(ANYBODY, ledger_id))


def _person(row: asyncpg.Record) -> Person:
    return Person(
        person=row["person_id"],
        record=Record(username=row["username"], email=row["email"], full_name=row["full_name"]),
        salt=row["salt"],
        created_at=row["created_at"],
    )

"""What is known of a person outside the log, and deleting it: the names, what lets them in, where they came from."""

from typing import Final

from ledger.domain.ids import PersonId
from ledger.domain.subject.events import Removed
from ledger.store.pool import Connection
from ledger.webhooks.naming import unname

# Locked first: whoever writes the name down elsewhere holds the row until that is committed, and is found below.
# $1 ledger, $2 person
LOCK: Final = "select username from work.people where ledger_id = $1 and person_id = $2 for update"
# $1 ledger, $2 person
CREDENTIALS: Final = """
with passwords as (delete from work.credentials where ledger_id = $1 and person_id = $2 returning 1),
     factors as (delete from work.second_factors where ledger_id = $1 and person_id = $2 returning 1),
     codes as (delete from work.backup_codes where ledger_id = $1 and person_id = $2 returning 1),
     keys as (delete from work.api_keys where ledger_id = $1 and person_id = $2 returning 1)
select (select count(*) from passwords) + (select count(*) from factors)
     + (select count(*) from codes) + (select count(*) from keys)
"""
# The log's commitment to address and browser cannot be proven without the salt. Rows of sessions that the log has not
# ended yet stay until it has: the sweep finds those sessions by them.
# $1 ledger, $2 person
SESSIONS: Final = """
with ended as (
    delete from work.sessions where ledger_id = $1 and person_id = $2 and closed_at is not null returning 1
), blanked as (
    update work.sessions set address = '', user_agent = '', salt = ''
    where ledger_id = $1 and person_id = $2 and closed_at is null returning 1
)
select (select count(*) from ended) + (select count(*) from blanked)
"""
# $1 ledger, $2 person
PERSON: Final = "delete from work.people where ledger_id = $1 and person_id = $2"


async def erase(conn: Connection, ledger_id: int, person: PersonId) -> Removed:
    """Delete all that is known of a person, in the caller's transaction; say how much that was.

    Their account must be deactivated, and stay so until this has committed: who is in gets new rows.
    """
    username: str | None = await conn.fetchval(LOCK, ledger_id, person)
    credentials = await conn.fetchval(CREDENTIALS, ledger_id, person)
    sessions = await conn.fetchval(SESSIONS, ledger_id, person)
    messages = 0 if username is None else await unname(conn, ledger_id, username)
    await conn.execute(PERSON, ledger_id, person)
    return Removed(
        names=0 if username is None else 1, credentials=credentials, sessions=sessions, messages=messages
    )

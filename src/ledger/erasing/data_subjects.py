"""What is known of a data subject, and deleting it: the keys of what was sealed, and the files of the decisions."""

from datetime import datetime
from typing import Final

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionSubmitted
from ledger.domain.ids import FIRST_VERSION, StreamName, SubjectId, SubjectKeyId
from ledger.domain.subject.events import Removed
from ledger.personal import keys
from ledger.store import evidence
from ledger.store.pool import Connection
from ledger.store.streams import read_until, recorded

# $1 ledger, $2 subject
KNOWN: Final = """
select exists (select from work.subject_keys where ledger_id = $1 and subject = $2)
    or exists (select from work.decision_subjects where ledger_id = $1 and subject = $2)
"""
# $1 ledger, $2 subject
NOTED: Final = """
select stream, key_id from work.decision_subjects where ledger_id = $1 and subject = $2 order by stream, key_id
"""
# $1 ledger, $2 streams
WITH_FILES: Final = """
select distinct stream from work.evidence where ledger_id = $1 and stream = any($2) and erased_at is null
"""


async def is_known(conn: Connection, ledger_id: int, subject: SubjectId) -> bool:
    """Tell whether anything was ever sealed for this subject, and is not erased."""
    return bool(await conn.fetchval(KNOWN, ledger_id, subject))


async def erase(conn: Connection, ledger_id: int, subject: SubjectId, now: datetime) -> Removed:
    """Delete a subject's keys, and the content of every file of a decision about them, in the caller's transaction.

    The keys first: whoever is just submitting, or attaching a file, holds the key until that is committed, and is found.
    """
    await keys.lock_keys(conn, ledger_id, subject)
    noted = [(row["stream"], row["key_id"]) for row in await conn.fetch(NOTED, ledger_id, subject)]
    gone = await keys.delete_keys(conn, ledger_id, subject)
    rows = await conn.fetch(WITH_FILES, ledger_id, [stream for stream, _ in noted])
    files = {row["stream"] for row in rows}
    streams = [
        stream
        for stream, key_id in noted
        if stream in files and await _is_sealed_under(conn, ledger_id, stream, key_id)
    ]
    return Removed(keys=gone, files=await evidence.erase(conn, ledger_id, streams, now))


async def _is_sealed_under(
    conn: Connection, ledger_id: int, stream: StreamName, key_id: SubjectKeyId
) -> bool:
    """Say whether a decision was submitted about whom this key is of: some rows are of submissions that failed."""
    for stored in await read_until(conn, ledger_id, stream, FIRST_VERSION):
        event = recorded(stored, DECISION.event_types).event
        return isinstance(event, DecisionSubmitted) and event.sealed_under == key_id
    return False

"""What is known of a data subject, and deleting it: the keys of what was sealed, and the files of the decisions."""

from datetime import datetime
from typing import Final

from ledger.domain.ids import SubjectId
from ledger.domain.subject.events import Removed
from ledger.personal import keys
from ledger.store import evidence
from ledger.store.pool import Connection

# $1 ledger, $2 subject
KNOWN: Final = """
select exists (select from work.subject_keys where ledger_id = $1 and subject = $2)
    or exists (select from work.decision_subjects where ledger_id = $1 and subject = $2)
"""
# $1 ledger, $2 subject
HELD_WITH: Final = """
select count(*) from work.subjects s
where s.ledger_id = $1 and s.holds > 0 and s.subject in (
    select other.subject
    from work.decision_subjects its
    join work.decision_subjects other on other.ledger_id = $1 and other.stream = its.stream
    where its.ledger_id = $1 and its.subject = $2 and other.subject <> $2
)
"""


async def is_known(conn: Connection, ledger_id: int, subject: SubjectId) -> bool:
    """Tell whether anything was ever sealed for this subject, and is not erased."""
    return bool(await conn.fetchval(KNOWN, ledger_id, subject))


async def held_with(conn: Connection, ledger_id: int, subject: SubjectId) -> int:
    """Count the subjects under a legal hold who share a decision with this one, and so its files."""
    return int(await conn.fetchval(HELD_WITH, ledger_id, subject))


async def erase(conn: Connection, ledger_id: int, subject: SubjectId, now: datetime) -> Removed:
    """Delete a subject's keys, and the content of every file of a decision that tells of them, in one transaction."""
    streams = await keys.streams_about(conn, ledger_id, subject)
    files = await evidence.erase(conn, ledger_id, streams, now)
    return Removed(keys=await keys.delete_keys(conn, ledger_id, subject), files=files)

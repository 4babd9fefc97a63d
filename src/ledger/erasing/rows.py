"""Where to look for requests and holds: an index over the streams, and what submitters call a data subject."""

from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from ledger.domain.ids import SubjectId
from ledger.domain.subject.commands import Subject
from ledger.domain.subject.events import SubjectKind
from ledger.store.pool import Connection, Pool, reading

# $1 ledger, $2 subject, $3 kind, $4 label
NOTE_REQUEST: Final = """
insert into work.subjects as s (ledger_id, subject, kind, label, is_requested, holds)
values ($1, $2, $3, $4, true, 0)
on conflict on constraint subjects_pkey do update set is_requested = true
"""
# $1 ledger, $2 subject
NOTE_END: Final = "update work.subjects set is_requested = false where ledger_id = $1 and subject = $2"
# $1 ledger, $2 subject, $3 kind, $4 label
NOTE_HOLD: Final = """
insert into work.subjects as s (ledger_id, subject, kind, label, is_requested, holds)
values ($1, $2, $3, $4, false, 1)
on conflict on constraint subjects_pkey do update set holds = s.holds + 1
"""
# $1 ledger, $2 subject
NOTE_LIFT: Final = "update work.subjects set holds = holds - 1 where ledger_id = $1 and subject = $2"
# What a data subject is called is kept for no longer than somebody has to be told it.
# $1 ledger, $2 subject
TIDY: Final = """
delete from work.subjects where ledger_id = $1 and subject = $2 and not is_requested and holds = 0
"""
# $1 ledger, $2 subject
FORGET: Final = "delete from work.subjects where ledger_id = $1 and subject = $2"
# $1 ledger, $2 at most this many
REQUESTED: Final = """
select subject, kind, label from work.subjects where ledger_id = $1 and is_requested order by subject limit $2
"""
# $1 ledger, $2 at most this many
HELD: Final = """
select subject, kind, label from work.subjects where ledger_id = $1 and holds > 0 order by subject limit $2
"""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A subject, and what submitters call it; ``label`` is ``None`` for a person, whose name is looked up."""

    about: Subject
    label: str | None


async def note_request(conn: Connection, ledger_id: int, named: Named) -> None:
    """Note that somebody asks for it, in the transaction that says so."""
    about = named.about
    await conn.execute(NOTE_REQUEST, ledger_id, about.subject, about.kind.value, named.label)


async def note_end(conn: Connection, ledger_id: int, subject: SubjectId) -> None:
    """Note that nobody does any more."""
    await conn.execute(NOTE_END, ledger_id, subject)
    await conn.execute(TIDY, ledger_id, subject)


async def note_hold(conn: Connection, ledger_id: int, named: Named) -> None:
    """Note one more hold."""
    about = named.about
    await conn.execute(NOTE_HOLD, ledger_id, about.subject, about.kind.value, named.label)


async def note_lift(conn: Connection, ledger_id: int, subject: SubjectId) -> None:
    """Note one hold less."""
    await conn.execute(NOTE_LIFT, ledger_id, subject)
    await conn.execute(TIDY, ledger_id, subject)


async def forget(conn: Connection, ledger_id: int, subject: SubjectId) -> None:
    """Forget what a subject is called: it is erased, and never comes again."""
    await conn.execute(FORGET, ledger_id, subject)


async def requested(pool: Pool, ledger_id: int, *, limit: int) -> tuple[Named, ...]:
    """List whose erasure is asked for."""
    async with reading(pool) as conn:
        return _named(await conn.fetch(REQUESTED, ledger_id, limit))


async def held(pool: Pool, ledger_id: int, *, limit: int) -> tuple[Named, ...]:
    """List who is under a legal hold."""
    async with reading(pool) as conn:
        return _named(await conn.fetch(HELD, ledger_id, limit))


def _named(rows: Sequence[asyncpg.Record]) -> tuple[Named, ...]:
    return tuple(
        Named(about=Subject(kind=SubjectKind(row["kind"]), subject=row["subject"]), label=row["label"])
        for row in rows
    )

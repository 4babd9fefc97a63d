"""Finding subjects: a person by user name or, once that is gone, by id; a data subject by what submitters call it.

After a restore nobody may know any more what an erased data subject was called: its id, which the log shows, finds it too.
"""

from collections.abc import Sequence
from typing import assert_never
from uuid import UUID

from ledger.command_handling.facts import state_of
from ledger.domain.ids import PersonId, SubjectId
from ledger.domain.subject.commands import Subject
from ledger.domain.subject.decide import SUBJECT, SubjectNotFound
from ledger.domain.subject.events import ErasureRequested, LegalHoldPlaced, SubjectKind
from ledger.domain.subject.state import SubjectState
from ledger.erasing import data_subjects
from ledger.erasing.rows import Named
from ledger.identity import people
from ledger.store.ledger import Ledger, account_stream, subject_stream
from ledger.store.pool import reading
from ledger.store.streams import Stream, read_stream, read_streams, recorded


async def find(ledger: Ledger, kind: str, name: str) -> Named:
    """Find whom ``kind`` and ``name`` mean.

    A name that is the id of somebody registered means them, whatever anybody else is called. What submitters call a
    data subject means that one, even where it is another one's id.

    Raises:
        SubjectNotFound: there is no such kind, or nothing is known of such a subject.
    """
    match kind:
        case SubjectKind.PERSON.value:
            return await _person(ledger, name)
        case SubjectKind.DATA_SUBJECT.value:
            return await _data_subject(ledger, name)
        case _:
            raise SubjectNotFound


async def states_now(ledger: Ledger, subjects: Sequence[SubjectId]) -> dict[SubjectId, SubjectState]:
    """Say what became of subjects' data, as the log has it."""
    streams = await read_streams(ledger, [subject_stream(subject) for subject in subjects])
    return {subject: state_of(SUBJECT, streams[subject_stream(subject)]) for subject in subjects}


async def is_kept(ledger: Ledger, about: Subject) -> bool:
    """Tell whether anything is kept of a subject at this moment."""
    match about.kind:
        case SubjectKind.PERSON:
            return await people.read(ledger.pool, ledger.ledger_id, PersonId(about.subject)) is not None
        case SubjectKind.DATA_SUBJECT:
            async with reading(ledger.pool) as conn:
                return await data_subjects.is_known(conn, ledger.ledger_id, about.subject)
        case _:
            assert_never(about.kind)


async def _person(ledger: Ledger, name: str) -> Named:
    person = await _by_id(ledger, name)
    if person is None:
        found = await people.find(ledger.pool, ledger.ledger_id, name)
        person = None if found is None else found.person
    if person is None:
        raise SubjectNotFound
    return Named(about=Subject(kind=SubjectKind.PERSON, subject=SubjectId(person)), label=None)


async def _by_id(ledger: Ledger, name: str) -> PersonId | None:
    subject = _id_in(name)
    if subject is None:
        return None
    person, stream = PersonId(subject), subject_stream(subject)
    account = account_stream(person)
    streams = await read_streams(ledger, [account, stream])
    return person if streams[account].events or _is_of(SubjectKind.PERSON, streams[stream]) else None


def _id_in(name: str) -> SubjectId | None:
    try:
        return SubjectId(UUID(name))
    except ValueError:
        return None


def _is_of(kind: SubjectKind, stream: Stream) -> bool:
    """Say whether a subject's history is of this kind: the log shows ids of both, and one kind's are never the other's."""
    events = (recorded(stored, SUBJECT.event_types).event for stored in stream.events)
    kinds = {event.kind for event in events if isinstance(event, ErasureRequested | LegalHoldPlaced)}
    return kinds == {kind}


async def _data_subject(ledger: Ledger, name: str) -> Named:
    if not people.is_storable(name):
        raise SubjectNotFound
    for subject in filter(None, (ledger.data_subject(name), _id_in(name))):
        about = Subject(kind=SubjectKind.DATA_SUBJECT, subject=subject)
        if await is_kept(ledger, about):
            return Named(about=about, label=name)
        if _is_of(about.kind, await read_stream(ledger, subject_stream(subject))):
            return Named(about=about, label=name)
    raise SubjectNotFound

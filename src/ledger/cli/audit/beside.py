"""What a database keeps beside its log, held against it page by page: names of people, keys of data subjects, files."""

from uuid import UUID

from ledger.domain.ids import EvidenceId, PersonId, StreamName, SubjectId, SubjectKeyId
from ledger.identity.people import those
from ledger.personal.keys import owners, which_are_there
from ledger.store.evidence import digest_of, is_there
from ledger.store.pool import Connection
from ledger.store.streams import read_first_payload
from ledger.verifier.beside import Attached, Beside, FileFound, key_of
from ledger.verifier.disclosed import name_digest
from ledger.verifier.report import Report


async def compare_page(conn: Connection, ledger_id: int, beside: Beside, report: Report) -> None:
    """Look up what the page names, and write down what does not fit."""
    if beside.files:
        found = {file: await _found(conn, ledger_id, file, at) for file, at in beside.files.items()}
        for differs in beside.compare_files(found):
            report.found_wrong(differs)
    if not beside.persons and not beside.keys:
        return
    names = {
        str(one.person): name_digest(
            username=one.record.username,
            email=one.record.email,
            full_name=one.record.full_name,
            salt=one.salt,
        )
        for one in await those(conn, ledger_id, [PersonId(UUID(person)) for person in beside.persons])
    }
    keys = await which_are_there(conn, ledger_id, [SubjectKeyId(key) for key in beside.keys])
    for wrong in beside.compare(names, keys):
        report.found_wrong(wrong)


async def _found(conn: Connection, ledger_id: int, file: str, attached: Attached) -> FileFound | None:
    """Hash a file's content; of one that is just being erased there is none, rather than a part."""
    evidence = EvidenceId(UUID(file))
    digest = await digest_of(conn, ledger_id, evidence)
    if digest is None or not await is_there(conn, ledger_id, evidence):
        return None
    submission = await read_first_payload(conn, ledger_id, StreamName(attached.stream))
    return FileFound(digest, None if submission is None else key_of(submission))


async def finish(conn: Connection, ledger_id: int, beside: Beside, report: Report) -> None:
    """Write down what was erased and is there, and what is not there and was not erased."""
    erased = [UUID(subject) for subject in beside.erased]
    names = {str(one.person) for one in await those(conn, ledger_id, [PersonId(one) for one in erased])}
    keys = await owners(conn, ledger_id, [SubjectId(one) for one in erased])
    for wrong in beside.still_there(names, {key: str(subject) for key, subject in keys.items()}):
        report.found_wrong(wrong)
    suspects = [file for file in beside.suspects() if await is_there(conn, ledger_id, EvidenceId(UUID(file)))]
    for wrong in beside.files_still_there(suspects):
        report.found_wrong(wrong)
    for what in beside.missing():
        report.lacks(what)
    report.kept = beside.counted

"""What a database keeps beside its log, changed by its own superuser: names of people, keys of data subjects, files.

Every attack happens in a transaction that also verifies, and is rolled back: one application serves them all.
"""

from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
import pytest_asyncio

from ledger.cli.audit.database import verify_ledger
from ledger.store.pool import DirectConnection
from ledger.verifier.beside import Kept
from ledger.verifier.report import Report
from ledger.verifier.verdict import Verdict
from tests.api.answers import together
from tests.api.conftest import desk, shared
from tests.support.desk import Desk
from tests.support.sealed import Office, attach, payload

__all__ = ["desk", "shared"]

NO_POLICY = [
    "a policy: nobody looked whose signature the checkpoint bears",
    "a checkpoint: nothing was sealed yet",
]
BASIS = {"basis": "objection", "reason": "ticket 18"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(desk: Desk) -> Office:
    """People, and items about three data subjects, one of whom was erased and came again; a person was erased too."""
    found = Office(desk)
    await found.open()
    for name in ("one", "two", "three"):
        await found.submit(f"B-{name}", payload("Ann", name))
        assert (await attach(desk, "engine", f"B-{name}", "note.txt")).status_code == 200
    for path in ("data_subject/three", "person/sam"):
        await erased(desk, path)
    await found.submit("B-again", payload("Ann", "three"))
    return found


async def erased(desk: Desk, path: str) -> None:
    if path.startswith("person/"):
        await posted(desk, "admin", f"auth/users/{path.partition('/')[2]}/deactivate", {"reason": "left"})
    await posted(desk, "admin", f"subjects/{path}/erasure", BASIS)
    await posted(desk, "ada", f"subjects/{path}/erasure/approve")


async def posted(desk: Desk, who: str, path: str, body: object = None) -> httpx.Response:
    answer = await desk.api.client.post(f"/api/{path}", headers=desk.people[who].headers, json=body)
    assert answer.status_code == 200, answer.text
    return answer


@pytest_asyncio.fixture(loop_scope="module")
async def superuser(office: Office) -> AsyncIterator[DirectConnection]:
    conn = await asyncpg.connect(office.ledger.url)
    transaction = conn.transaction()
    await transaction.start()
    yield conn
    await transaction.rollback()
    await conn.close()


async def verified(superuser: DirectConnection) -> Report:
    return await verify_ledger(superuser, 1, None)


@together
async def test_an_honest_database_has_all_names_and_keys_but_the_erased(superuser: DirectConnection):
    report = await verified(superuser)

    assert (report.verdict, report.found) == (Verdict.INCOMPLETE, [])
    assert set(report.missing) <= set(NO_POLICY)
    assert report.kept == Kept(names=7, names_erased=1, keys=3, keys_erased=1, files=2, files_erased=1)


@together
@pytest.mark.parametrize(
    "change",
    ["full_name = 'Somebody'", "username = 'ben2'", "email = 'x@example.org'", "salt = sha256(salt)"],
)
async def test_a_name_that_the_log_does_not_commit_to_is_located(change: str, superuser: DirectConnection):
    person = await superuser.fetchval("select person_id from work.people where username = 'ana'")
    await superuser.execute(f"update work.people set {change} where username = 'ana'")  # noqa: S608

    report = await verified(superuser)

    assert (report.verdict, [one.code for one in report.found]) == (Verdict.TAMPERED, ["person-differs"])
    assert report.found[0].facts["person"] == str(person)
    position, stream = report.found[0].facts["position"], report.found[0].facts["stream"]
    row = await superuser.fetchrow("select stream, type from ledger.events where position = $1", position)
    assert (row["stream"], row["type"]) == (stream, "account-registered")


@together
async def test_two_people_who_changed_names_are_located(superuser: DirectConnection):
    """Everything that one of them decided would read as the other's."""
    await superuser.execute(
        "create temp table swapped on commit drop as select * from work.people where username in ('ana', 'ben')"
    )
    await superuser.execute(
        "update work.people set username_folded = username_folded || '?' where username in ('ana', 'ben')"
    )
    await superuser.execute(
        "update work.people p set username = s.username, username_folded = s.username_folded, email = s.email,"
        " full_name = s.full_name, salt = s.salt from swapped s where p.username <> s.username and p.username in ('ana', 'ben')"
    )

    assert [one.code for one in (await verified(superuser)).found] == ["person-differs", "person-differs"]


@together
async def test_a_name_that_is_gone_without_an_erasure_is_missing(superuser: DirectConnection):
    await superuser.execute("delete from work.people where username = 'ana'")

    report = await verified(superuser)

    assert report.verdict is Verdict.INCOMPLETE
    (said,) = set(report.missing) - set(NO_POLICY)
    assert said.startswith("names of 1 people, registered at positions ")


@together
async def test_a_key_that_is_gone_without_an_erasure_is_missing(superuser: DirectConnection):
    """Nobody asked for it, nobody approved it; readers are told that it was erased."""
    await superuser.execute(
        "delete from work.subject_keys where key_id = (select min(key_id) from work.subject_keys)"
    )

    report = await verified(superuser)

    assert "1 keys of sealed values: nothing in the log says that they were erased" in report.missing
    assert report.kept is not None
    assert report.kept.keys == 2


@together
async def test_the_names_of_somebody_erased_that_were_put_back_are_found(
    superuser: DirectConnection, office: Office
):
    sam = office.desk.people["sam"].person
    await superuser.execute(
        "insert into work.people select ledger_id, $1, 'sam', 'sam', email, full_name, salt, created_at from work.people"
        " where username = 'ana'",
        sam,
    )

    report = await verified(superuser)

    assert [one.code for one in report.found] == ["person-differs", "erased-still-there"]
    assert report.found[1].facts["what"] == "names"
    assert report.found[1].facts["subject"] == str(sam)


@together
async def test_a_key_of_somebody_erased_that_was_put_back_is_found(superuser: DirectConnection):
    """Under the name of the key that their first submission was sealed with."""
    named = await superuser.fetchval(
        "select substring(convert_from(payload, 'UTF8') from 'sealed:v1:([A-Za-z0-9_-]{43})') from ledger.events"
        " where type = 'decision-submitted' order by position offset 2 limit 1"
    )
    await superuser.execute(
        "insert into work.subject_keys select ledger_id, $1, subject, wrapped, kek_id, created_at from work.subject_keys"
        " where subject = (select subject from work.subject_keys order by created_at desc limit 1)",
        named,
    )

    report = await verified(superuser)

    assert (report.verdict, [one.code for one in report.found]) == (Verdict.TAMPERED, ["erased-still-there"])
    assert report.found[0].facts["what"] == "keys"


@together
async def test_a_file_that_was_changed_is_located(superuser: DirectConnection):
    await superuser.execute("update work.evidence_chunks set content = 'b note'")

    report = await verified(superuser)

    assert [one.code for one in report.found] == ["file-differs", "file-differs"]
    event = await superuser.fetchrow(
        "select position, stream from ledger.events where type = 'evidence-attached' order by position limit 1"
    )
    assert (report.found[0].facts["position"], report.found[0].facts["stream"]) == tuple(event)


@together
async def test_a_file_that_is_gone_without_an_erasure_is_missing(superuser: DirectConnection):
    """Marked as erased, too: whoever asks for it is told that personal data was in it."""
    await superuser.execute("update work.evidence set erased_at = now()")
    await superuser.execute("delete from work.evidence_chunks")

    report = await verified(superuser)

    (said,) = set(report.missing) - set(NO_POLICY)
    assert said.startswith("the content of 2 files ")


@together
@pytest.mark.parametrize("content", ["a note", "another"])
async def test_a_file_of_somebody_erased_that_was_put_back_is_found(
    content: str, superuser: DirectConnection
):
    """With its own content or another, and while a file of somebody else is gone, which evens out the counts."""
    back = await superuser.fetchrow(
        "update work.evidence set erased_at = null where erased_at is not null returning evidence_id, stream"
    )
    await superuser.execute(
        "delete from work.evidence_chunks where ctid = (select min(ctid) from work.evidence_chunks)"
    )
    await superuser.execute(
        "insert into work.evidence_chunks values (1, $1, 0, $2)", back["evidence_id"], content.encode()
    )

    found = [one for one in (await verified(superuser)).found if one.code == "erased-still-there"]

    assert [(one.facts["what"], one.facts["evidence"], one.facts["stream"]) for one in found] == [
        ("files", str(back["evidence_id"]), back["stream"])
    ]

"""Erasing a data subject: what was sealed opens for nobody, their files are gone, and what others have stays."""

import asyncio
import hashlib
import json
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from ledger.command_handling.context import CommandContext
from ledger.command_handling.handler import of_nobody, rehearse
from ledger.domain.decision.decide import DECISION
from ledger.domain.ids import DecisionId, Position
from ledger.erasing import data_subjects
from ledger.personal import keys
from ledger.personal.covering import Covering, SubjectErased
from ledger.sealing.proofs import proof_of
from ledger.store.envelope import open_envelope
from ledger.verifier.policy import parse_policy
from ledger.verifier.proofs import check_proof, parse_proof
from tests.api.answers import assert_refused, together
from tests.builders.workflow_commands import attach_evidence
from tests.support.desk import Desk
from tests.support.sealed import Office, attach, corners_with, payload
from tests.support.sealing import keyring_in, sealed_in

pytestmark = together

SECRET = "Zebulon-Quill"
BASIS = {"basis": "objection", "reason": "ticket 18"}
WHY = {"reason": "case 2041"}
STORED = "select position, envelope, salt, payload from ledger.events where stream = $1 and version = 1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(desk: Desk) -> Office:
    found = Office(desk)
    await found.open()
    return found


async def post(office: Office, who: str, path: str, body: object = None) -> httpx.Response:
    return await office.desk.api.client.post(
        f"/api/subjects/data_subject/{path}", headers=office.desk.people[who].headers, json=body
    )


async def told(office: Office, path: str) -> dict:
    answer = await office.desk.api.client.get(
        f"/api/subjects/data_subject/{path}", headers=office.desk.people["admin"].headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def erased(office: Office, path: str) -> None:
    for who, act, body in (("admin", "erasure", BASIS), ("ada", "erasure/approve", None)):
        answer = await post(office, who, f"{path}/{act}", body)
        assert answer.status_code == 200, answer.text


async def file_of(office: Office, one: str, name: str = "note.txt") -> str:
    answer = await attach(office.desk, "engine", one, name)
    assert answer.status_code == 200, answer.text
    return answer.json()["evidence_id"]


async def test_what_was_sealed_opens_for_nobody_and_no_row_says_whose_it_was(office: Office):
    await office.submit("DS-1", payload(SECRET, "customer-seven"))
    assert SECRET in await office.told("DS-1")
    log = await office.log_of("DS-1")

    await erased(office, "customer-seven")

    shown = await office.told("DS-1")
    assert SECRET not in shown
    assert '"erased"' in shown
    assert await office.log_of("DS-1") == log
    assert await corners_with(office.ledger, "customer-seven") == set()
    now = await told(office, "customer-seven")
    assert (now["state"], now["subject"], now["erasure"]["removed"]) == ("erased", "erased", {"keys": 1})


async def test_while_it_is_asked_for_administrators_see_whom_it_is_about(office: Office):
    await office.submit("DS-2", payload(SECRET, "customer-eight"))
    assert (await post(office, "admin", "customer-eight/erasure", BASIS)).status_code == 200

    answer = await office.desk.api.client.get(
        "/api/subjects/erasures", headers=office.desk.people["ada"].headers
    )
    assert ("data_subject", "customer-eight") in {(one["kind"], one["subject"]) for one in answer.json()}
    hold = await post(office, "ada", "customer-eight/holds", WHY)
    refused = await post(office, "ada", "customer-eight/erasure/approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "legal-hold")
    assert SECRET in await office.told("DS-2")
    lift = f"customer-eight/holds/{hold.json()['hold_id']}/lift"
    assert (await post(office, "ada", lift, WHY)).status_code == 200
    assert (await post(office, "ada", "customer-eight/erasure/approve")).status_code == 200


async def test_what_they_are_called_is_noted_for_as_long_as_somebody_asks_or_holds(office: Office):
    path, noted = "customer-twenty", "select count(*) from work.subjects where label = 'customer-twenty'"
    await office.submit("DS-20", payload(SECRET, path))
    hold = (await post(office, "ada", f"{path}/holds", WHY)).json()["hold_id"]
    await post(office, "admin", f"{path}/erasure", BASIS)
    await post(office, "admin", f"{path}/erasure/withdraw", WHY)
    assert await office.ledger.pool.fetchval(noted) == 1
    await post(office, "ada", f"{path}/holds/{hold}/lift", WHY)
    assert await office.ledger.pool.fetchval(noted) == 0
    await post(office, "admin", f"{path}/erasure", BASIS)
    assert await office.ledger.pool.fetchval(noted) == 1

    await post(office, "ada", f"{path}/erasure/refuse", WHY)

    assert await office.ledger.pool.fetchval(noted) == 0
    assert (await told(office, path))["state"] == "kept"


async def test_files_of_their_decisions_are_gone_and_say_so(office: Office):
    await office.submit("DS-3", payload(SECRET, "customer-nine"))
    await office.submit("DS-4", payload(SECRET, "customer-ten"))
    theirs, others = await file_of(office, "DS-3"), await file_of(office, "DS-4")

    await erased(office, "customer-nine")

    refused = await office.desk.get("admin", f"DS-3/evidence/{theirs}")
    assert_refused(refused, 410)
    assert refused.json()["code"] == "evidence-erased"
    (listed,) = (await office.desk.get("admin", "DS-3/evidence")).json()
    assert (listed["evidence_id"], listed["is_erased"], listed["name"]) == (theirs, True, "erased")
    assert (await told(office, "customer-nine"))["erasure"]["removed"] == {"keys": 1, "files": 1}
    kept = await office.desk.get("admin", f"DS-4/evidence/{others}")
    assert (kept.status_code, kept.content) == (200, b"a note")
    assert "is_erased" not in (await office.desk.get("admin", "DS-4/evidence")).json()[0]


async def test_nothing_is_attached_to_a_decision_about_somebody_erased(office: Office):
    other = Office(office.desk, kind="loan_alone")
    await other.open(personal=["/applicant"], subject=None)
    await other.submit("DS-5", payload(SECRET))
    await erased(office, "decision~1DS-5")

    refused = await attach(office.desk, "engine", "DS-5", "note.txt")

    assert (refused.status_code, refused.json()["code"]) == (409, "subject-erased")
    stream = office.ledger.decision_stream(DecisionId("DS-5"))
    with pytest.raises(SubjectErased):  # before a file is read
        await rehearse(
            office.ledger,
            CommandContext(
                decider=DECISION,
                target=stream,
                clock=office.desk.now,
                provenance=of_nobody(),
                cover=Covering(office.desk.api.services.identity, stream),
            ),
            lambda facts: attach_evidence(now=facts.now),
        )


async def test_a_file_that_is_just_attached_is_erased_with_the_rest(office: Office):
    """Whoever attaches holds the key, so that the erasure waits for the file and finds it."""
    await office.submit("DS-6", payload(SECRET, "customer-eleven"))
    stream = office.ledger.decision_stream(DecisionId("DS-6"))
    async with office.ledger.pool.acquire() as conn:
        key_id = await conn.fetchval("select key_id from work.decision_subjects where stream = $1", stream)
        async with conn.transaction():
            assert await keys.hold(conn, office.ledger.ledger_id, key_id)
            erasing = asyncio.create_task(erased(office, "customer-eleven"))
            done, _ = await asyncio.wait([erasing], timeout=0.5)
            assert not done
            await conn.execute(
                "insert into work.evidence (ledger_id, evidence_id, stream, size, sha256, stored_at) "
                "values ($1, gen_random_uuid(), $2, 1, '', now())",
                office.ledger.ledger_id,
                stream,
            )
        await erasing
        assert not await keys.hold(conn, office.ledger.ledger_id, key_id)

    assert (await told(office, "customer-eleven"))["erasure"]["removed"] == {"keys": 1, "files": 1}


async def test_a_file_that_comes_while_its_subject_is_erased_waits_and_is_refused(office: Office):
    await office.submit("DS-13", payload(SECRET, "customer-seventeen"))
    ledger = office.ledger
    subject = ledger.data_subject("customer-seventeen")
    async with ledger.pool.acquire() as conn:
        async with conn.transaction():
            await data_subjects.erase(conn, ledger.ledger_id, subject, office.desk.now())
            attaching = asyncio.create_task(attach(office.desk, "engine", "DS-13", "note.txt"))
            done, _ = await asyncio.wait([attaching], timeout=0.5)
        refused = await attaching

    assert not done
    assert (refused.status_code, refused.json()["code"]) == (409, "subject-erased")
    assert json.loads(await office.told("DS-13/evidence")) == []


async def test_items_may_tell_of_them_again_and_that_is_erased_again(office: Office):
    await office.submit("DS-7", payload(SECRET, "customer-twelve"))
    await erased(office, "customer-twelve")
    refused = await post(office, "admin", "customer-twelve/erasure", BASIS)
    assert (refused.status_code, refused.json()["code"]) == (409, "already-erased")

    await office.submit("DS-8", payload(SECRET, "customer-twelve"))
    assert SECRET in await office.told("DS-8")
    assert SECRET not in await office.told("DS-7")
    await erased(office, "customer-twelve")

    assert SECRET not in await office.told("DS-8")


async def test_names_with_slashes_and_tildes_are_written_as_in_json_pointers(office: Office):
    await office.submit("DS-9", payload(SECRET, "a/b~c"))

    assert (await told(office, "a~1b~0c"))["subject"] == "a/b~c"
    await erased(office, "a~1b~0c")

    assert SECRET not in await office.told("DS-9")


async def test_the_id_of_a_data_subject_names_no_person(office: Office):
    """Else an erasure could be approved by which nothing goes, and the log would say that all is gone."""
    await office.submit("DS-14", payload(SECRET, "customer-eighteen"))
    subject = office.ledger.data_subject("customer-eighteen")
    assert (await post(office, "admin", "customer-eighteen/erasure", BASIS)).status_code == 200

    answer = await office.desk.api.client.post(
        f"/api/subjects/person/{subject}/erasure/approve", headers=office.desk.people["ada"].headers
    )

    assert_refused(answer, 404)
    assert SECRET in await office.told("DS-14")
    assert (await told(office, "customer-eighteen"))["state"] == "requested"
    await post(office, "ada", "customer-eighteen/erasure/refuse", WHY)


async def test_what_a_restore_brings_back_is_erased_again_by_the_id_that_the_log_has(office: Office):
    """What they were called went with the erasure: the later events, of an export, have the id alone."""
    await office.submit("DS-21", payload(SECRET, "customer-twenty-two"))
    pool, subject = office.ledger.pool, office.ledger.data_subject("customer-twenty-two")
    row = await pool.fetchrow("select * from work.subject_keys where subject = $1", subject)
    await erased(office, "customer-twenty-two")
    await pool.execute(
        "insert into work.subject_keys (ledger_id, key_id, subject, wrapped, kek_id, created_at) "
        "values ($1, $2, $3, $4, $5, $6)",
        *row,
    )
    assert SECRET in await office.told("DS-21")

    await erased(office, str(subject))

    assert SECRET not in await office.told("DS-21")
    now = await told(office, str(subject))
    assert (now["state"], now["subject"], now["erasure"]["removed"]) == ("erased", "erased", {"keys": 1})


async def test_a_data_subject_that_is_called_by_anothers_id_is_the_one_that_is_meant(office: Office):
    await office.submit("DS-22", payload(SECRET, "customer-twenty-three"))
    other = str(office.ledger.data_subject("customer-twenty-three"))
    await office.submit("DS-23", payload(SECRET, other))

    await erased(office, other)

    assert SECRET not in await office.told("DS-23")
    assert SECRET in await office.told("DS-22")


async def test_the_id_of_a_person_names_no_data_subject(office: Office):
    person = office.desk.people["sam"].person
    answer = await office.desk.api.client.post(
        "/api/subjects/person/sam/holds", headers=office.desk.people["admin"].headers, json=WHY
    )
    assert answer.status_code == 200, answer.text

    assert_refused(await post(office, "admin", f"{person}/erasure", BASIS), 404)


async def test_no_row_is_left_of_a_submission_that_comes_while_its_subject_is_erased(office: Office):
    await office.submit("DS-15", payload(SECRET, "customer-nineteen"))
    ledger, stream = office.ledger, office.ledger.decision_stream(DecisionId("DS-16"))
    subject = ledger.data_subject("customer-nineteen")
    before = await ledger.pool.fetchval("select key_id from work.subject_keys where subject = $1", subject)
    async with ledger.pool.acquire() as conn:
        async with conn.transaction():
            await data_subjects.erase(conn, ledger.ledger_id, subject, office.desk.now())
            keyring = office.desk.api.services.identity.subject_keys
            coming = asyncio.create_task(
                keys.key_for(ledger, keyring, subject, stream=stream, now=office.desk.now())
            )
            await asyncio.wait([coming], timeout=0.5)
        key = await coming

    assert key.key_id != before
    rows = await ledger.pool.fetch("select key_id from work.decision_subjects where subject = $1", subject)
    assert [row["key_id"] for row in rows] == [key.key_id]


async def test_a_submission_that_is_just_noted_is_forgotten_with_the_rest(office: Office):
    await office.submit("DS-17", payload(SECRET, "customer-twenty-one"))
    ledger, stream = office.ledger, office.ledger.decision_stream(DecisionId("DS-18"))
    subject = ledger.data_subject("customer-twenty-one")
    async with ledger.pool.acquire() as conn:
        async with conn.transaction():
            (key, *_) = await conn.fetch(keys.OF_SUBJECT, ledger.ledger_id, subject)
            erasing = asyncio.create_task(erased(office, "customer-twenty-one"))
            await asyncio.wait([erasing], timeout=0.5)
            await conn.execute(keys.NOTE, ledger.ledger_id, stream, key["key_id"], subject)
        await erasing

    noted = "select count(*) from work.decision_subjects where subject = $1"
    assert await ledger.pool.fetchval(noted, subject) == 0


async def test_a_rejected_submission_takes_no_file_of_anothers_decision_along(office: Office):
    """A row may say that a decision is about somebody whom it is not: what was submitted says who it is about."""
    await office.submit("DS-10", payload(SECRET, "customer-fourteen"))
    file = await file_of(office, "DS-10")
    ledger = office.ledger
    await office.submit("DS-11", payload(SECRET, "customer-fifteen"))
    await ledger.pool.execute(
        "insert into work.decision_subjects (ledger_id, stream, key_id, subject) "
        "select ledger_id, $1, key_id, subject from work.decision_subjects where stream = $2",
        ledger.decision_stream(DecisionId("DS-10")),
        ledger.decision_stream(DecisionId("DS-11")),
    )

    await erased(office, "customer-fifteen")

    assert (await office.desk.get("admin", f"DS-10/evidence/{file}")).status_code == 200


async def test_proofs_of_before_and_after_hold_for_bytes_that_nobody_can_open_any_more(
    office: Office, tmp_path: Path
):
    ledger = office.ledger
    await office.submit("DS-12", payload(SECRET, "customer-sixteen"))
    stream = ledger.decision_stream(DecisionId("DS-12"))
    position, *before = await ledger.pool.fetchrow(STORED, stream)
    await sealed_in(ledger, tmp_path)
    first = await proof_of(ledger, Position(position))

    await erased(office, "customer-sixteen")

    await sealed_in(ledger, tmp_path)
    second = await proof_of(ledger, Position(position))
    _, *after = await ledger.pool.fetchrow(STORED, stream)
    assert after == before
    envelope, salt, stored = after
    (signer,) = keyring_in(ledger, tmp_path).signers()
    policy = parse_policy(f"log {signer.vkey}\nquorum none\n".encode())
    sizes = [
        check_proof(parse_proof(text.encode()), envelope, policy).checkpoint.size for text in (first, second)
    ]
    assert sizes[0] < sizes[1]
    assert hashlib.sha256(salt + stored).hexdigest() == open_envelope(envelope).data
    assert SECRET not in await office.opened_log_of("DS-12")

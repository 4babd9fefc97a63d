"""After the keys of somebody are gone: erased in every place and on every instance, and not one stored byte is another."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio

from ledger.domain.decision.personal import ERASED
from ledger.identity import people
from ledger.identity.identity import Identity
from ledger.personal.opening import opened_json
from ledger.projections.catalog import ALL
from ledger.projections.verifying import verify
from ledger.sealing.patrol import Patrol
from ledger.store.envelope import open_envelope
from ledger.store.streams import load_streams, read_stream
from tests.api.answers import assert_refused, together
from tests.support.asking import Statements
from tests.support.databases import Cluster
from tests.support.desk import Desk
from tests.support.http import ADMIN, Api, cheap_passwords, serving, submission
from tests.support.sealed import Office, attach, corners_with, payload
from tests.support.sealing import sealed_in

pytestmark = together

SECRET = "Zebulon-Quill"
GONE = {"applicant": "erased", "amount": 1200, "age": "erased"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def instances(postgres: Cluster) -> AsyncIterator[tuple[Api, Api]]:
    """Two instances of the application over one database."""
    async with postgres.fresh() as database, AsyncExitStack() as stack:
        first = await stack.enter_async_context(serving(database, passwords=cheap_passwords()))
        second = await stack.enter_async_context(serving(database, passwords=cheap_passwords()))
        first.ledger.snapshots._every = 1
        yield first, second


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(instances: tuple[Api, Api]) -> Office:
    desk = Desk(instances[0])
    for name, role in ((ADMIN, "admin"), ("ada", "admin"), ("engine", "service"), ("ana", "analyst")):
        await desk.seat(name, role)
    found = Office(desk)
    await found.open()
    return found


async def erase(office: Office, name: str) -> None:
    assert await office.erase(office.ledger.data_subject(name)) == 1


async def stored_bytes(office: Office, *analysis_ids: str) -> list[tuple[bytes, bytes]]:
    found = list[tuple[bytes, bytes]]()
    for one in analysis_ids:
        stored = (await read_stream(office.ledger, office.desk.stream(one))).events
        found += [(event.envelope or b"", event.payload or b"") for event in stored]
    return found


async def test_it_is_erased_in_every_place_on_every_instance_at_once(
    office: Office, instances: tuple[Api, Api]
) -> None:
    one, second = "everywhere", instances[1]
    await office.submit(one, payload(SECRET, subject="everywhere"))
    lease = (await office.claimed(one))["lease"]["lease_id"]
    await office.done("ana", f"{one}/request-information", {"lease_id": lease, "question": f"{SECRET}?"})
    await office.done("engine", f"{one}/provide-information", {"answer": f"yes, {SECRET}"})
    await office.done("engine", f"{one}/comment", {"text": SECRET})
    assert (await attach(office.desk, "ana", one, f"{SECRET}.txt")).status_code == 200
    verdict = {
        "decision_id": one,
        "status": "approved",
        "approved_actions": ["custom"],
        "notes": SECRET,
    }
    await office.done("ana", f"{one}/decide", verdict)
    before = await stored_bytes(office, one)
    headers = await second.login()

    async def read() -> list[str]:
        paths = ("", "/response", "/comments", "/evidence")
        answers = [await second.client.get(f"/api/decisions/{one}{path}", headers=headers) for path in paths]
        told = await second.client.get(f"/api/audit/decisions/{one}/timeline", headers=headers)
        events = [
            await second.client.get(f"/api/audit/events?decision={one}&form=current{kind}", headers=headers)
            for kind in ("", "&format=ndjson", "&format=csv")
        ]
        return [answer.text for answer in (*answers, told, *events)]

    assert all(SECRET in told for told in await read())
    await erase(office, "everywhere")

    for told in await read():
        assert SECRET not in told
        assert ERASED in told
        assert "⟦" not in told
    item = json.loads(await office.told(one))
    assert (item["payload"], item["votes"][0]["notes"]) == (GONE, ERASED)
    assert await stored_bytes(office, one) == before
    assert await corners_with(office.ledger, SECRET) == set()


async def test_what_is_stored_stays_sealed_in_the_history(office: Office) -> None:
    one = "as-stored"
    await office.submit(one, payload(SECRET, subject="as-stored"))

    client, headers = office.desk.api.client, office.desk.people["admin"].headers
    told = await client.get(f"/api/audit/events?decision={one}&form=both", headers=headers)

    event = told.json()["events"][0]
    assert "⟦sealed:v1:" in event["payload"]["item"]["payload"]
    assert json.loads(event["current"]["payload"]["item"]["payload"])["applicant"]["name"] == SECRET


async def test_read_models_folded_anew_are_the_same_rows(office: Office) -> None:
    await office.submit("folded", payload(subject="folded"))
    await office.done("engine", "folded/comment", {"text": SECRET})
    await erase(office, "folded")

    for feed in ALL:
        assert (await verify(office.ledger.url, office.ledger.ledger_id, feed)).is_clean()


async def test_a_snapshot_holds_tokens_and_goes_on_holding_them(office: Office) -> None:
    one = "snapshot"
    await office.submit(one, payload(SECRET, subject="snapshot"))
    await office.done("engine", f"{one}/comment", {"text": "a word"})
    await office.ledger.snapshots.stop()
    office.ledger.snapshots.start()

    stream = office.desk.stream(one)
    loaded = (await load_streams(office.ledger, [stream]))[stream]
    assert loaded.snapshot is not None
    assert b"sealed:v1:" in loaded.snapshot.state
    assert SECRET.encode() not in loaded.snapshot.state
    await erase(office, "snapshot")
    await office.done("engine", f"{one}/withdraw")
    assert (await office.desk.events(one))[-1].reason == ""


async def test_nothing_personal_is_added_to_what_was_erased(office: Office) -> None:
    one = "refused"
    await office.submit(one, payload(subject="refused"))
    lease = (await office.claimed(one))["lease"]["lease_id"]
    await erase(office, "refused")
    head = await office.ledger.head()

    for path, body in (
        ("comment", {"text": SECRET}),
        ("withdraw", {"reason": SECRET}),
        ("request-information", {"lease_id": lease, "question": SECRET}),
    ):
        who = "ana" if path == "request-information" else "engine"
        answer = await office.desk.post(who, f"{one}/{path}", body)
        assert_refused(answer, 409, "has been erased")
        assert answer.json()["code"] == "subject-erased"
    assert_refused(await attach(office.desk, "ana", one, "a.txt"), 409)
    changed = {"decision_id": one, "status": "approved", "approved_actions": ["custom"], "notes": ""}
    answer = await office.desk.post("ana", f"{one}/decide", {**changed, "changed_parameters": {"/amount": 7}})
    assert answer.json()["code"] == "subject-erased", "nobody can say whether the whole would fit"

    assert await office.ledger.head() == head


async def test_what_says_nothing_personal_goes_on(office: Office) -> None:
    one = "goes-on"
    await office.submit(one, payload(subject="goes-on"))
    await erase(office, "goes-on")

    lease = (await office.claimed(one))["lease"]["lease_id"]
    question = {"lease_id": lease, "question": ERASED}
    await office.done("ana", f"{one}/request-information", question)
    told = json.loads(await office.told(one))
    await office.done("engine", f"{one}/provide-information", {"answer": ERASED})
    await office.done(
        "ana",
        f"{one}/decide",
        {"decision_id": one, "status": "approved", "approved_actions": [], "notes": ""},
    )

    assert told["question"]["question"] == ERASED
    assert '"question":"erased"' in await office.log_of(one)


async def test_the_word_that_is_told_is_the_word_that_is_taken() -> None:
    assert people.ERASED == ERASED


async def test_a_new_submission_about_the_same_subject_has_a_key_of_its_own(office: Office) -> None:
    await office.submit("earlier", payload("Ann", subject="back"))
    await erase(office, "back")

    await office.submit("later", payload("Ann again", subject="back"))

    assert json.loads(await office.told("earlier"))["payload"] == GONE
    assert json.loads(await office.told("later"))["payload"] == payload("Ann again", subject="back")
    await office.done("engine", "later/comment", {"text": "welcome back"})
    assert_refused(await office.desk.post("engine", "earlier/comment", {"text": "hello"}), 409)


async def test_a_repeated_request_gets_the_first_answer_and_another_one_is_found_out(office: Office) -> None:
    keyed = {"Idempotency-Key": "once"}
    first = await office.submit("repeated", payload(subject="repeated"), **keyed)
    noted = {"decision_id": "repeated", "status": "escalated", "approved_actions": [], "notes": SECRET}
    noted |= {"escalation_reason": "up"}
    answer = await office.desk.post("ana", "repeated/decide", noted, **keyed)
    assert answer.json()["notes"] == SECRET

    again = await office.submit("repeated", payload(subject="repeated"), **keyed)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    assert (await office.desk.post("ana", "repeated/decide", noted, **keyed)).content == answer.content
    other = await office.desk.post("ana", "repeated/decide", {**noted, "notes": "other"}, **keyed)
    assert_refused(other, 422, "another request")

    await erase(office, "repeated")
    told = await office.desk.post("ana", "repeated/decide", noted, **keyed)
    assert told.json() == {**answer.json(), "notes": ERASED, "escalation_reason": ERASED}
    again = await office.submit("repeated", payload(subject="repeated"), **keyed)
    assert again.content == first.content


async def test_the_digest_of_a_request_is_keyed_by_the_subject_where_it_brought_text(office: Office) -> None:
    """One under a key of the database could be tried out by whoever has that, as long as the text is guessable."""
    await office.submit("digests", payload(subject="digests"), **{"Idempotency-Key": "a"})
    await office.done("engine", "digests/withdraw", None, **{"Idempotency-Key": "b"})

    stored = (await read_stream(office.ledger, office.desk.stream("digests"))).events
    sealed, plain = [open_envelope(one.envelope or b"").request for one in stored]
    key_id = (await office.desk.events("digests"))[0].sealed_under
    assert sealed.startswith(f"{key_id}:")
    assert len(plain) == 64


async def test_whoever_has_lost_the_secret_key_reads_another_word(office: Office) -> None:
    await office.submit("lost", payload(subject="lost"))
    other = Identity.of(office.ledger, secret_keys=["another secret, of which nobody has heard"])

    told = json.loads(await opened_json(other, (await office.log_of("lost")).encode()))

    assert json.loads(told["item"]["payload"]) == {
        "applicant": "unreadable",
        "amount": 1200,
        "age": "unreadable",
    }


async def test_a_decision_whose_key_cannot_be_read_takes_no_text(office: Office) -> None:
    await office.submit("broken", payload(subject="broken"))
    subject = office.ledger.data_subject("broken")
    await office.ledger.pool.execute(
        "update work.subject_keys set kek_id = 'unknown' where subject = $1", subject
    )

    answer = await office.desk.post("engine", "broken/comment", {"text": SECRET})

    assert_refused(answer, 503)
    assert answer.json()["code"] == "subject-key-unreadable"
    assert json.loads(await office.told("broken"))["payload"]["age"] == "unreadable"
    await office.done("engine", "broken/withdraw")


async def test_text_that_comes_while_somebody_is_erased_is_erased_or_refused(
    office: Office, instances: tuple[Api, Api]
) -> None:
    await office.submit("meanwhile", payload(subject="meanwhile"))
    headers = await instances[1].login()

    async def say(number: int) -> int:
        client, sent = instances[number % 2].client, headers | {"Idempotency-Key": f"say-{number}"}
        answer = await client.post(
            "/api/decisions/meanwhile/comment", headers=sent, json={"text": f"{SECRET} {number}"}
        )
        return answer.status_code

    first = await say(0)
    said = [asyncio.create_task(say(number)) for number in range(1, 30)]
    await asyncio.wait(said, return_when=asyncio.FIRST_COMPLETED)
    await erase(office, "meanwhile")
    statuses = [first, *await asyncio.gather(*said)]

    assert first == 200
    assert set(statuses) == {200, 409}
    told = json.loads(await office.told("meanwhile/comments?limit=500"))
    assert [one["text"] for one in told] == [ERASED] * statuses.count(200)
    assert await corners_with(office.ledger, SECRET) == set()


async def test_what_a_policy_does_not_mark_asks_for_no_key(office: Office) -> None:
    """A round trip for every submission would be a price that nobody agreed to."""
    desk = office.desk
    async with Statements(office.ledger.pool) as plain:
        assert (await desk.post("engine", "submit", submission("plain"))).status_code == 200
        assert (await desk.post("engine", "plain/comment", {"text": "hello"})).status_code == 200
        await office.told("plain")
    async with Statements(office.ledger.pool) as marked:
        await office.submit("marked", payload(subject="marked"))

    def of_keys(seen: list[str]) -> int:
        return sum("subject_keys" in one or "decision_subjects" in one for one in seen)

    assert plain.seen
    assert of_keys(plain.seen) == 0
    assert of_keys(marked.seen) == 3


async def test_what_is_erased_is_nothing_that_the_patrol_finds(office: Office, tmp_path: Path) -> None:
    await office.submit("patrolled", payload(SECRET, subject="patrolled"))
    await sealed_in(office.ledger, tmp_path)
    await erase(office, "patrolled")
    await sealed_in(office.ledger, tmp_path)
    patrol = Patrol(office.ledger, begin=0)
    while not await patrol.look():
        pass
    assert patrol.position > 0
    assert patrol.findings == ()

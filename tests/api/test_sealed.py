"""Sealed text over HTTP: whatever brings it, no plain text is stored, and everybody who could read it still can."""

import json
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from ledger.domain.terms import PersonalText
from ledger.personal import misses
from ledger.personal.tokens import MARK
from tests.api.answers import assert_refused, together, wrong_fields
from tests.support.desk import Desk
from tests.support.sealed import Office, attach, corners_with, own_subject, payload

pytestmark = together

SECRET: Final = "Zebulon-Quill"
APPROVED: Final = {"status": "approved", "approved_actions": ["custom"]}
Act = Callable[[Office, str], Awaitable[object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(desk: Desk) -> Office:
    found = Office(desk)
    await found.open()
    for name in ("admin", "ada"):
        await desk.with_fresh_factor(name)
    again = await desk.api.login("ana")
    desk.people["ana elsewhere"] = desk._person(again)
    return found


async def _asked(office: Office, one: str, question: str = "Who is it?") -> None:
    lease = (await office.claimed(one))["lease"]
    await office.done(
        "ana", f"{one}/request-information", {"lease_id": lease["lease_id"], "question": question}
    )


async def _answered(office: Office, one: str) -> None:
    await _asked(office, one)
    await office.done("engine", f"{one}/provide-information", {"answer": SECRET})


async def _changed(office: Office, one: str) -> None:
    await _asked(office, one)
    body = {"answer": "see there", "payload": payload(SECRET)}
    await office.done("engine", f"{one}/provide-information", body)


async def _overridden(office: Office, one: str, **said: str) -> None:
    body = {"outcome": "approved", "approved_actions": ["custom"], "reason": "now", "ticket": "T-1", **said}
    await office.done("admin", f"{one}/override", body)


async def _countersigned(office: Office, one: str) -> None:
    await _overridden(office, one)
    await office.done("ada", f"{one}/countersign", {"notes": SECRET})


async def _superseded(office: Office, one: str) -> None:
    await office.submit(f"{one}-newer")
    await office.done("engine", f"{one}/supersede", {"successor": f"{one}-newer", "reason": SECRET})


async def _taken_over(office: Office, one: str) -> None:
    await office.claimed(one)
    await office.done("ana elsewhere", f"{one}/claim", {"reason": SECRET})


async def _decided(office: Office, one: str, notes: str = SECRET) -> None:
    await office.done("ana", f"{one}/decide", {"decision_id": one, "notes": notes, **APPROVED})


async def _escalated(office: Office, one: str, **said: str) -> None:
    body = {"decision_id": one, "status": "escalated", "approved_actions": [], "notes": "", **said}
    await office.done("ana", f"{one}/decide", {"escalation_reason": "up", **body})


async def _reported(office: Office, one: str) -> None:
    await _decided(office, one, "good")
    await office.done("engine", f"{one}/outcome", {"succeeded": True, "details": SECRET})


async def _in_bulk(office: Office, one: str, act: str, wish: dict[str, object]) -> None:
    seen = await office.done("ada", "bulk/preview", {"analysis_ids": [one], "wish": wish})
    items = [{"analysis_id": one, "subject_digest": seen["items"][0]["subject_digest"]}]
    done = await office.done(
        "ada", f"bulk/{act}", {"wish": wish, "items": items, "selection_digest": seen["selection_digest"]}
    )
    assert done["done"] == 1


async def _attached(office: Office, one: str) -> None:
    assert (await attach(office.desk, "ana", one, f"{SECRET}.txt")).status_code == 200


ACTS: Final[dict[str, Act]] = {
    "a verdict's notes": _decided,
    "notes of a verdict on many": lambda office, one: _in_bulk(
        office, one, "decide", {"act": "decide", "notes": SECRET, **APPROVED}
    ),
    "an escalation's reason": lambda office, one: _escalated(office, one, escalation_reason=SECRET),
    "an escalation's notes": lambda office, one: _escalated(office, one, notes=SECRET),
    "the reason in an address": lambda office, one: office.done(
        "ana", f"{one}/escalate?escalation_reason={SECRET}"
    ),
    "the reason of a take-over": _taken_over,
    "an assignment's reason": lambda office, one: office.done(
        "ada", f"{one}/assign", {"to": "ben", "reason": SECRET}
    ),
    "the reason of assigning many": lambda office, one: _in_bulk(
        office, one, "assign", {"act": "assign", "to": "ben", "reason": SECRET}
    ),
    "another priority's reason": lambda office, one: office.done(
        "ada", f"{one}/reprioritise", {"priority": "low", "reason": SECRET}
    ),
    "a question": lambda office, one: _asked(office, one, SECRET),
    "an answer": _answered,
    "another item": _changed,
    "a comment": lambda office, one: office.done("ben", f"{one}/comment", {"text": SECRET}),
    "a file's name": _attached,
    "a withdrawal's reason": lambda office, one: office.done("engine", f"{one}/withdraw", {"reason": SECRET}),
    "a successor's reason": _superseded,
    "a cancellation's reason": lambda office, one: office.done("ada", f"{one}/cancel", {"reason": SECRET}),
    "an override's reason": lambda office, one: _overridden(office, one, reason=SECRET),
    "an override's ticket": lambda office, one: _overridden(office, one, ticket=SECRET),
    "a countersignature's notes": _countersigned,
    "an outcome's details": _reported,
}


@pytest.mark.parametrize("what", ACTS)
async def test_no_plain_text_is_stored_of(office: Office, what: str) -> None:
    one = f"act-{list(ACTS).index(what)}"
    await office.submit(one)

    await ACTS[what](office, one)

    assert await corners_with(office.ledger, SECRET) == set()
    assert SECRET in await office.opened_log_of(one)


async def test_every_text_that_a_policy_can_mark_is_sealed_by_one_of_these(office: Office) -> None:
    """What no act brings, nobody has tried."""
    fields = set()
    for number in range(len(ACTS)):
        log = await office.log_of(f"act-{number}")
        fields |= {part.split(":")[2] for part in log.split(MARK)[1:]}

    assert fields >= set(PersonalText) | {"payload/applicant", "payload/age"}


async def test_the_look_finds_what_is_not_marked(office: Office) -> None:
    await office.desk.ask("in-the-open")

    await office.done("ben", "in-the-open/comment", {"text": "Yolanda-Quint"})

    assert "ledger.events.payload" in await corners_with(office.ledger, "Yolanda-Quint")


async def test_whoever_could_read_it_still_can(office: Office) -> None:
    sent = payload('Ann “\\" Applicant\n', words=["a", f"{SECRET} ⟦", "c"])
    await office.submit("read", sent)
    claim = await office.claimed("read")
    await office.done(
        "ana",
        "read/request-information",
        {"lease_id": claim["lease"]["lease_id"], "question": f"Is it “{SECRET}”?"},
    )
    asked = json.loads(await office.told("read"))["question"]["question"]
    await office.done("engine", "read/provide-information", {"answer": 'It is "she"'})
    await attach(office.desk, "ana", "read", f"{SECRET} ü.txt")
    await _decided(office, "read", "Quite sure:\t\\n")

    assert claim["payload"] == sent
    assert asked == f"Is it “{SECRET}”?"
    for who in ("admin", "engine", "vic"):
        assert json.loads(await office.told("read", who))["payload"] == sent
    response = json.loads(await office.told("read/response", "engine"))
    assert response["notes"] == "Quite sure:\t\\n"
    said = [(one["what"], one["text"]) for one in json.loads(await office.told("read/comments"))]
    assert said == [("question", f"Is it “{SECRET}”?"), ("answer", 'It is "she"')]
    evidence = json.loads(await office.told("read/evidence"))
    assert [file["name"] for file in evidence] == [f"{SECRET} ü.txt"]
    file = await office.desk.get("ben", f"read/evidence/{evidence[0]['evidence_id']}")
    assert file.headers["content-disposition"].endswith(f"UTF-8''{SECRET}%20%C3%BC.txt")


async def test_the_queue_shows_items_as_they_were_sent(office: Office) -> None:
    await office.submit("queued")

    listed = json.loads(await office.told("pending?limit=100&kind=loan", "ben"))

    assert [item["payload"] for item in listed if item["analysis_id"] == "queued"] == [payload()]
    assert MARK not in json.dumps(listed, ensure_ascii=False)


async def test_what_is_not_marked_stays_readable_and_as_it_was_written(office: Office) -> None:
    body = (
        '{"analysis_id": "verbatim", "kind": "loan", "priority": "low", "created_at": "2026-03-01T08:30:00Z",'
        ' "payload": {"amount":  1.50, "applicant" : {"id" :"ann"} , "words": [ "b",  "c" ]}}'
    )
    headers = {**office.desk.people["engine"].headers, "content-type": "application/json"}
    answer = await office.desk.api.client.post("/api/decisions/submit", headers=headers, content=body)
    assert answer.status_code == 200, answer.text

    log = await office.log_of("verbatim")
    assert '{\\"amount\\":  1.50, \\"applicant\\" : \\"⟦sealed:v1:' in log
    assert '{"amount":  1.50, "applicant" : {"id" :"ann"} , "words": [ "b",  "c" ]}' in await office.told(
        "verbatim"
    )


async def test_what_is_blank_says_nothing_and_is_refused_as_ever(office: Office) -> None:
    await office.submit("blank")
    assert_refused(await office.desk.post("ben", "blank/comment", {"text": " \n"}), 422, "blank")
    assert_refused(await office.desk.post("engine", "blank/withdraw", {"reason": "  "}), 422, "why")

    await office.done("engine", "blank/withdraw", {"reason": ""})

    assert '"reason":""' in await office.log_of("blank")


@pytest.mark.parametrize("token", ["⟦sealed:v1:", "\\u27e6sealed:v1:", "\\u27e6\\u0073ealed:v1:x⟧"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("submit", '{"analysis_id": "planted", "kind": "loan", "payload": {"amount": 1, "x": ["%s"]}}'),
        ("none/comment", '{"text": "look: %s"}'),
        ("none/withdraw", '{"reason": "%s"}'),
        ("none/decide", '{"decision_id": "none", "status": "approved", "unknown": {"%s": 1}}'),
    ],
)
async def test_sealed_text_that_is_sent_is_refused(office: Office, path: str, body: str, token: str) -> None:
    headers = {**office.desk.people["ana"].headers, "content-type": "application/json"}
    required = {
        "submit": ', "priority": "low", "created_at": "2026-03-01T08:30:00Z"}',
        "none/decide": ', "approved_actions": [], "notes": ""}',
    }
    text = body.replace("%s", token)
    text = text[:-1] + required[path] if path in required else text

    answer = await office.desk.api.client.post(
        f"/api/decisions/{path}", headers=headers, content=text.encode()
    )

    assert_refused(answer, 422)
    assert "sealed text" in answer.text


async def test_sealed_text_in_an_address_is_refused(office: Office) -> None:
    await office.submit("address")

    answer = await office.desk.post("ana", "address/escalate?escalation_reason=⟦sealed:v1:x⟧")
    assert wrong_fields(answer) == {"escalation_reason"}
    assert wrong_fields(await attach(office.desk, "ana", "address", "⟦sealed:v1:x⟧.txt")) == {"name"}


@pytest.mark.parametrize("subject", [None, "", " ", "decision/other", "x" * 501])
async def test_an_item_says_whom_it_is_about(office: Office, subject: str | None) -> None:
    body = {
        "analysis_id": "whom",
        "kind": "loan",
        "payload": payload(subject=subject),
        "priority": "high",
        "created_at": "2026-03-01T08:30:00Z",
    }

    answer = await office.desk.post("engine", "submit", body)

    assert_refused(answer, 422)
    assert (answer.json()["code"], answer.json()["context"]) == (
        "data-subject-missing",
        {"pointer": "/applicant/id"},
    )


async def test_a_simulation_tells_whether_an_item_says_whom_it_is_about(office: Office) -> None:
    client, headers = office.desk.api.client, office.desk.people["admin"].headers

    async def errors(sent: dict[str, object]) -> list[dict[str, str]]:
        body = {"kind": "loan", "payload": sent}
        answer = await client.post("/api/policies/simulate", headers=headers, json=body)
        assert answer.json()["is_valid"] is not bool(answer.json()["errors"])
        return answer.json()["errors"]

    assert await errors(payload()) == []
    message = "does not say whom it is about"
    assert await errors(payload(subject="")) == [{"pointer": "/applicant/id", "message": message}]


async def test_a_subject_may_be_called_by_a_number(office: Office) -> None:
    await office.submit("numbered", payload(subject=4711))

    assert office.desk.stream("numbered") in await office.about(office.ledger.data_subject("4711"))


async def test_a_decision_stays_about_whom_it_was_submitted(office: Office) -> None:
    await office.submit("stays")
    await _asked(office, "stays")

    answer = await office.desk.post(
        "engine",
        "stays/provide-information",
        {"answer": "somebody else", "payload": payload("Ben", subject="ben")},
    )

    assert_refused(answer, 409, "stays about whom")
    assert answer.json()["code"] == "another-subject"


async def test_an_item_that_comes_again_as_it_was_is_the_same_subject(office: Office) -> None:
    await office.submit("again", payload(words=["x", "y"]))
    before = json.loads(await office.told("again"))["subject_digest"]
    await _asked(office, "again")

    told = await office.done(
        "engine", "again/provide-information", {"answer": "as it was", "payload": payload(words=["x", "y"])}
    )

    assert told["subject_digest"] == before
    await _asked(office, "again")
    told = await office.done(
        "engine", "again/provide-information", {"answer": "not so", "payload": payload(words=["x", "z"])}
    )
    assert told["subject_digest"] != before


async def test_parameters_are_changed_beside_what_is_sealed(office: Office) -> None:
    await office.submit("beside")
    changed = {"decision_id": "beside", "notes": "less", **APPROVED, "changed_parameters": {"/amount": 900}}
    wrong = await office.desk.post("ana", "beside/decide", {**changed, "changed_parameters": {"/amount": -1}})
    assert_refused(wrong, 422)

    told = await office.done("ana", "beside/decide", changed)

    assert told["changes"] == [{"pointer": "/amount", "before": 1200, "after": 900}]


async def test_the_built_in_kind_seals_its_texts_for_a_subject_of_its_own(office: Office) -> None:
    marks = ["/source_ip", "/iocs", "/forensic_summary", "/attributed_actor", "/incident_id", "/threat_level"]
    await office.publish(
        "threat_analysis",
        {"allowed_actions": ["block_ip"], "personal": [*marks, "/ttps", "/recommended_actions"]},
    )
    sent = {
        "analysis_id": "threat",
        "incident_id": None,
        "threat_level": f"{SECRET}-1",
        "source_ip": f"{SECRET}-2",
        "attributed_actor": "",
        "confidence": 12.5,
        "iocs": [f"{SECRET}-3", " ", f"{SECRET}-4"],
        "ttps": [],
        "recommended_actions": [f"{SECRET}-5"],
        "forensic_summary": f"{SECRET}-6",
        "priority": "low",
        "created_at": "2026-03-01T08:30:00Z",
    }
    await office.done("engine", "submit", sent)

    assert await corners_with(office.ledger, SECRET) == set()
    told = json.loads(await office.told("threat"))
    assert {name: told[name] for name in sent} == sent
    assert await office.erase(own_subject(office.ledger, "threat")) == 1
    assert json.loads(await office.told("threat"))["iocs"] == ["erased", " ", "erased"]


async def test_a_mark_that_hits_nothing_is_counted_and_told_once_without_content(office: Office) -> None:
    misses._told.clear()
    with capture_logs() as logged:
        await office.submit("MISSED-1", payload(SECRET))
        await office.submit("MISSED-2", payload(SECRET))
        await office.submit("MISSED-3", payload(SECRET, words=["none", "of", "them"]))

    told = [line for line in logged if line["event"] == "policy.mark.hit_nothing"]
    assert [(line["kind"], line["mark"], line["log_level"]) for line in told] == [
        ("loan", "/words/1", "warning")
    ]
    assert SECRET not in str(logged)

"""What is said about a decision: comments, questions and answers, and what another item does to votes and clocks."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from ledger.domain.decision.item import payload_of
from tests.api.answers import assert_refused, together, wrong_fields
from tests.builders.decision_events import ITEM, policy
from tests.support.desk import Desk

pytestmark = together


def payload(**other: object) -> dict[str, object]:
    """The item's payload, otherwise."""
    found = payload_of(ITEM)
    assert isinstance(found, dict)
    return {**found, **other}


async def asked(desk: Desk, analysis_id: str, **terms: object) -> str:
    """A decision whose submitter has been asked something by sam."""
    digest = await desk.ask(analysis_id, policy=replace(policy(), **terms))
    lease_id = await desk.claim(analysis_id, "sam")
    answer = await desk.post(
        "sam",
        f"{analysis_id}/request-information",
        {"lease_id": str(lease_id), "question": "Which host?"},
    )
    assert answer.status_code == 200, answer.text
    return digest


async def test_people_and_the_submitting_machine_comment_also_after_the_end(desk: Desk) -> None:
    await desk.ask("talked-of")
    for who, text in (("sam", "Seen <before>."), ("engine", "It is the build host.")):
        answer = await desk.post(who, "talked-of/comment", {"text": text})
        assert answer.status_code == 200, answer.text
    await desk.post("engine", "talked-of/withdraw")
    await desk.post("ana", "talked-of/comment", {"text": "A pity."})

    page = await desk.get("vic", "talked-of/comments")

    assert [(said["by"], said["what"], said["text"]) for said in page.json()] == [
        ("sam", "comment", "Seen <before>."),
        ("engine", "comment", "It is the build host."),
        ("ana", "comment", "A pity."),
    ]
    assert (await desk.get("vic", "talked-of")).json()["comments"] == 3
    assert (await desk.get("engine", "talked-of/comments")).json() == page.json()
    assert_refused(await desk.get("other-engine", "talked-of/comments"), 404)


async def test_comments_come_by_the_page(desk: Desk) -> None:
    await desk.ask("talkative")
    for number in range(5):
        await desk.post("sam", "talkative/comment", {"text": f"remark {number}"})

    first = await desk.get("sam", "talkative/comments?limit=2")
    address = first.headers["link"].partition(">")[0].removeprefix("</api/decisions/")
    second = await desk.get("sam", address)

    assert [said["text"] for said in first.json()] == ["remark 0", "remark 1"]
    assert [said["text"] for said in second.json()] == ["remark 2", "remark 3"]
    assert "link" not in (await desk.get("sam", "talkative/comments?after=5")).headers


async def test_a_question_is_shown_until_it_is_answered(desk: Desk) -> None:
    digest = await asked(desk, "questioned")
    question = (await desk.get("engine", "questioned")).json()["question"]
    assert (question["question"], question["asked_by"]) == ("Which host?", "sam")

    answer = await desk.post("engine", "questioned/provide-information", {"answer": "The build host."})

    assert answer.status_code == 200, answer.text
    assert (answer.json()["subject_digest"], answer.json()["votes_are_void"]) == (digest, False)
    assert "question" not in (await desk.get("sam", "questioned")).json()
    said = (await desk.get("sam", "questioned/comments")).json()
    assert [(one["by"], one["what"], one["text"]) for one in said] == [
        ("sam", "question", "Which host?"),
        ("engine", "answer", "The build host."),
    ]


async def test_another_payload_is_another_subject_and_voids_the_votes(desk: Desk) -> None:
    digest = await asked(desk, "renewed", approvals_needed=2)
    vote = {"decision_id": "renewed", "status": "approved", "approved_actions": [], "notes": ""}
    assert (await desk.post("ana", "renewed/decide", vote)).status_code == 409, "sam holds it"
    await desk.post("sam", "renewed/decide", vote)

    answer = await desk.post(
        "engine",
        "renewed/provide-information",
        {"answer": "Another address.", "payload": payload(source_ip="198.51.100.7")},
    )

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["votes_are_void"]
    item = (await desk.get("sam", "renewed")).json()
    assert item["source_ip"] == "198.51.100.7"
    assert item["subject_digest"] == told["subject_digest"] != digest
    assert "votes" not in item
    stale = await desk.post("ana", "renewed/decide", {**vote, "subject_digest": digest})
    assert (stale.status_code, stale.json()["code"]) == (409, "subject-changed")


async def test_an_answer_moves_the_clocks_by_the_pause(desk: Desk) -> None:
    await desk.ask("paused", policy=replace(policy(), deadline_seconds=3600, information_seconds=600))
    before = (await desk.get("sam", "paused")).json()["deadline_at"]
    lease_id = await desk.claim("paused", "sam")
    await desk.post(
        "sam", "paused/request-information", {"lease_id": str(lease_id), "question": "Which host?"}
    )

    item = (await desk.get("sam", "paused")).json()

    assert item["question"]["pauses_clock"]
    assert _moment(item["deadline_at"]) == _moment(before) + timedelta(seconds=600)
    answer = await desk.post("engine", "paused/provide-information", {"answer": "The build host."})
    assert _moment(before) < _moment(answer.json()["deadline_at"]) < _moment(item["deadline_at"])


async def test_another_payload_is_checked_as_a_submission_is(desk: Desk) -> None:
    await asked(desk, "ill-informed")
    for wrong, field in (
        (payload(confidence=101), "/payload/confidence"),
        (payload(colour="red"), "/payload"),
        (payload(source_ip="a\0b"), "/payload/source_ip"),
    ):
        refused = await desk.post(
            "engine", "ill-informed/provide-information", {"answer": "So.", "payload": wrong}
        )
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid-payload")
        assert wrong_fields(refused) == {field}
    for wrong in ("text", None, [1]):
        refused = await desk.post(
            "engine", "ill-informed/provide-information", {"answer": "So.", "payload": wrong}
        )
        assert_refused(refused, 422)
    assert len(await desk.events("ill-informed")) == 3


def _moment(text: str) -> datetime:

    return datetime.fromisoformat(text)

"""Many decisions at once: previewed, then carried out one by one, each for itself."""

import asyncio
from typing import Final

import httpx
import pytest
from msgspec.structs import replace

from ledger.domain.decision.events import DecisionAssigned, VoteCast
from ledger.domain.decision.item import KindItem
from tests.api.answers import assert_refused, together, wrong_fields
from tests.builders.decision_events import policy
from tests.support.desk import Desk

pytestmark = together

APPROVE: Final = {"act": "decide", "status": "approved", "approved_actions": ["block_ip"], "notes": "A scan."}
TO_BEN: Final = {"act": "assign", "to": "ben", "reason": "knows them"}


async def ask_for(desk: Desk, prefix: str, count: int, **terms: object) -> list[str]:
    ids = [f"{prefix}-{number}" for number in range(count)]
    for analysis_id in ids:
        await desk.ask(analysis_id, policy=replace(policy(), **terms))
    return ids


async def preview(desk: Desk, ids: list[str], wish: dict[str, object] = APPROVE, who: str = "sam") -> dict:
    answer = await desk.post(who, "bulk/preview", {"analysis_ids": ids, "wish": wish})
    assert answer.status_code == 200, answer.text
    return answer.json()


def order(previewed: dict, wish: dict[str, object] = APPROVE) -> dict[str, object]:
    """What the preview answered, to be carried out."""
    return {
        "wish": wish,
        "selection_digest": previewed["selection_digest"],
        "items": [
            {"analysis_id": item["analysis_id"], "subject_digest": item["subject_digest"]}
            for item in previewed["items"]
            if item["ok"]
        ],
    }


async def decide(desk: Desk, body: dict[str, object], who: str = "sam", **headers: str) -> httpx.Response:
    return await desk.post(who, "bulk/decide", body, **headers)


async def test_a_selection_is_previewed_and_decided_one_by_one(desk: Desk) -> None:
    ids = await ask_for(desk, "scan", 5)

    seen = await preview(desk, ids)
    assert seen["kind"] == "threat_analysis"
    assert [(item["ok"], item["becomes"]) for item in seen["items"]] == [(True, "approved")] * 5
    assert [len(await desk.events(one)) for one in ids] == [1] * 5, "a preview writes nothing"

    answer = await decide(desk, order(seen))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["done"], told["refused"]) == (5, 0)
    assert [(result["analysis_id"], result["status"]) for result in told["results"]] == [
        (one, "approved") for one in ids
    ]
    for one in ids:
        (vote,) = [event for event in await desk.events(one) if isinstance(event, VoteCast)]
        assert str(vote.bulk) == told["bulk"], "its own mark in the history"
        assert (await desk.get("engine", f"{one}/response")).json()["decided_by"] == "sam"


async def test_what_cannot_be_decided_is_told_and_stops_nothing(desk: Desk) -> None:
    ids = await ask_for(desk, "mixed", 4)
    await desk.ask("mixed-own", by="sam", policy=policy(four_eyes=True))
    await desk.post("engine", "mixed-1/withdraw")

    seen = await preview(desk, [*ids, "mixed-own", "mixed-unknown"])
    codes = [item.get("problem", {}).get("code") for item in seen["items"]]
    assert codes == [None, "decision-closed", None, None, "self-review", "decision-not-found"]

    body = order(seen)
    await desk.post("engine", "mixed-2/withdraw")  # after the preview
    told = (await decide(desk, body)).json()

    assert [(result["analysis_id"], result["ok"]) for result in told["results"]] == [
        ("mixed-0", True),
        ("mixed-2", False),
        ("mixed-3", True),
    ]
    problem = told["results"][1]["problem"]
    assert (problem["status"], problem["code"]) == (409, "decision-closed")
    assert (told["done"], told["refused"]) == (2, 1)


async def test_votes_below_a_quorum_say_that_they_wait_for_more(desk: Desk) -> None:
    ids = await ask_for(desk, "quorum", 2, approvals_needed=2)

    seen = await preview(desk, ids)
    told = (await decide(desk, order(seen))).json()

    assert [item["becomes"] for item in seen["items"]] == ["pending"] * 2
    assert [result["status"] for result in told["results"]] == ["pending"] * 2


async def test_what_was_shown_is_what_is_decided(desk: Desk) -> None:
    ids = await ask_for(desk, "shown", 2)
    body = order(await preview(desk, ids))
    body["items"][0]["subject_digest"] = "0" * 64

    refused = await decide(desk, body)

    assert_refused(refused, 409)
    assert refused.json()["code"] == "selection-differs"


@pytest.mark.parametrize(
    "change",
    [
        {"wish": {**APPROVE, "status": "rejected"}},
        {"wish": {**APPROVE, "notes": "Other."}},
        {"selection_digest": "0" * 64},
        {"items": []},
    ],
)
async def test_nothing_but_what_was_previewed_is_carried_out(desk: Desk, change: dict[str, object]) -> None:
    name = f"sealed-{abs(hash(str(change)))}"
    ids = await ask_for(desk, name, 2)
    body = order(await preview(desk, ids))

    refused = await decide(desk, {**body, **change})

    assert_refused(refused, 422 if change == {"items": []} else 409)
    assert [len(await desk.events(one)) for one in ids] == [1, 1]


async def test_a_preview_is_good_for_whoever_asked_for_it(desk: Desk) -> None:
    ids = await ask_for(desk, "mine", 2)
    body = order(await preview(desk, ids))

    assert_refused(await decide(desk, body, who="ana"), 409)
    assert_refused(await decide(desk, {**body, "items": body["items"][:1]}), 409)


async def test_decisions_of_several_kinds_are_no_selection(desk: Desk) -> None:
    ids = await ask_for(desk, "kinds", 1)
    await desk.ask("kinds-other", item=KindItem(name="firewall_rule", payload="{}"))

    refused = await desk.post("sam", "bulk/preview", {"analysis_ids": [*ids, "kinds-other"], "wish": APPROVE})

    assert (refused.status_code, refused.json()["code"]) == (422, "selection-mixed")


async def test_a_selection_has_one_to_two_hundred_different_decisions(desk: Desk) -> None:
    for ids in ([], ["same", "same"], [f"many-{number}" for number in range(201)]):
        answer = await desk.post("sam", "bulk/preview", {"analysis_ids": ids, "wish": APPROVE})
        assert wrong_fields(answer) == {"analysis_ids"}
    for wish in ({**APPROVE, "status": "escalated"}, {**APPROVE, "colour": "red"}, {"act": "burn"}):
        answer = await desk.post("sam", "bulk/preview", {"analysis_ids": ["one"], "wish": wish})
        assert wrong_fields(answer) == {"wish"}
    unknown = await preview(desk, ["nobody-asked"])
    assert (unknown["kind"], unknown["selection_digest"]) == (None, None)


async def test_what_is_sent_again_by_its_key_answers_the_same_and_finishes_what_broke_off(
    desk: Desk,
) -> None:
    ids = await ask_for(desk, "again", 3)
    body = order(await preview(desk, ids))
    first = (await decide(desk, body, idempotency_key="the-bulk")).json()

    again = (await decide(desk, body, idempotency_key="the-bulk")).json()

    assert again == first
    assert [len(await desk.events(one)) for one in ids] == [3] * 3


async def test_a_call_that_broke_off_is_finished_by_the_same_call(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await ask_for(desk, "broken-off", 4)
    body = order(await preview(desk, ids))
    handle, calls = desk.api.services.ledger.appender.append, 0

    async def dying(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise asyncio.CancelledError
        return await handle(*args)

    monkeypatch.setattr(desk.api.services.ledger.appender, "append", dying)
    assert (await decide(desk, body, idempotency_key="broken")).status_code == 503
    monkeypatch.undo()
    assert [len(await desk.events(one)) for one in ids] == [3, 3, 1, 1]

    told = (await decide(desk, body, idempotency_key="broken")).json()

    assert (told["done"], told["refused"]) == (4, 0)
    assert [len(await desk.events(one)) for one in ids] == [3] * 4
    marks = {vote.bulk for one in ids for vote in await desk.events(one) if isinstance(vote, VoteCast)}
    assert [str(mark) for mark in marks] == [told["bulk"]]


async def test_a_selection_is_assigned_by_those_who_lead(desk: Desk) -> None:
    ids = await ask_for(desk, "handed", 3)
    seen = await preview(desk, ids, TO_BEN, who="ada")

    answer = await desk.post("ada", "bulk/assign", order(seen, TO_BEN))

    assert answer.status_code == 200, answer.text
    assert answer.json()["done"] == 3
    for one in ids:
        assert (await desk.get("ana", one)).json()["assigned_to"] == "ben"
        (assigned,) = [event for event in await desk.events(one) if isinstance(event, DecisionAssigned)]
        assert str(assigned.bulk) == answer.json()["bulk"]
    by_sam = await preview(desk, ids, TO_BEN)
    assert {item["problem"]["code"] for item in by_sam["items"]} == {"lead-required"}
    nobody = {"analysis_ids": ids, "wish": {**TO_BEN, "to": "nobody"}}
    assert wrong_fields(await desk.post("ada", "bulk/preview", nobody)) == {"to"}


async def test_machines_and_viewers_have_no_bulk(desk: Desk) -> None:
    for who in ("engine", "vic"):
        answer = await desk.post(who, "bulk/preview", {"analysis_ids": ["one"], "wish": APPROVE})
        assert_refused(answer, 403)


async def test_bulk_is_no_id_of_a_decision(desk: Desk) -> None:
    assert wrong_fields(await desk.get("sam", "bulk")) == {"analysis_id"}


async def test_an_if_match_names_no_selection(desk: Desk) -> None:
    ids = await ask_for(desk, "unconditional", 1)
    body = order(await preview(desk, ids))

    assert wrong_fields(await decide(desk, body, if_match='"1"')) == {"If-Match"}
    foreseen = await desk.post("sam", "bulk/preview", {"analysis_ids": ids, "wish": APPROVE}, if_match='"1"')
    assert wrong_fields(foreseen) == {"If-Match"}


@pytest.mark.parametrize("path", ["bulk/preview", "bulk/decide"])
async def test_a_nul_deep_inside_is_refused_and_nothing_is_written(desk: Desk, path: str) -> None:
    (only,) = await ask_for(desk, f"nul-{path[5:]}", 1)
    wish = {**APPROVE, "notes": "a\x00b"}
    body = (
        {"wish": wish, "analysis_ids": [only]}
        if path == "bulk/preview"
        else order(await preview(desk, [only]), wish)
    )

    answer = await desk.post("sam", path, body)
    assert "wish" in wrong_fields(answer)
    assert len(await desk.events(only)) == 1

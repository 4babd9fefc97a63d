"""Deciding: one verdict a decision, escalations before it, and who may give them."""

import pytest
from httpx import Response

from tests.api.answers import assert_refused, decide, fixed, submit, together, wrong_fields
from tests.identity.house import MovingClock
from tests.support.http import Api, submission, verdict

ESCALATED = {"escalation_reason": "I have not seen this before."}


@pytest.mark.parametrize(
    ("status", "actions"),
    [("approved", ["block_ip", "quarantine_system"]), ("rejected", ["no_action"]), ("approved", [])],
)
async def test_a_verdict_answers_with_the_response(
    timed: Api, clock: MovingClock, status: str, actions: list[str]
) -> None:
    sam = await timed.newcomer("sam")
    await submit(timed, sam, "beacon-17")

    answer = await decide(timed, sam, "beacon-17", status, approved_actions=actions, notes="Seen it.")

    assert answer.status_code == 200
    assert fixed(answer) == {
        "decision_id": "beacon-17",
        "status": status,
        "approved_actions": actions,
        "notes": "Seen it.",
        "decided_by": "sam",
        "decided_at": clock().isoformat().replace("+00:00", "Z"),
        "escalation_reason": None,
    }
    response = await timed.client.get("/api/decisions/beacon-17/response", headers=sam)
    assert response.status_code == 200
    assert response.json() == answer.json()
    item = await timed.client.get("/api/decisions/beacon-17", headers=sam)
    assert fixed(item) == {**submission("beacon-17"), "status": status}


async def test_every_action_of_the_contract_can_be_approved(api: Api) -> None:
    admin = await api.login()
    actions = [
        "block_ip",
        "quarantine_system",
        "activate_killswitch",
        "deploy_countermeasure",
        "escalate_to_soc",
        "no_action",
        "custom",
    ]
    await submit(api, admin, "beacon-17")

    answer = await decide(api, admin, "beacon-17", approved_actions=actions)

    assert answer.json()["approved_actions"] == actions


@together
@pytest.mark.parametrize("path", ["decide", "escalate?escalation_reason=x"])
async def test_deciding_needs_a_token(shared: Api, path: str) -> None:
    answer = await shared.client.post(f"/api/decisions/beacon-17/{path}", json=verdict("beacon-17"))

    assert_refused(answer, 401, "Not authenticated")


@together
@pytest.mark.parametrize("path", ["decide", "escalate?escalation_reason=x"])
@pytest.mark.parametrize("role", ["viewer", "auditor", "service"])
async def test_only_analysts_and_administrators_decide(shared: Api, role: str, path: str) -> None:
    headers = await shared.newcomer(f"{role}-{path[:6]}", role)

    answer = await shared.client.post(
        f"/api/decisions/beacon-17/{path}", headers=headers, json=verdict("beacon-17")
    )

    assert_refused(answer, 403, "Insufficient permissions")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'


@together
async def test_what_does_not_exist_is_not_found(shared: Api, admin: dict[str, str]) -> None:
    assert_refused(await decide(shared, admin, "unknown"), 404, "not found")
    assert_refused(await _escalate(shared, admin, "unknown", "why"), 404, "not found")
    for path in ("unknown", "unknown/response"):
        assert_refused(await shared.client.get(f"/api/decisions/{path}", headers=admin), 404, "not found")


@pytest.mark.parametrize("status", ["approved", "rejected"])
async def test_a_verdict_is_final(api: Api, status: str) -> None:
    sam, kim = await api.newcomer("sam"), await api.newcomer("kim")
    await submit(api, sam, "beacon-17")
    await decide(api, sam, "beacon-17", status)
    before = await api.ledger.head()

    assert_refused(await decide(api, kim, "beacon-17", "approved"), 400, "already made")
    assert_refused(await decide(api, kim, "beacon-17", "rejected"), 400, "already made")
    assert_refused(await decide(api, kim, "beacon-17", "escalated", **ESCALATED), 400, "already made")
    assert_refused(await _escalate(api, kim, "beacon-17", "why"), 400, "already made")
    assert await api.ledger.head() == before


@together
@pytest.mark.parametrize("reason", [None, "", "  \t"])
async def test_escalating_without_a_reason_is_refused(
    shared: Api, admin: dict[str, str], reason: str | None
) -> None:
    await shared.client.post("/api/decisions/submit", headers=admin, json=submission("unsure"))

    answer = await decide(shared, admin, "unsure", "escalated", escalation_reason=reason)

    assert_refused(answer, 400, "Escalation reason required")


@together
@pytest.mark.parametrize("query", ["", "?escalation_reason=", "?escalation_reason=%20%09", "?reason=x"])
async def test_the_escalation_call_names_the_missing_reason(
    shared: Api, admin: dict[str, str], query: str
) -> None:
    answer = await shared.client.post(f"/api/decisions/unsure/escalate{query}", headers=admin)

    assert wrong_fields(answer) == {"escalation_reason"}


@together
@pytest.mark.parametrize("status", ["pending", "in_review", "Approved", "expired", "", None, 1])
async def test_another_status_is_no_verdict(shared: Api, admin: dict[str, str], status: str) -> None:
    assert wrong_fields(await decide(shared, admin, "beacon-17", status)) == {"status"}


@together
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("approved_actions", ["reboot"]),
        ("approved_actions", "block_ip"),
        ("approved_actions", [1]),
        ("approved_actions", None),
        ("approved_actions", ["block_ip"] * 101),
        ("notes", None),
        ("notes", "n" * 65_537),
        ("escalation_reason", "r" * 65_537),
        ("escalation_reason", 1),
        ("decision_id", "another"),
        ("decision_id", ""),
    ],
)
async def test_a_wrong_field_of_a_verdict_is_named(
    shared: Api, admin: dict[str, str], field: str, value: object
) -> None:
    body = {**verdict("beacon-17"), field: value}

    answer = await shared.client.post("/api/decisions/beacon-17/decide", headers=admin, json=body)

    assert wrong_fields(answer) == {field}


@together
async def test_every_missing_field_of_a_verdict_is_named(shared: Api, admin: dict[str, str]) -> None:
    answer = await shared.client.post("/api/decisions/beacon-17/decide", headers=admin, json={})

    assert wrong_fields(answer) == {"decision_id", "status", "approved_actions", "notes"}


async def test_notes_may_be_empty_or_64_kb(api: Api) -> None:
    admin = await api.login()
    for analysis_id, notes in (("short", ""), ("long", "n" * 65_536)):
        await submit(api, admin, analysis_id)
        answer = await decide(api, admin, analysis_id, notes=notes)
        assert answer.json()["notes"] == notes


async def test_a_script_in_the_notes_comes_back_verbatim_and_harmless(api: Api) -> None:
    admin = await api.login()
    notes = "<script>alert('ledger')</script>"
    await submit(api, admin, "beacon-17")
    await decide(api, admin, "beacon-17", notes=notes)

    answer = await api.client.get("/api/decisions/beacon-17/response", headers=admin)

    assert answer.json()["notes"] == notes
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_an_undecided_item_has_no_response(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")

    answer = await api.client.get("/api/decisions/beacon-17/response", headers=admin)

    assert_refused(answer, 404, "not found")
    assert answer.json()["code"] == "decision-pending"


async def test_the_escalation_call_answers_with_an_escalated_response(api: Api) -> None:
    sam = await api.newcomer("sam")
    await submit(api, sam, "unsure")

    answer = await _escalate(api, sam, "unsure", "Grün & <unknown> 🦉?")

    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("decided_at").endswith("Z")
    assert body == {
        "decision_id": "unsure",
        "status": "escalated",
        "approved_actions": [],
        "notes": "",
        "decided_by": "sam",
        "escalation_reason": "Grün & <unknown> 🦉?",
    }


async def test_an_escalated_item_is_answered_and_still_open(api: Api) -> None:
    sam = await api.newcomer("sam")
    await submit(api, sam, "unsure")

    answer = await decide(api, sam, "unsure", "escalated", **ESCALATED)

    response = await api.client.get("/api/decisions/unsure/response", headers=sam)
    assert response.json() == answer.json()
    assert response.json()["escalation_reason"] == "I have not seen this before."
    queue = (await api.client.get("/api/decisions/pending", headers=sam)).json()
    assert [(item["analysis_id"], item["status"]) for item in queue] == [("unsure", "escalated")]


async def test_who_escalated_does_not_give_the_verdict(api: Api) -> None:
    sam = await api.newcomer("sam")
    await submit(api, sam, "unsure")
    await decide(api, sam, "unsure", "escalated", **ESCALATED)

    answer = await decide(api, sam, "unsure")

    assert_refused(answer, 403, "escalated it does not give the verdict")


async def test_another_person_replaces_the_answer_of_an_escalation(api: Api) -> None:
    sam, kim = await api.newcomer("sam"), await api.newcomer("kim")
    await submit(api, sam, "unsure")
    await decide(api, sam, "unsure", "escalated", **ESCALATED)

    answer = await decide(api, kim, "unsure", "rejected", notes="Our own scanner.")

    assert answer.status_code == 200
    response = (await api.client.get("/api/decisions/unsure/response", headers=sam)).json()
    assert response == answer.json()
    assert response["decided_by"] == "kim"
    assert response["status"] == "rejected"
    assert response["notes"] == "Our own scanner."
    assert response["escalation_reason"] is None


async def test_an_administrator_decides_what_they_escalated_themselves(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "unsure")
    await decide(api, admin, "unsure", "escalated", **ESCALATED)

    assert (await decide(api, admin, "unsure")).status_code == 200


async def test_an_item_is_escalated_level_by_level_and_no_further(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "unsure")
    for reason in ("first", "second", "third"):
        assert (await _escalate(api, admin, "unsure", reason)).status_code == 200

    assert_refused(await _escalate(api, admin, "unsure", "fourth"), 400, "highest level")


async def test_who_decided_is_told_by_name_and_nowhere_by_id(api: Api) -> None:
    sam = await api.newcomer("sam")
    await submit(api, sam, "beacon-17")

    answer = await decide(api, sam, "beacon-17")
    refused = await decide(api, sam, "beacon-17")

    person = api.services.identity.tokens.read_access(
        sam["Authorization"].removeprefix("Bearer "), api.services.clock()
    ).sub
    assert str(person) not in answer.text
    assert str(person) not in refused.text


async def _escalate(api: Api, by: dict[str, str], analysis_id: str, reason: str) -> Response:
    return await api.client.post(
        f"/api/decisions/{analysis_id}/escalate", headers=by, params={"escalation_reason": reason}
    )

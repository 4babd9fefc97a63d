"""Submitting: an item under an id of the submitter's choice, once."""

import msgspec
import pytest

from tests.api.answers import assert_refused, decide, fixed, submit, together, wrong_fields
from tests.support.http import Api, submission

SUBMIT = "/api/decisions/submit"
TEXT_LIMITS = {"threat_level": 2_000, "source_ip": 2_000, "incident_id": 2_000, "attributed_actor": 2_000}


async def test_a_submission_is_answered_with_its_id(api: Api) -> None:
    answer = await api.client.post(SUBMIT, headers=await api.login(), json=submission("beacon-17"))

    assert answer.status_code == 200
    assert answer.json() == {"message": "Decision submitted successfully", "analysis_id": "beacon-17"}


async def test_an_item_comes_back_as_it_was_sent(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")

    answer = await api.client.get("/api/decisions/beacon-17", headers=admin)

    assert answer.status_code == 200
    assert fixed(answer) == {
        "analysis_id": "beacon-17",
        "incident_id": "INC-2041",
        "threat_level": "APT",
        "source_ip": "203.0.113.17",
        "attributed_actor": "Quiet Heron",
        "confidence": 89.5,
        "iocs": ["203.0.113.17", "cdn-update.example.net"],
        "ttps": ["T1071.001", "T1105"],
        "recommended_actions": ["Block the address", "Quarantine the build host"],
        "forensic_summary": "Beacon every 61 seconds from a build host to a domain registered yesterday.",
        "priority": "high",
        "created_at": "2026-03-01T08:30:00Z",
        "status": "pending",
    }


@pytest.mark.parametrize("left_out", [True, False])
async def test_incident_and_actor_may_be_unknown(api: Api, left_out: bool) -> None:  # noqa: FBT001
    admin = await api.login()
    body = submission("beacon-17", incident_id=None, attributed_actor=None)
    if left_out:
        del body["incident_id"], body["attributed_actor"]
    await api.client.post(SUBMIT, headers=admin, json=body)

    item = (await api.client.get("/api/decisions/beacon-17", headers=admin)).json()

    assert (item["incident_id"], item["attributed_actor"]) == (None, None)


@together
async def test_submitting_needs_a_token(shared: Api) -> None:
    assert_refused(await shared.client.post(SUBMIT, json=submission("x")), 401, "Not authenticated")


@together
@pytest.mark.parametrize("role", ["viewer", "auditor"])
async def test_who_only_looks_does_not_submit(shared: Api, role: str) -> None:
    headers = await shared.newcomer(f"the-{role}", role)

    answer = await shared.client.post(SUBMIT, headers=headers, json=submission("x"))

    assert_refused(answer, 403, "Insufficient permissions")


@together
@pytest.mark.parametrize("role", ["service", "analyst", "admin"])
async def test_machines_analysts_and_administrators_submit(shared: Api, role: str) -> None:
    headers = await shared.newcomer(f"a-{role}", role)

    await submit(shared, headers, f"by-{role}")


async def test_an_id_is_taken_once(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")

    answer = await api.client.post(SUBMIT, headers=admin, json=submission("beacon-17", priority="low"))

    assert_refused(answer, 400, "already exists")


async def test_the_id_of_a_decided_item_stays_taken(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")
    await decide(api, admin, "beacon-17")

    answer = await api.client.post(SUBMIT, headers=admin, json=submission("beacon-17"))

    assert_refused(answer, 400, "already exists")


@together
@pytest.mark.parametrize(
    "analysis_id",
    [
        "",
        "a" * 201,
        "pending",
        "submit",
        "next",
        "stats",
        "a/b",
        "a\tb",
        "a\x7f",
        "a\x85b",
        "a\nb",
        ".",
        "..",
    ],
)
async def test_an_id_that_cannot_be_asked_for_is_refused(
    shared: Api, admin: dict[str, str], analysis_id: str
) -> None:
    before = await shared.ledger.head()

    answer = await shared.client.post(SUBMIT, headers=admin, json=submission(analysis_id))

    assert wrong_fields(answer) == {"analysis_id"}
    assert await shared.ledger.head() == before


@together
@pytest.mark.parametrize(
    "analysis_id", ["a", "i" * 200, "Pending", "a b", "🦉", "é́", "x'; drop table events; --", "%2e", "a?b#c"]
)
async def test_any_other_text_is_an_id(shared: Api, admin: dict[str, str], analysis_id: str) -> None:
    await submit(shared, admin, analysis_id)
    path = "/api/decisions/" + "".join(f"%{byte:02x}" for byte in analysis_id.encode())

    answer = await shared.client.get(path, headers=admin)

    assert answer.json()["analysis_id"] == analysis_id


@together
@pytest.mark.parametrize("priority", ["urgent", "High", "", None, 1])
async def test_a_bad_priority_is_refused(shared: Api, admin: dict[str, str], priority: object) -> None:
    answer = await shared.client.post(SUBMIT, headers=admin, json=submission("x", priority=priority))

    assert wrong_fields(answer) == {"priority"}


@together
async def test_every_missing_field_is_named(shared: Api, admin: dict[str, str]) -> None:
    answer = await shared.client.post(SUBMIT, headers=admin, json={"priority": "high"})

    assert wrong_fields(answer) == {
        "analysis_id",
        "threat_level",
        "source_ip",
        "confidence",
        "iocs",
        "ttps",
        "recommended_actions",
        "forensic_summary",
        "created_at",
    }


@together
@pytest.mark.parametrize(
    "confidence",
    ["-0.001", "100.001", "-1", "101", '"89.5"', "true", "null", "1e400", "-1e400", "[]", "1" + "0" * 400],
)
async def test_a_confidence_is_a_number_from_0_to_100(
    shared: Api, admin: dict[str, str], confidence: str
) -> None:
    body = submission("x", confidence=msgspec.Raw(confidence.encode()))

    answer = await shared.client.post(
        SUBMIT, headers={**admin, "content-type": "application/json"}, content=msgspec.json.encode(body)
    )

    assert wrong_fields(answer) == {"confidence"}


@together
@pytest.mark.parametrize(
    ("sent", "kept"), [("0", 0), ("100", 100), ("89.5", 89.5), ("1e1", 10), ("0.1", 0.1), ("1e-300", 1e-300)]
)
async def test_a_confidence_keeps_its_fraction(
    shared: Api, admin: dict[str, str], sent: str, kept: float
) -> None:
    body = submission(f"sure-{sent}", confidence=msgspec.Raw(sent.encode()))
    await shared.client.post(
        SUBMIT, headers={**admin, "content-type": "application/json"}, content=msgspec.json.encode(body)
    )

    item = (await shared.client.get(f"/api/decisions/sure-{sent}", headers=admin)).json()

    assert item["confidence"] == kept


@together
@pytest.mark.parametrize(("field", "limit"), TEXT_LIMITS.items())
async def test_a_text_is_as_long_as_its_limit_and_no_longer(
    shared: Api, admin: dict[str, str], field: str, limit: int
) -> None:
    await submit(shared, admin, f"long-{field}", **{field: "é" * limit})

    answer = await shared.client.post(
        SUBMIT, headers=admin, json=submission(f"longer-{field}", **{field: "é" * (limit + 1)})
    )

    assert wrong_fields(answer) == {field}


@together
async def test_a_summary_is_up_to_64_kb_and_no_longer(shared: Api, admin: dict[str, str]) -> None:
    await submit(shared, admin, "long-summary", forensic_summary="s" * 65_536)

    answer = await shared.client.post(
        SUBMIT, headers=admin, json=submission("x", forensic_summary="s" * 65_537)
    )

    assert wrong_fields(answer) == {"forensic_summary"}


@together
@pytest.mark.parametrize("field", ["iocs", "ttps", "recommended_actions"])
async def test_a_list_has_up_to_a_thousand_entries(shared: Api, admin: dict[str, str], field: str) -> None:
    await submit(shared, admin, f"list-{field}", **{field: ["x" * 700] * 1_000})
    await submit(shared, admin, f"empty-{field}", **{field: []})

    for wrong in (["x"] * 1_001, ["x" * 2_001], "x", [1], [None], {"0": "x"}, None):
        answer = await shared.client.post(SUBMIT, headers=admin, json=submission("x", **{field: wrong}))
        assert wrong_fields(answer) == {field}


@together
async def test_all_wrong_fields_are_named_at_once(shared: Api, admin: dict[str, str]) -> None:
    body = submission("x", priority="urgent", confidence=101, iocs="one", created_at="yesterday")

    answer = await shared.client.post(SUBMIT, headers=admin, json=body)

    assert wrong_fields(answer) == {"priority", "confidence", "iocs", "created_at"}


@together
async def test_unknown_fields_are_ignored_however_deep(shared: Api, admin: dict[str, str]) -> None:
    deep = b"[" * 200 + b"]" * 200
    body = msgspec.json.encode(submission("unknown-fields", mitre_version=14, extra=msgspec.Raw(deep)))

    answer = await shared.client.post(
        SUBMIT, headers={**admin, "content-type": "application/json"}, content=body
    )

    assert answer.status_code == 200
    item = await shared.client.get("/api/decisions/unknown-fields", headers=admin)
    assert not {"mitre_version", "extra"} & item.json().keys()
    assert fixed(item) == {**submission("unknown-fields"), "status": "pending"}


@together
@pytest.mark.parametrize(
    ("more", "named"),
    [
        (b',"priority":"low"}', "'priority'"),
        (b',"pri\\u006frity":"low"}', "'priority'"),
        (b',"extra":[{"a":1,"b":2,"a":3}]}', "'a'"),
    ],
)
async def test_a_name_that_stands_twice_is_refused_wherever_it_stands(
    shared: Api, admin: dict[str, str], more: bytes, named: str
) -> None:
    body = msgspec.json.encode(submission("twice"))

    answer = await shared.client.post(
        SUBMIT, headers={**admin, "content-type": "application/json"}, content=body[:-1] + more
    )

    assert wrong_fields(answer) == {"body"}
    assert answer.json()["errors"][0]["message"] == f"names {named} twice in one object"
    assert_refused(await shared.client.get("/api/decisions/twice", headers=admin), 404)


@together
async def test_what_is_passed_over_is_text_too(shared: Api, admin: dict[str, str]) -> None:
    body = msgspec.json.encode(submission("passed-over"))

    answer = await shared.client.post(
        SUBMIT, headers={**admin, "content-type": "application/json"}, content=body[:-1] + b',"x":"\xff"}'
    )

    assert wrong_fields(answer) == {"body"}


@together
@pytest.mark.parametrize(
    "text",
    [
        "🦉🏽‍🚒",
        "שלום \u202e עולם",
        "Z̸̡̢a̷͜l̶g̷o",
        "\u0001\u001f \ufeff \uffff",
        "line\r\nline",
        "<script>alert(1)</script>",
        "'; drop table ledger.events; --",
        '\\u0041 \\ "',
        "\\\\u0000",
        "\u2028\u2029",
        "\U0001d54f" * 1_000,
    ],
)
async def test_text_comes_back_verbatim(shared: Api, admin: dict[str, str], text: str) -> None:
    analysis_id = f"text-{abs(hash(text))}"
    await submit(shared, admin, analysis_id, forensic_summary=text, iocs=[text], attributed_actor=text)

    answer = await shared.client.get(f"/api/decisions/{analysis_id}", headers=admin)

    item = answer.json()
    assert (item["forensic_summary"], item["iocs"], item["attributed_actor"]) == (text, [text], text)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("unseen", ["\u200b", "\u202e", "\u2066", "\u2028", "\u0085", "\ufeff"])
@together
async def test_no_id_holds_what_nobody_sees(shared: Api, admin: dict[str, str], unseen: str) -> None:
    body = submission(f"A{unseen}1")

    answer = await shared.client.post("/api/decisions/submit", headers=admin, json=body)

    assert wrong_fields(answer) == {"analysis_id"}

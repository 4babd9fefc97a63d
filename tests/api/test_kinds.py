"""Kinds of items over HTTP: registered by administrators, versioned, submitted by everybody who submits."""

import asyncio
import json

import pytest

from ledger.domain.authority import Role
from tests.api.answers import assert_refused, decide, fixed, together, wrong_fields
from tests.support.http import Api, submission

KINDS = "/api/kinds"
SUBMIT = "/api/decisions/submit"
PAYMENT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["amount", "to"],
    "additionalProperties": False,
    "properties": {
        "amount": {"type": "number", "exclusiveMinimum": 0},
        "to": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{4}$"},
        "when": {"type": "string", "format": "date"},
    },
}
LAXER = {"type": "object"}


async def register(api: Api, headers: dict[str, str], name: str, **more: object) -> dict[str, object]:
    body = {"name": name, "title": f"A {name}", "schema": PAYMENT, **more}
    answer = await api.client.post(KINDS, headers=headers, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def of(kind: str, analysis_id: str, **more: object) -> dict[str, object]:
    return {
        "analysis_id": analysis_id,
        "kind": kind,
        "payload": {"amount": 12.5, "to": "DE1234"},
        "priority": "high",
        "created_at": "2026-03-01T08:30:00Z",
        **more,
    }


@together
async def test_an_item_of_a_registered_kind_is_shown_as_it_was_sent(
    shared: Api, admin: dict[str, str]
) -> None:
    await register(shared, admin, "verbatim")
    body = json.dumps(of("verbatim", "V-1")).replace("12.5", "12.50").replace('"to": ', '"to":   ')

    answer = await shared.client.post(
        SUBMIT, headers={**admin, "Content-Type": "application/json"}, content=body
    )

    assert answer.status_code == 200, answer.text
    shown = await shared.client.get("/api/decisions/V-1", headers=admin)
    assert '"payload":{"amount": 12.50, "to":   "DE1234"}' in shown.text
    assert (shown.json()["kind"], shown.json()["kind_version"]) == ("verbatim", 1)


@together
async def test_an_item_keeps_the_version_it_was_submitted_under(shared: Api, admin: dict[str, str]) -> None:
    await register(shared, admin, "revised")
    assert (await shared.client.post(SUBMIT, headers=admin, json=of("revised", "K-1"))).status_code == 200

    revised = await shared.client.post(
        f"{KINDS}/revised/revise", headers=admin, json={"schema": LAXER, "reason": "fewer fields"}
    )
    assert revised.json() == {"message": "Kind revised", "kind": "revised", "kind_version": 2}
    assert (
        await shared.client.post(SUBMIT, headers=admin, json=of("revised", "K-2", payload={}))
    ).status_code == 200

    versions = [
        (await shared.client.get(f"/api/decisions/{item}", headers=admin)).json()["kind_version"]
        for item in ("K-1", "K-2")
    ]
    assert versions == [1, 2]
    told = (await shared.client.get(f"{KINDS}/revised", headers=admin)).json()
    assert [one["schema"] for one in told["versions"]] == [PAYMENT, LAXER]
    assert [(one["by"], one["reason"]) for one in told["versions"]] == [
        ("admin", ""),
        ("admin", "fewer fields"),
    ]


@together
async def test_a_revision_that_changes_nothing_is_none(shared: Api, admin: dict[str, str]) -> None:
    await register(shared, admin, "same")

    again = await shared.client.post(f"{KINDS}/same/revise", headers=admin, json={"schema": PAYMENT})

    assert again.json()["kind_version"] == 1
    assert len((await shared.client.get(f"{KINDS}/same", headers=admin)).json()["versions"]) == 1


@together
async def test_no_more_items_of_a_retired_kind(shared: Api, admin: dict[str, str]) -> None:
    await register(shared, admin, "old")
    await shared.client.post(SUBMIT, headers=admin, json=of("old", "OLD-1"))

    retired = await shared.client.post(f"{KINDS}/old/retire", headers=admin, json={"reason": "over"})

    assert retired.json() == {"message": "Kind retired", "kind": "old", "kind_version": None}
    refused = await shared.client.post(SUBMIT, headers=admin, json=of("old", "OLD-2"))
    assert_refused(refused, 409, "retired")
    assert refused.json()["code"] == "kind-retired"
    told = (await shared.client.get(f"{KINDS}/old", headers=admin)).json()
    assert told["is_retired"]
    assert told["retired"]["reason"] == "over"
    assert_refused(
        await shared.client.post(f"{KINDS}/old/revise", headers=admin, json={"schema": LAXER}), 409
    )
    assert (await shared.client.get("/api/decisions/OLD-1", headers=admin)).status_code == 200


@together
async def test_a_repeated_submission_has_its_answer_though_the_kind_is_retired(
    shared: Api, admin: dict[str, str]
) -> None:
    await register(shared, admin, "gone")
    keyed = {**admin, "Idempotency-Key": "gone-1"}
    first = await shared.client.post(SUBMIT, headers=keyed, json=of("gone", "G-1"))
    await shared.client.post(f"{KINDS}/gone/retire", headers=admin, json={"reason": "over"})

    again = await shared.client.post(SUBMIT, headers=keyed, json=of("gone", "G-1"))

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["ledger-position"] == first.headers["ledger-position"]


@together
async def test_an_unknown_kind_is_refused(shared: Api, admin: dict[str, str]) -> None:
    for kind in ("nobody_knows_it", "", "Not A Name", "x" * 200):
        refused = await shared.client.post(SUBMIT, headers=admin, json=of(kind, "U-1"))
        assert_refused(refused, 422, "Nobody knows this kind")
        assert refused.json()["code"] == "unknown-kind"
    assert_refused(await shared.client.get("/api/decisions/U-1", headers=admin), 404)


@together
async def test_a_payload_that_does_not_fit_is_refused_with_the_places(
    shared: Api, admin: dict[str, str]
) -> None:
    await register(shared, admin, "strict")
    payload = {"amount": -3, "to": "a secret account", "when": "yesterday", "more": 1}

    refused = await shared.client.post(SUBMIT, headers=admin, json=of("strict", "S-1", payload=payload))

    assert refused.json()["code"] == "invalid-payload"
    assert wrong_fields(refused) == {"/payload", "/payload/amount", "/payload/to", "/payload/when"}
    assert "a secret account" not in refused.text
    assert_refused(await shared.client.get("/api/decisions/S-1", headers=admin), 404)


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ("[]", "is not an object"),
        ('"text"', "is not an object"),
        ("null", "is not an object"),
        ('{"amount": 1, "amount": 2, "to": "DE1234"}', "twice"),
        ('{"amount": 1e999, "to": "DE1234"}', "too large"),
        ('{"amount": 99999999999999999999, "to": "DE1234"}', "64 bits"),
        ('{"amount": 1, "to": "DE\\u0000"}', "cannot be stored"),
        ('{"amount": 1, "to": "\\ud800"}', "not valid JSON"),
        ('{"amount": ' + "[" * 60 + "]" * 60 + "}", "levels deep"),
        ('{"to": "' + "x" * 70_000 + '"}', "bytes"),
    ],
)
@together
async def test_a_payload_that_readers_could_take_differently_is_refused(
    shared: Api, admin: dict[str, str], payload: str, says: str
) -> None:
    body = json.dumps(of("odd", "O-1")).replace('{"amount": 12.5, "to": "DE1234"}', payload)
    if (await shared.client.get(f"{KINDS}/odd", headers=admin)).status_code == 404:
        await register(shared, admin, "odd", schema=LAXER)

    refused = await shared.client.post(
        SUBMIT, headers={**admin, "Content-Type": "application/json"}, content=body
    )

    assert_refused(refused, 422)
    assert says in " ".join(error["message"] for error in refused.json()["errors"])


@together
async def test_a_name_that_stands_twice_in_a_payload_is_told_of_the_payload(
    shared: Api, admin: dict[str, str]
) -> None:
    await register(shared, admin, "doubled", schema=LAXER)
    body = json.dumps(of("doubled", "D-1")).replace('"amount": 12.5', '"amount": 1, "amount": 2')

    refused = await shared.client.post(
        SUBMIT, headers={**admin, "Content-Type": "application/json"}, content=body
    )

    assert wrong_fields(refused) == {"/payload"}
    assert refused.json()["code"] == "invalid-payload"


@together
async def test_the_built_in_kind_can_be_submitted_either_way(shared: Api, admin: dict[str, str]) -> None:
    whole = submission("B-1")
    payload = {name: whole[name] for name in whole if name not in ("analysis_id", "priority", "created_at")}
    await shared.client.post(SUBMIT, headers=admin, json=submission("B-2"))

    answer = await shared.client.post(
        SUBMIT, headers=admin, json=of("threat_analysis", "B-1", payload=payload)
    )

    assert answer.status_code == 200, answer.text
    one, other = [
        fixed(await shared.client.get(f"/api/decisions/{item}", headers=admin)) for item in ("B-1", "B-2")
    ]
    assert one == {**other, "analysis_id": "B-1"}


@together
async def test_a_payload_of_the_built_in_kind_is_checked_too(shared: Api, admin: dict[str, str]) -> None:
    whole = submission("B-3", confidence=101, more=1)
    for name in ("analysis_id", "priority", "created_at", "iocs"):
        del whole[name]

    refused = await shared.client.post(
        SUBMIT, headers=admin, json=of("threat_analysis", "B-3", payload=whole)
    )

    assert {"/payload/confidence", "/payload/iocs"} <= wrong_fields(refused)


@together
async def test_unknown_fields_beside_a_payload_are_refused(shared: Api, admin: dict[str, str]) -> None:
    refused = await shared.client.post(SUBMIT, headers=admin, json=of("strict", "F-1", severity="high"))

    assert_refused(refused, 422)
    assert "severity" in refused.text


@together
async def test_it_is_submitted_on_behalf_of_somebody_who_then_may_not_decide(
    shared: Api, admin: dict[str, str], analyst: dict[str, str]
) -> None:
    await register(shared, admin, "wish")
    asked = of("wish", "W-1", on_behalf_of="sam")
    assert (await shared.client.post(SUBMIT, headers=admin, json=asked)).status_code == 200

    refused = await decide(shared, analyst, "W-1", approved_actions=["custom"])

    assert_refused(refused, 403, "submitted themselves")
    unknown = of("wish", "W-2", on_behalf_of="nobody")
    assert wrong_fields(await shared.client.post(SUBMIT, headers=admin, json=unknown)) == {"on_behalf_of"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "Bad Name"}, "bad-kind-name"),
        ({"title": " "}, "bad-kind-title"),
        ({"schema": {"type": "strange"}}, "invalid-schema"),
        ({"schema": []}, "invalid-schema"),
        ({"schema": True}, "invalid-schema"),
        ({"schema": "{}"}, "invalid-schema"),
        ({"more": 1}, "invalid-request"),
    ],
)
@together
async def test_what_is_wrong_with_a_kind_is_told(
    shared: Api, admin: dict[str, str], body: dict[str, object], code: str
) -> None:
    whole = {"name": "fine", "title": "Fine", "schema": LAXER, **body}

    refused = await shared.client.post(KINDS, headers=admin, json=whole)

    assert_refused(refused, 422)
    assert refused.json()["code"] == code


@together
async def test_a_name_is_taken_once_and_the_built_in_one_never(shared: Api, admin: dict[str, str]) -> None:
    await register(shared, admin, "taken")
    for name, code in (("taken", "kind-exists"), ("threat_analysis", "built-in-kind")):
        body = {"name": name, "title": "Again", "schema": LAXER}
        refused = await shared.client.post(KINDS, headers=admin, json=body)
        assert_refused(refused, 409)
        assert refused.json()["code"] == code
    for act, body in (("revise", {"schema": LAXER}), ("retire", {"reason": "x"})):
        refused = await shared.client.post(f"{KINDS}/threat_analysis/{act}", headers=admin, json=body)
        assert_refused(refused, 409, "built in")


@together
async def test_what_nobody_registered_is_not_found(shared: Api, admin: dict[str, str]) -> None:
    for path in ("", "x" * 300, "nothing"):
        if path:
            assert_refused(await shared.client.get(f"{KINDS}/{path}", headers=admin), 404)
    for act, body in (("revise", {"schema": LAXER}), ("retire", {"reason": "x"})):
        refused = await shared.client.post(f"{KINDS}/nothing/{act}", headers=admin, json=body)
        assert_refused(refused, 404)
        assert refused.json()["code"] == "kind-not-found"


@together
async def test_the_list_has_the_built_in_kind_and_pages(shared: Api, admin: dict[str, str]) -> None:
    for name in ("a_first", "zz_last"):
        await register(shared, admin, name)
    found: list[dict[str, object]] = []
    path: str | None = f"{KINDS}?limit=3"
    while path is not None:
        answer = await shared.client.get(path, headers=admin)
        found += answer.json()
        link = answer.headers.get("link")
        path = None if link is None else link.partition(">")[0].removeprefix("<")

    names = [one["kind"] for one in found]
    assert names == sorted(set(names))
    assert {"a_first", "threat_analysis", "zz_last"} <= set(names)
    (built_in,) = [one for one in found if one["is_built_in"]]
    assert (built_in["kind_version"], built_in["registered_at"]) == (1, None)


@together
async def test_the_built_in_kind_tells_its_schema(shared: Api, admin: dict[str, str]) -> None:
    told = (await shared.client.get(f"{KINDS}/threat_analysis", headers=admin)).json()

    assert told["is_built_in"]
    assert "forensic_summary" in json.dumps(told["versions"][0]["schema"])


@together
async def test_a_revision_can_insist_on_what_was_read(shared: Api, admin: dict[str, str]) -> None:
    await register(shared, admin, "careful")
    tag = (await shared.client.get(f"{KINDS}/careful", headers=admin)).headers["etag"]
    await shared.client.post(f"{KINDS}/careful/revise", headers=admin, json={"schema": LAXER})

    late = await shared.client.post(
        f"{KINDS}/careful/revise", headers={**admin, "If-Match": tag}, json={"schema": PAYMENT}
    )

    assert_refused(late, 412)


@together
async def test_a_machine_reads_kinds_with_the_key_it_submits_with(shared: Api, admin: dict[str, str]) -> None:
    await shared.newcomer("engine", Role.SERVICE)
    made = await shared.client.post(
        "/api/keys", headers=admin, json={"username": "engine", "scopes": ["decisions:submit"]}
    )
    engine = {"Authorization": f"Bearer {made.json()['key']}"}
    await register(shared, admin, "machine")

    assert (await shared.client.get(KINDS, headers=engine)).status_code == 200
    assert (await shared.client.get(f"{KINDS}/machine", headers=engine)).status_code == 200
    assert (await shared.client.post(SUBMIT, headers=engine, json=of("machine", "M-1"))).status_code == 200
    assert_refused(await shared.client.post(KINDS, headers=engine, json={}), 403)
    question = {"kind": "machine", "payload": {}}
    simulated = await shared.client.post("/api/policies/simulate", headers=engine, json=question)
    assert simulated.status_code == 200
    assert_refused(await shared.client.get("/api/policies", headers=engine), 403)


@together
async def test_a_kind_that_is_revised_at_the_same_time_is_never_mixed_up(
    shared: Api, admin: dict[str, str]
) -> None:
    await register(shared, admin, "racing")

    async def revise(number: int) -> None:
        schema = {**LAXER, "title": str(number)}
        await shared.client.post(f"{KINDS}/racing/revise", headers=admin, json={"schema": schema})

    submitted, *_ = await asyncio.gather(
        asyncio.gather(
            *(
                shared.client.post(SUBMIT, headers=admin, json=of("racing", f"RACE-{number}"))
                for number in range(10)
            )
        ),
        *(revise(number) for number in range(5)),
    )

    assert {answer.status_code for answer in submitted} <= {200, 409}
    versions = [
        one["kind_version"]
        for one in (await shared.client.get(f"{KINDS}/racing", headers=admin)).json()["versions"]
    ]
    assert versions == list(range(1, len(versions) + 1))

"""Policies over HTTP: drafted by one administrator, published by another, snapshotted by every submission."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from ledger.domain.authority import Role
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionSubmitted
from ledger.domain.ids import DecisionId
from ledger.domain.terms import Policy, default_policy
from ledger.store.streams import read_stream, recorded
from tests.api.answers import assert_refused, decide, submit, together, wrong_fields
from tests.api.test_kinds import SUBMIT, of, register
from tests.identity.house import MovingClock
from tests.support.http import Api

POLICIES = "/api/policies"
TERMS = {"allowed_actions": ["custom"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def boss(shared: Api) -> AsyncIterator[dict[str, str]]:
    """Another administrator of the shared application."""
    yield await shared.newcomer("boss", Role.ADMIN)


async def draft(api: Api, by: dict[str, str], kind: str, **terms: object) -> int:
    body = {"kind": kind, "terms": {**TERMS, **terms}, "reason": "tried"}
    answer = await api.client.post(POLICIES, headers=by, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["policy_version"]


async def act(api: Api, by: dict[str, str], kind: str, version: int, what: str) -> object:
    return await api.client.post(f"{POLICIES}/{kind}/{version}/{what}", headers=by, json={"reason": "agreed"})


async def publish(api: Api, admin: dict[str, str], boss: dict[str, str], kind: str, **terms: object) -> int:
    version = await draft(api, admin, kind, **terms)
    answer = await act(api, boss, kind, version, "publish")
    assert answer.status_code == 200, answer.text
    return version


async def snapshot(api: Api, item: str) -> Policy:
    """The policy that a submission holds."""
    stream = await read_stream(api.ledger, api.ledger.decision_stream(DecisionId(item)))
    event = recorded(stream.events[0], DECISION.event_types).event
    assert isinstance(event, DecisionSubmitted)
    return event.policy


@together
async def test_a_kind_without_a_policy_is_decided_by_the_default(shared: Api, admin: dict[str, str]) -> None:
    await register(shared, admin, "plain")
    await shared.client.post(SUBMIT, headers=admin, json=of("plain", "P-1"))

    told = (await shared.client.get(f"{POLICIES}/plain", headers=admin)).json()

    assert (told["policy_version"], told["is_default"]) == (1, True)
    assert [one["standing"] for one in told["versions"]] == ["default"]
    assert await snapshot(shared, "P-1") == default_policy("plain")


@together
async def test_what_is_published_holds_for_what_comes_and_changes_nothing_that_waits(
    shared: Api, admin: dict[str, str], boss: dict[str, str], analyst: dict[str, str]
) -> None:
    await register(shared, admin, "wire")
    await shared.client.post(SUBMIT, headers=admin, json=of("wire", "WIRE-1"))
    version = await publish(shared, admin, boss, "wire", approvals_needed=2)
    await shared.client.post(SUBMIT, headers=admin, json=of("wire", "WIRE-2"))

    first, second = await snapshot(shared, "WIRE-1"), await snapshot(shared, "WIRE-2")
    decided = [
        (await decide(shared, analyst, item, approved_actions=["custom"])).json()["status"]
        for item in ("WIRE-1", "WIRE-2")
    ]

    assert (version, first.version, second.version) == (2, 1, 2)
    assert (first.approvals_needed, second.approvals_needed) == (1, 2)
    assert decided == ["approved", "pending"]
    await publish(shared, admin, boss, "wire", approvals_needed=3)
    assert (await decide(shared, boss, "WIRE-2", approved_actions=["custom"])).json()["status"] == "approved"


@together
async def test_a_published_policy_holds_for_the_built_in_kind_too(
    shared: Api, admin: dict[str, str], boss: dict[str, str]
) -> None:
    version = await publish(shared, admin, boss, "threat_analysis", four_eyes=True)
    await submit(shared, admin, "T-1")

    assert (await snapshot(shared, "T-1")).version == version
    assert_refused(await decide(shared, admin, "T-1", approved_actions=["custom"]), 403, "themselves")
    assert (await act(shared, admin, "threat_analysis", version, "retire")).status_code == 200
    await submit(shared, admin, "T-2")
    assert await snapshot(shared, "T-2") == default_policy("threat_analysis")


@together
async def test_nobody_publishes_what_they_drafted(shared: Api, admin: dict[str, str]) -> None:
    await register(shared, admin, "alone")
    version = await draft(shared, admin, "alone")

    refused = await act(shared, admin, "alone", version, "publish")

    assert_refused(refused, 403, "Nobody publishes the policy that they drafted")
    assert refused.json()["code"] == "published-by-its-drafter"


@together
async def test_the_history_tells_who_did_what_and_why(
    shared: Api, admin: dict[str, str], boss: dict[str, str]
) -> None:
    await register(shared, admin, "told")
    await publish(shared, admin, boss, "told")
    await publish(shared, boss, admin, "told", four_eyes=False)
    await draft(shared, admin, "told")
    await act(shared, admin, "told", 4, "withdraw")
    await act(shared, admin, "told", 3, "retire")
    await draft(shared, admin, "told")

    told = (await shared.client.get(f"{POLICIES}/told", headers=admin)).json()

    assert [(one["policy_version"], one["standing"]) for one in told["versions"]] == [
        (1, "default"),
        (2, "superseded"),
        (3, "retired"),
        (4, "withdrawn"),
        (5, "draft"),
    ]
    second = told["versions"][1]
    assert (second["drafted"]["by"], second["drafted"]["reason"]) == ("admin", "tried")
    assert (second["published"]["by"], second["published"]["reason"]) == ("boss", "agreed")
    assert second["ended"]["by"] == "admin"
    assert second["terms"]["four_eyes"]
    assert told["is_default"]


@together
async def test_the_list_shows_what_holds_for_every_kind(
    shared: Api, admin: dict[str, str], boss: dict[str, str]
) -> None:
    for name in ("listed_a", "listed_b"):
        await register(shared, admin, name)
    await publish(shared, admin, boss, "listed_a", deadline_seconds=60)
    await draft(shared, admin, "listed_a")

    found: dict[str, dict[str, object]] = {}
    path: str | None = f"{POLICIES}?limit=2"
    while path is not None:
        answer = await shared.client.get(path, headers=boss)
        found |= {one["kind"]: one for one in answer.json()}
        link = answer.headers.get("link")
        path = None if link is None else link.partition(">")[0].removeprefix("<")

    shown = found["listed_a"]
    assert (shown["policy_version"], shown["is_default"], shown["drafts"]) == (2, False, [3])
    assert shown["published_by"] == "boss"
    assert shown["terms"]["deadline_seconds"] == 60
    assert found["listed_b"]["is_default"]
    assert "threat_analysis" in found


@together
async def test_a_policy_needs_a_kind_that_can_be_submitted(shared: Api, admin: dict[str, str]) -> None:
    await register(shared, admin, "short_lived")
    await shared.client.post("/api/kinds/short_lived/retire", headers=admin, json={"reason": "over"})

    for kind, status in (("nobody_knows", 404), ("short_lived", 409)):
        refused = await shared.client.post(POLICIES, headers=admin, json={"kind": kind, "terms": TERMS})
        assert_refused(refused, status)
    assert_refused(await shared.client.get(f"{POLICIES}/nobody_knows", headers=admin), 404)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"approvals_needed": 0}, "policy-out-of-range"),
        ({"approvals_needed": 2, "voters": 1}, "policy-too-few-voters"),
        ({"allowed_actions": []}, "policy-allows-nothing"),
        ({"groups": [{"group": "Legal", "approvals": 1}]}, "bad-group-name"),
        ({"groups": [{"group": "legal", "approvals": 2}]}, "policy-groups-need-too-many"),
        ({"ladder": ["a", "b", "c", "d"]}, "policy-ladder-too-long"),
        ({"editable_parameters": ["amount"]}, "bad-pointer"),
        ({"target_seconds": 60, "deadline_seconds": 60}, "policy-target-after-deadline"),
        ({"escalates_at_breach": True}, "policy-nothing-to-measure"),
        ({"default_outcome": "approve", "deadline_seconds": 60}, "policy-approves-by-default"),
    ],
)
@together
async def test_each_contradiction_is_told_by_its_own_code(
    shared: Api, admin: dict[str, str], terms: dict[str, object], code: str
) -> None:
    body = {"kind": "threat_analysis", "terms": {**TERMS, **terms}}

    refused = await shared.client.post(POLICIES, headers=admin, json=body)

    assert_refused(refused, 422)
    assert refused.json()["code"] == code
    question = {"kind": "threat_analysis", "payload": {}, "policy": body["terms"]}
    simulated = await shared.client.post(f"{POLICIES}/simulate", headers=admin, json=question)
    assert simulated.json()["code"] == code


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "threat_analysis"},
        {"kind": "threat_analysis", "terms": {}},
        {"kind": "threat_analysis", "terms": {**TERMS, "aprovals_needed": 2}},
        {"kind": "threat_analysis", "terms": {**TERMS, "approvals_needed": "2"}},
        {"kind": "threat_analysis", "terms": {**TERMS, "approvals_needed": 2**40}},
        {"kind": "threat_analysis", "terms": {**TERMS, "reason": "sometimes"}},
        {"kind": "threat_analysis", "terms": {**TERMS, "allowed_actions": ["launch"]}},
        {"kind": "threat_analysis", "terms": {**TERMS, "name": "mine"}},
    ],
)
@together
async def test_terms_are_read_strictly(shared: Api, admin: dict[str, str], body: dict[str, object]) -> None:
    assert wrong_fields(await shared.client.post(POLICIES, headers=admin, json=body)) <= {"terms", "body"}


@together
async def test_versions_that_are_not_there_are_not_found(
    shared: Api, admin: dict[str, str], boss: dict[str, str]
) -> None:
    await register(shared, admin, "sparse")
    version = await publish(shared, admin, boss, "sparse")
    for what in ("publish", "withdraw", "retire"):
        for other in (0, 1, version + 1, 10**30):
            refused = await act(shared, admin, "sparse", other, what)
            assert refused.status_code in (404, 422), refused.text
    for what, code in (("publish", "not-a-draft"), ("withdraw", "not-a-draft")):
        refused = await act(shared, boss, "sparse", version, what)
        assert_refused(refused, 409)
        assert refused.json()["code"] == code
    await act(shared, boss, "sparse", version, "retire")
    assert (await act(shared, boss, "sparse", version, "retire")).json()["code"] == "policy-not-in-force"


@together
async def test_of_two_who_publish_at_once_one_does(
    shared: Api, admin: dict[str, str], boss: dict[str, str]
) -> None:
    await register(shared, admin, "contested")
    chief = await shared.newcomer("chief", Role.ADMIN)
    version = await draft(shared, admin, "contested")

    answers = await asyncio.gather(
        *(act(shared, by, "contested", version, "publish") for by in (boss, chief, boss, chief))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    told = (await shared.client.get(f"{POLICIES}/contested", headers=admin)).json()
    assert told["policy_version"] == version


async def test_two_instances_publish_once(api: Api, second: Api) -> None:
    admin, boss = await api.login(), await api.newcomer("boss", Role.ADMIN)
    version = await draft(api, admin, "threat_analysis")

    answers = await asyncio.gather(
        *(act(instance, boss, "threat_analysis", version, "publish") for instance in (api, second) * 3)
    )

    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]


async def test_a_submission_never_holds_a_policy_that_was_replaced_before_it(api: Api, second: Api) -> None:
    """Whatever meets whatever: in the order of the log, every submission holds what was in force."""
    admin, boss = await api.login(), await api.newcomer("boss", Role.ADMIN)
    versions = [await draft(api, admin, "threat_analysis", lease_seconds=30 + n) for n in range(6)]

    async def replace_it() -> None:
        for version in versions:
            await act(second, boss, "threat_analysis", version, "publish")

    async def ask(number: int) -> int:
        answer = await api.client.post(
            SUBMIT, headers=admin, json={**of("threat_analysis", f"R-{number}"), "payload": THREAT}
        )
        return answer.status_code

    _, *asked = await asyncio.gather(replace_it(), *(ask(number) for number in range(40)))
    in_force, held, wrong = 1, 0, []
    async with api.ledger.pool.acquire() as conn:
        rows = await conn.fetch(
            "select type, convert_from(payload, 'UTF8') as payload from ledger.events"
            " where type in ('policy-published', 'decision-submitted') order by position"
        )
    for row in rows:
        if row["type"] == "policy-published":
            in_force = _number(row["payload"], "version")
        else:
            held += 1
            if _number(row["payload"].partition('"policy":')[2], "version") != in_force:
                wrong.append(row["payload"])

    assert wrong == []
    assert held == asked.count(200) >= 20
    assert set(asked) <= {200, 409}


def _number(payload: str, name: str) -> int:
    return int(payload.partition(f'"{name}":')[2].partition(",")[0].partition("}")[0])


THREAT = {
    "threat_level": "APT",
    "source_ip": "203.0.113.17",
    "confidence": 89.5,
    "iocs": [],
    "ttps": [],
    "recommended_actions": [],
    "forensic_summary": "Beacon.",
}


async def test_publishing_asks_whoever_has_a_second_factor_for_a_fresh_one(
    timed: Api, clock: MovingClock
) -> None:
    admin, boss = await timed.login(), await timed.newcomer("boss", Role.ADMIN)
    version = await draft(timed, admin, "threat_analysis")
    made = (await timed.client.post("/api/auth/2fa/setup", headers=boss)).json()
    code = _code(made["secret"], clock())
    enabled = await timed.client.post("/api/auth/2fa/verify", headers=boss, json={"code": code})
    assert enabled.status_code == 200, enabled.text

    refused = await act(timed, boss, "threat_analysis", version, "publish")
    assert_refused(refused, 401, "fresh second factor")
    clock.forward(seconds=60)
    proof = {"code": _code(made["secret"], clock())}
    assert (await timed.client.post("/api/auth/step-up", headers=boss, json=proof)).status_code == 200

    assert (await act(timed, boss, "threat_analysis", version, "publish")).status_code == 200


def _code(secret: str, now: datetime) -> str:
    import pyotp

    return pyotp.TOTP(secret).at(now)


async def test_a_simulation_tells_what_would_be_asked(timed: Api, clock: MovingClock) -> None:
    admin = await timed.login()
    await register(timed, admin, "payment")
    head = await timed.ledger.head()
    question = {
        "kind": "payment",
        "payload": {"amount": 12.5, "to": "DE1234"},
        "priority": "critical",
        "policy": {
            **TERMS,
            "approvals_needed": 3,
            "groups": [{"group": "legal", "approvals": 1}],
            "editable_parameters": ["/amount", "/when"],
            "target_seconds": 600,
            "deadline_seconds": 3600,
            "escalates_at_half": True,
            "escalates_at_breach": True,
            "ladder": ["leads"],
        },
    }

    answer = await timed.client.post(f"{POLICIES}/simulate", headers=admin, json=question)

    assert answer.status_code == 200, answer.text
    told = answer.json()
    now = clock()
    moments = [datetime.fromisoformat(told[name]) for name in ("asked_at", "target_at", "deadline_at")]
    assert moments == [now, now + timedelta(seconds=600), now + timedelta(seconds=3600)]
    assert [(step["cause"], step["level"], step["group"]) for step in told["steps"]] == [
        ("half_time", 1, "leads"),
        ("breach", 2, None),
    ]
    assert datetime.fromisoformat(told["steps"][0]["at"]) == now + timedelta(seconds=300)
    assert told["editable_parameters"] == [
        {"pointer": "/amount", "is_there": True, "value": 12.5},
        {"pointer": "/when", "is_there": False, "value": None},
    ]
    assert (told["is_valid"], told["errors"]) == (True, [])
    assert (told["policy_version"], told["is_default"], told["kind_version"]) == (None, False, 1)
    assert told["terms"]["groups"] == [{"group": "legal", "approvals": 1}]
    assert told["default_outcome"] == "deny"
    assert await timed.ledger.head() == head


@together
async def test_a_simulation_tells_what_is_wrong_with_a_payload(shared: Api, admin: dict[str, str]) -> None:
    await register(shared, admin, "simulated")
    question = {"kind": "simulated", "payload": {"amount": -1, "to": 5}}

    told = (await shared.client.post(f"{POLICIES}/simulate", headers=admin, json=question)).json()

    assert not told["is_valid"]
    assert {error["pointer"] for error in told["errors"]} == {"/amount", "/to"}
    assert (told["policy_version"], told["is_default"]) == (1, True)
    assert (told["deadline_at"], told["default_outcome"]) == (None, None)
    unknown = await shared.client.post(
        f"{POLICIES}/simulate", headers=admin, json={"kind": "nothing", "payload": {}}
    )
    assert unknown.json()["code"] == "unknown-kind"


@together
async def test_a_draft_that_was_sent_twice_is_one(shared: Api, admin: dict[str, str]) -> None:
    await register(shared, admin, "keyed")
    keyed = {**admin, "Idempotency-Key": "draft-once"}

    assert await draft(shared, keyed, "keyed") == 2
    assert await draft(shared, keyed, "keyed") == 2
    told = (await shared.client.get(f"{POLICIES}/keyed", headers=admin)).json()
    assert len(told["versions"]) == 2


@together
async def test_an_auditor_reads_policies_and_a_viewer_does_not(shared: Api, admin: dict[str, str]) -> None:
    auditor = await shared.newcomer("audrey", Role.AUDITOR)
    viewer = await shared.newcomer("vic", Role.VIEWER)

    for path in (POLICIES, f"{POLICIES}/threat_analysis"):
        assert (await shared.client.get(path, headers=auditor)).status_code == 200
        assert_refused(await shared.client.get(path, headers=viewer), 403)
    assert_refused(
        await shared.client.post(
            POLICIES, headers=auditor, json={"kind": "threat_analysis", "terms": TERMS, "reason": ""}
        ),
        403,
    )


@together
async def test_a_mark_that_can_hit_nothing_is_named_when_the_policy_is_published(
    shared: Api, admin: dict[str, str], boss: dict[str, str]
) -> None:
    await register(shared, admin, "marked")
    version = await draft(shared, admin, "marked", personal=["/amount", "/payee", "notes"], subject="/who")

    refused = await act(shared, boss, "marked", version, "publish")

    assert_refused(refused, 422)
    problem = refused.json()
    assert (problem["code"], problem["context"]) == ("policy-marks-hit-nothing", {"places": "/payee, /who"})
    told = (await shared.client.get(f"{POLICIES}/marked", headers=admin)).json()
    assert told["is_default"]


@together
async def test_a_policy_may_be_published_ahead_of_the_revision_that_brings_its_places(
    shared: Api, admin: dict[str, str], boss: dict[str, str]
) -> None:
    await register(shared, admin, "ahead")
    version = await draft(shared, admin, "ahead", personal=["/payee"])

    body = {"ahead_of_kind": True}
    answer = await shared.client.post(f"{POLICIES}/ahead/{version}/publish", headers=boss, json=body)

    assert answer.status_code == 200, answer.text

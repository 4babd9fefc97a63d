"""The past over HTTP: a decision and the queue as they were, and what hangs together."""

import asyncio
from datetime import datetime, timedelta

import httpx
import pytest
import pytest_asyncio
from msgspec.structs import replace

from ledger.domain.reading.decide import READING
from ledger.domain.terms import THREAT_ANALYSIS_POLICY
from ledger.reactions import releases, webhook_following
from ledger.store.ledger import reading_stream
from ledger.store.streams import read_stream, recorded
from tests.api.answers import assert_refused, decide, pending, submit, together, wrong_fields
from tests.builders import FOUR_EYES
from tests.support.desk import Desk
from tests.support.http import Api

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
LOOKS_BACK = (
    "decisions/CASE-1/state",
    "decisions/CASE-1/chain",
    "decisions/CASE-1/timeline",
    "queue",
    f"correlations/{TRACE}",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(desk: Desk) -> Desk:
    """A desk with an auditor, one decision that went its way, and two that wait."""
    await desk.seat("audrey", "auditor")
    engine = desk.people["engine"].headers
    traced = {**engine, "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    await submit(desk.api, engine, "OLDER", priority="low")
    await submit(desk.api, traced, "CASE-1")
    await desk.post("ana", "CASE-1/claim", {})
    await desk.post("ana", "CASE-1/comment", {"text": "Looks bad."})
    await decide(desk.api, desk.people["ana"].headers, "CASE-1", notes="Agreed.")
    await submit(desk.api, traced, "URGENT", priority="critical")
    return desk


async def get(desk: Desk, path: str, by: str = "audrey", **query: object) -> httpx.Response:
    return await desk.api.client.get(f"/api/audit/{path}", headers=desk.people[by].headers, params=query)


async def state(desk: Desk, name: str, at: str | None = None) -> dict:
    answer = await get(desk, f"decisions/{name}/state", **({} if at is None else {"at": at}))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def timeline(desk: Desk, name: str) -> list[dict]:
    return (await get(desk, f"decisions/{name}/timeline")).json()["entries"]


def parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


@together
async def test_a_decision_is_told_as_it_was_at_each_version(told: Desk) -> None:
    entries = await timeline(told, "CASE-1")
    was = [await state(told, "CASE-1", f"version:{entry['version']}") for entry in entries]

    assert [entry["type"] for entry in entries] == [
        *("decision-submitted", "decision-claimed", "comment-added", "vote-cast", "decision-resolved")
    ]
    assert [one["status"] for one in was] == ["pending", "in_review", "in_review", "in_review", "approved"]
    assert [one["decision"]["status"] for one in was] == [one["status"] for one in was]
    assert [one["at"]["position"] for one in was] == [entry["position"] for entry in entries]
    assert [one["decision"].get("comments", 0) for one in was] == [0, 0, 1, 1, 1]
    assert [one["decision"].get("lease", {}).get("holder") for one in was] == [
        None,
        "ana",
        "ana",
        "ana",
        None,
    ]
    assert [len(one["decision"].get("votes", [])) for one in was] == [0, 0, 0, 1, 1]
    assert [one["answer"] and one["answer"]["decided_by"] for one in was] == [None, None, None, None, "ana"]
    assert all(one["policy"]["name"] == THREAT_ANALYSIS_POLICY.name for one in was)


@together
async def test_without_a_moment_it_is_told_as_it_is(told: Desk) -> None:
    now = await state(told, "CASE-1")
    item = await told.get("ana", "CASE-1")
    response = await told.get("ana", "CASE-1/response")

    assert now["decision"] == item.json()
    assert now["answer"] == response.json()
    assert now["stream"] == told.stream("CASE-1")


@together
async def test_version_position_and_time_mean_the_same_moment(told: Desk) -> None:
    claimed = (await timeline(told, "CASE-1"))[1]
    recorded = claimed["recorded_at"]

    by_version = await state(told, "CASE-1", "version:2")
    by_position = await state(told, "CASE-1", f"position:{claimed['position']}")
    by_time = await state(told, "CASE-1", recorded)

    assert by_version == by_position
    assert by_time["decision"] == by_version["decision"]
    assert parsed(by_time["at"]["time"]) == parsed(recorded)


@together
async def test_a_lease_is_over_at_a_time_when_it_was(told: Desk) -> None:
    """No event says so: the time of the moment does."""
    name = "LEASED"
    await told.ask(name, ago=3_600)
    await told.claim(name, "ben")
    held = await state(told, name)
    assert held["decision"]["lease"]["holder"] == "ben"

    until = parsed(held["decision"]["lease"]["expires_at"])
    assert (await state(told, name, (until - timedelta(minutes=5)).isoformat()))["status"] == "pending"


@together
async def test_who_could_have_decided_is_told_and_why_the_others_could_not(told: Desk) -> None:
    await told.ask("OWN", "ana", policy=replace(FOUR_EYES, name="threat_analysis"))
    await told.claim("OWN", "ben")
    was = await state(told, "OWN", "version:2")
    hindered = {one["username"]: one["hindered_by"] for one in was["reviewers"]}

    assert was["reviewers_complete"] is True
    assert hindered["ben"] is None
    assert hindered["ana"] == "self-review"
    assert hindered["sam"] == "lease-held"
    assert not {"engine", "vic", "audrey"} & set(hindered)
    assert was["reviewers"][0]["username"] == "ben"
    assert (await state(told, "OWN", "version:1"))["reviewers"][-1]["hindered_by"] == "self-review"


@together
async def test_who_was_no_reviewer_then_could_not_have_decided(told: Desk) -> None:
    await told.ask("BEFORE")
    await told.seat("newcomer")

    then = await state(told, "BEFORE", "version:1")
    now = await state(told, "BEFORE")

    assert "newcomer" not in {one["username"] for one in then["reviewers"]}
    assert "newcomer" in {one["username"] for one in now["reviewers"]}


@together
async def test_once_it_is_decided_nobody_could_decide_it(told: Desk) -> None:
    assert (await state(told, "CASE-1"))["reviewers"] == []


@together
@pytest.mark.parametrize("at", ["3", "version:0", "position:x", "yesterday", "2400-01-01T00:00:00Z"])
async def test_a_moment_must_say_of_what_it_is(told: Desk, at: str) -> None:
    assert wrong_fields(await get(told, "decisions/CASE-1/state", at=at)) == {"at"}


@together
async def test_moments_that_never_were_are_refused(told: Desk) -> None:
    ahead = await get(told, "decisions/CASE-1/state", at="position:999999")
    later = await get(told, "decisions/CASE-1/state", at="2150-01-01T00:00:00Z")
    version = await get(told, "decisions/CASE-1/state", at="version:99")
    beyond = await get(told, "decisions/CASE-1/state", at=f"version:{2**31}")
    before = await get(told, "decisions/CASE-1/state", at="position:1")
    unknown = await get(told, "decisions/NOBODY/state")

    for answer, status, code in (
        (ahead, 422, "moment-not-reached"),
        (later, 422, "moment-not-reached"),
        (version, 404, "no-such-version"),
        (beyond, 404, "no-such-version"),
        (before, 404, "not-yet-submitted"),
        (unknown, 404, "not-yet-submitted"),
    ):
        assert_refused(answer, status)
        assert answer.json()["code"] == code


@together
async def test_the_queue_is_told_as_it_was(told: Desk) -> None:
    before, after = (await timeline(told, "CASE-1"))[0], (await timeline(told, "CASE-1"))[-1]

    open_then = (await get(told, "queue", at=f"position:{before['position']}")).json()
    decided = (await get(told, "queue", at=f"position:{after['position']}")).json()
    at_time = (await get(told, "queue", at=after["recorded_at"])).json()

    assert [item["analysis_id"] for item in open_then["items"]] == ["CASE-1", "OLDER"]
    assert [item["analysis_id"] for item in decided["items"]] == ["OLDER"]
    assert (decided["total"], decided["next"]) == (1, None)
    assert at_time["items"] == decided["items"]


@together
async def test_the_queue_of_now_is_the_queue(told: Desk) -> None:
    now = (await get(told, "queue", limit=100)).json()

    shown = await told.api.client.get(
        "/api/decisions/pending", headers=told.people["audrey"].headers, params={"limit": 100}
    )
    assert now["items"] == shown.json()
    assert now["total"] == len(await pending(told.api, told.people["audrey"].headers, limit=100))


@together
async def test_pages_of_the_queue_go_on_at_the_cursor(told: Desk) -> None:
    at = f"position:{await told.api.ledger.head()}"
    whole = (await get(told, "queue", at=at)).json()["items"]
    paged: list[dict] = []
    page = (await get(told, "queue", at=at, limit=2)).json()
    while page["next"] is not None:
        paged += page["items"]
        page = (await get(told, "queue", at=at, limit=2, cursor=page["next"])).json()

    assert paged + page["items"] == whole


@together
async def test_the_queue_has_no_versions(told: Desk) -> None:
    assert wrong_fields(await get(told, "queue", at="version:3")) == {"at"}


@together
async def test_a_chain_leads_from_a_response_to_what_shares_its_trace(told: Desk) -> None:
    body = (await get(told, "decisions/CASE-1/chain")).json()
    links = body["links"]

    own = [link for link in links if link["decision_id"] == "CASE-1"]
    assert [link["type"] for link in own] == [entry["type"] for entry in await timeline(told, "CASE-1")]
    assert all("own" in link["relations"] for link in own)
    (other,) = [link for link in links if link["decision_id"] == "URGENT"]
    assert (other["relations"], other["type"]) == (["same-trace"], "decision-submitted")
    assert other["correlation_id"] == TRACE
    assert body["is_complete"] is True
    assert {"ana", "engine"} <= set(body["people"].values())


@together
async def test_a_chain_leads_to_the_replacement_and_back(told: Desk) -> None:
    engine = told.people["engine"].headers
    await submit(told.api, engine, "FIRST")
    await submit(told.api, engine, "SECOND")
    answer = await told.post("engine", "FIRST/supersede", {"successor": "SECOND", "reason": "More is known."})
    assert answer.status_code == 200, answer.text

    forth = (await get(told, "decisions/FIRST/chain")).json()["links"]
    back = (await get(told, "decisions/SECOND/chain")).json()["links"]

    assert [(link["decision_id"], link["relations"]) for link in forth] == [
        ("FIRST", ["own"]),
        ("SECOND", ["superseded-by"]),
        ("FIRST", ["own"]),
    ]
    assert [(link["decision_id"], link["relations"]) for link in back] == [
        ("SECOND", ["own"]),
        ("FIRST", ["supersedes"]),
    ]


@together
async def test_a_chain_tells_what_webhooks_were_told(told: Desk) -> None:
    hooks, admin = told.api.services.webhooks, told.people["admin"].headers
    made = await told.api.client.post(
        "/api/webhooks",
        headers=admin,
        json={"url": "https://127.0.0.1/hook", "topics": ["decision.submitted"]},
    )
    assert made.status_code == 200, made.text
    await submit(told.api, told.people["engine"].headers, "TOLD")
    await decide(told.api, told.people["ana"].headers, "TOLD")
    while await webhook_following.follow(hooks):
        pass

    body = (await get(told, "decisions/TOLD/chain")).json()

    (sent,) = body["deliveries"]
    assert (sent["webhook_id"], sent["position"]) == (made.json()["webhook_id"], body["links"][0]["position"])
    assert (sent["topic"], sent["state"], sent["tried"]) == ("decision.submitted", "waiting", 0)


@together
async def test_a_trace_tells_what_a_request_did(told: Desk) -> None:
    links = (await get(told, f"correlations/{TRACE}")).json()["links"]

    assert [link["decision_id"] for link in links] == ["CASE-1", "URGENT"]
    assert {link["what"] for link in links} == {
        "submitted it, high, 89.5 % sure",
        "submitted it, critical, 89.5 % sure",
    }
    assert_refused(await get(told, f"correlations/{'0' * 32}"), 404, "not found")


@together
async def test_what_a_reaction_did_hangs_by_its_cause(told: Desk) -> None:
    """A session ends, and a reaction gives back what it held."""
    ben = await told.seat("bert")
    await submit(told.api, told.people["engine"].headers, "HELD")
    await told.post("bert", "HELD/claim", {})
    await told.api.client.post("/api/auth/logout", headers=ben.headers)
    giving_back = asyncio.create_task(releases.run_forever(told.api.ledger, told.api.services.clock))
    async with asyncio.timeout(20):
        while len(await timeline(told, "HELD")) < 3:
            await asyncio.sleep(0.02)
    giving_back.cancel()

    links = (await get(told, "decisions/HELD/chain")).json()["links"]
    (cause,) = [link for link in links if "cause" in link["relations"]]
    assert cause["type"] == "session-ended"
    assert links[-1]["causation_id"] == cause["event_id"]


@together
@pytest.mark.parametrize("path", LOOKS_BACK)
@pytest.mark.parametrize("who", ["ana", "engine", "vic"])
async def test_only_auditors_and_administrators_look_back(told: Desk, path: str, who: str) -> None:
    assert_refused(await get(told, path, by=who), 403, "Insufficient permissions")


@together
@pytest.mark.parametrize("path", LOOKS_BACK)
async def test_a_parameter_that_nobody_knows_is_not_passed_over(told: Desk, path: str) -> None:
    assert wrong_fields(await get(told, path, until="2026-03-02")) == {"until"}


@together
async def test_each_look_back_is_recorded(told: Desk, shared: Api) -> None:
    auditor = await told.seat("olga", "auditor")
    for path in ("decisions/CASE-1/state", "decisions/CASE-1/chain", "queue", f"correlations/{TRACE}"):
        assert (await get(told, path, by="olga")).status_code == 200

    stream = await read_stream(shared.ledger, reading_stream(auditor.session))
    calls = [recorded(one, READING.event_types).event.query.call for one in stream.events]
    assert calls == ["state", "chain", "queue", "correlation"]

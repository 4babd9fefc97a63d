"""ETag and If-Match: a command on what has changed since is refused, and told what happened."""

import asyncio

import pytest

from tests.api.answers import assert_refused, decide, submit, together, wrong_fields
from tests.support.http import Api, verdict


async def test_every_answer_about_a_decision_tells_its_version(api: Api) -> None:
    admin = await api.login()

    submitted = await submit(api, admin, "beacon-17")
    item = await api.client.get("/api/decisions/beacon-17", headers=admin)
    escalated = await decide(api, admin, "beacon-17", "escalated", escalation_reason="unsure")
    decided = await decide(api, admin, "beacon-17")
    response = await api.client.get("/api/decisions/beacon-17/response", headers=admin)

    answers = [submitted, item, escalated, decided, response]
    assert [answer.headers["etag"] for answer in answers] == ['"1"', '"1"', '"2"', '"4"', '"4"']


@pytest.mark.parametrize("if_match", ['"1"', "*", ' "1" '])
async def test_a_verdict_on_the_version_that_was_seen_counts(api: Api, if_match: str) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")

    answer = await decide(api, {**admin, "If-Match": if_match}, "beacon-17")

    assert answer.status_code == 200


async def test_a_verdict_on_an_older_version_is_refused_and_told_what_happened_since(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")
    await decide(api, admin, "beacon-17", "escalated", escalation_reason="unsure")
    before = await api.ledger.head()

    answer = await decide(api, {**admin, "If-Match": '"1"'}, "beacon-17")

    assert_refused(answer, 412, "changed since")
    assert answer.json()["context"] == {"expected": "1", "actual": "2", "since": "decision-escalated"}
    assert await api.ledger.head() == before


async def test_a_stale_version_of_a_decided_item_is_told_the_verdict(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")
    await decide(api, admin, "beacon-17")

    answer = await decide(api, {**admin, "If-Match": '"1"'}, "beacon-17")

    assert_refused(answer, 412)
    assert answer.json()["context"]["since"] == "vote-cast, decision-resolved"


async def test_a_version_that_never_was_is_refused(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")

    assert_refused(await decide(api, {**admin, "If-Match": '"7"'}, "beacon-17"), 412)


async def test_a_version_of_what_does_not_exist_is_first_of_all_not_found(api: Api) -> None:
    admin = await api.login()

    assert_refused(await decide(api, {**admin, "If-Match": '"1"'}, "unknown"), 404, "not found")


async def test_the_escalation_call_honours_if_match_too(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")

    answer = await api.client.post(
        "/api/decisions/beacon-17/escalate?escalation_reason=unsure", headers={**admin, "If-Match": '"2"'}
    )

    assert_refused(answer, 412)


@together
@pytest.mark.parametrize(
    "if_match",
    ["", "1", '"', '""', '"one"', 'W/"1"', '"1", "2"', '"-1"', '"1.5"', '"' + "9" * 10 + '"', "**"],
)
async def test_what_is_not_an_etag_of_ours_is_refused(
    shared: Api, admin: dict[str, str], if_match: str
) -> None:
    before = await shared.ledger.head()

    answer = await shared.client.post(
        "/api/decisions/beacon-17/decide", headers={**admin, "If-Match": if_match}, json=verdict("beacon-17")
    )

    assert wrong_fields(answer) == {"If-Match"}
    assert await shared.ledger.head() == before


async def test_of_many_who_saw_the_same_version_one_escalates(api: Api) -> None:
    admin = await api.login()
    await submit(api, admin, "beacon-17")
    headers = {**admin, "If-Match": '"1"'}

    answers = await asyncio.gather(
        *(decide(api, headers, "beacon-17", "escalated", escalation_reason=f"{n}") for n in range(10))
    )

    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 9]

"""Idempotency-Key: the same request with the same key happens once and is answered alike every time."""

import asyncio

import pytest
from httpx import Response

from tests.api.answers import PROBLEM, assert_refused, decide, log_in, submit, together, wrong_fields
from tests.support.databases import Database
from tests.support.http import PASSWORD, Api, cheap_passwords, registration, serving, submission, verdict

TOLD = ("etag", "ledger-position", "ledger-leaf-hash")
SUBMIT = "/api/decisions/submit"


def _same(answers: list[Response]) -> bool:
    """One answer, however often; but for its own request id."""
    told = [
        (answer.status_code, answer.content, *(answer.headers.get(name) for name in TOLD))
        for answer in answers
    ]
    return len(set(told)) == 1


async def test_a_submission_sent_again_gets_the_first_answer(api: Api) -> None:
    headers = {**await api.login(), "Idempotency-Key": "first try"[:5]}
    first = await api.client.post(SUBMIT, headers=headers, json=submission("beacon-17"))
    head = await api.ledger.head()

    again = await api.client.post(SUBMIT, headers=headers, json=submission("beacon-17"))

    assert first.status_code == 200
    assert _same([first, again])
    assert await api.ledger.head() == head


async def test_a_verdict_sent_again_gets_the_first_answer_after_everything_that_came_since(api: Api) -> None:
    sam, kim = await api.newcomer("sam"), await api.newcomer("kim")
    await submit(api, sam, "unsure")
    keyed = {**sam, "Idempotency-Key": "k"}
    first = await decide(api, keyed, "unsure", "escalated", escalation_reason="unsure")
    await decide(api, kim, "unsure")

    again = await decide(api, keyed, "unsure", "escalated", escalation_reason="unsure")

    assert first.json()["status"] == "escalated"
    assert _same([first, again])


async def test_the_escalation_call_takes_a_key(api: Api) -> None:
    keyed = {**await api.login(), "Idempotency-Key": "k"}
    await submit(api, await api.login(), "unsure")
    path = "/api/decisions/unsure/escalate?escalation_reason="

    answers = [await api.client.post(path + "why", headers=keyed) for _ in range(2)]

    assert _same(answers)
    assert answers[0].status_code == 200
    assert_refused(await api.client.post(path + "because", headers=keyed), 422, "another request")


async def test_accounts_are_changed_once_for_a_key(api: Api) -> None:
    keyed = {**await api.login(), "Idempotency-Key": "let-in"}
    answers = [
        await api.client.post("/api/auth/register", headers=keyed, json=registration("morgan"))
        for _ in range(2)
    ]
    assert _same(answers)
    assert answers[0].status_code == 200

    keyed = {**await api.login(), "Idempotency-Key": "keep-out"}
    path = "/api/auth/users/morgan/deactivate"
    answers = [await api.client.post(path, headers=keyed, json={"reason": "left"}) for _ in range(2)]

    assert _same(answers)
    assert_refused(await log_in(api, "morgan", PASSWORD), 400, "Inactive user")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SUBMIT, submission("beacon-17", priority="low")),
        (SUBMIT, submission("beacon-18")),
        (SUBMIT + "?", submission("beacon-17", confidence=1)),
        (SUBMIT + "?a=b", submission("beacon-17")),
        ("/api/decisions/beacon-17/decide", verdict("beacon-17")),
    ],
)
async def test_a_key_with_another_request_is_refused(api: Api, path: str, body: dict[str, object]) -> None:
    keyed = {**await api.login(), "Idempotency-Key": "k"}
    await submit(api, keyed, "beacon-17")
    before = await api.ledger.head()

    answer = await api.client.post(path, headers=keyed, json=body)

    assert_refused(answer, 422, "Idempotency-Key was used for another request")
    assert await api.ledger.head() == before


async def test_a_key_with_the_same_body_for_another_account_is_refused(api: Api) -> None:
    await api.newcomer("morgan")
    await api.newcomer("robin")
    keyed = {**await api.login(), "Idempotency-Key": "k"}
    body = {"reason": "left"}
    await api.client.post("/api/auth/users/morgan/deactivate", headers=keyed, json=body)

    answer = await api.client.post("/api/auth/users/robin/deactivate", headers=keyed, json=body)

    assert_refused(answer, 422, "Idempotency-Key was used for another request")
    assert (await log_in(api, "robin", PASSWORD)).status_code == 200


async def test_a_change_of_ones_own_password_sent_again_gets_the_first_answer(api: Api) -> None:
    new = "a new and longer password"
    body = {"new_password": new, "current_password": PASSWORD}
    path = "/api/auth/users/morgan/password"
    keyed = {**await api.newcomer("morgan"), "Idempotency-Key": "k"}
    first = await api.client.post(path, headers=keyed, json=body)

    keyed = {**await api.login("morgan", new), "Idempotency-Key": "k"}
    again = await api.client.post(path, headers=keyed, json=body)

    assert first.status_code == 200
    assert _same([first, again])
    assert (await api.client.get("/api/auth/me", headers=keyed)).status_code == 200


async def test_the_keys_of_two_callers_are_two_keys(api: Api) -> None:
    sam, kim = await api.newcomer("sam"), await api.newcomer("kim")

    await submit(api, {**sam, "Idempotency-Key": "k"}, "of-sam")
    await submit(api, {**kim, "Idempotency-Key": "k"}, "of-kim")


async def test_a_key_lasts_from_one_session_to_the_next(api: Api) -> None:
    first = await submit(api, {**await api.login(), "Idempotency-Key": "k"}, "beacon-17")

    again = await submit(api, {**await api.login(), "Idempotency-Key": "k"}, "beacon-17")

    assert _same([first, again])


async def test_a_refused_command_keeps_its_key_free(api: Api) -> None:
    keyed = {**await api.login(), "Idempotency-Key": "k"}
    assert_refused(await decide(api, keyed, "beacon-17"), 404)
    await submit(api, await api.login(), "beacon-17")

    assert (await decide(api, keyed, "beacon-17")).status_code == 200


async def test_a_key_survives_a_restart(database: Database) -> None:
    answers = []
    for _ in range(2):
        async with serving(database, passwords=cheap_passwords()) as api:
            keyed = {**await api.login(), "Idempotency-Key": "k"}
            answers.append(await submit(api, keyed, "beacon-17"))

    assert _same(answers)


async def test_fifty_at_once_with_one_key_have_one_effect(api: Api, second: Api) -> None:
    keyed = {**await api.login(), "Idempotency-Key": "k"}
    before = await api.ledger.head()

    answers = await asyncio.gather(
        *(submit((api, second)[number % 2], keyed, "beacon-17") for number in range(50))
    )

    assert _same(list(answers))
    assert await api.ledger.head() == before + 1


@together
@pytest.mark.parametrize("key", ["", " ", "k" * 256, "a b", b"\xff", "a\tb"])
async def test_a_key_is_visible_ascii(shared: Api, admin: dict[str, str], key: str | bytes) -> None:
    raw_key = key if isinstance(key, bytes) else key.encode()
    headers = [(b"authorization", admin["Authorization"].encode()), (b"idempotency-key", raw_key)]

    answer = await shared.client.post(SUBMIT, headers=headers, json=submission("x"))

    assert wrong_fields(answer) == {"Idempotency-Key"}


@together
@pytest.mark.parametrize("key", ["k", "k" * 255, "'; drop table ledger.events; --".replace(" ", "_")])
async def test_any_visible_ascii_is_a_key(shared: Api, admin: dict[str, str], key: str) -> None:
    await submit(shared, {**admin, "Idempotency-Key": key}, f"with-{len(key)}")


@together
async def test_logins_take_no_key(shared: Api) -> None:
    form = {"username": "admin", "password": PASSWORD}
    answers = [
        await shared.client.post("/api/auth/login", headers={"Idempotency-Key": "k"}, data=form)
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["access_token"] != answers[1].json()["access_token"]
    assert PROBLEM not in {answer.headers["content-type"] for answer in answers}

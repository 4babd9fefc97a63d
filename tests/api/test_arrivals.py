"""What a request's head may look like, whoever is asked: settled at the door, before anybody is let in."""

from collections.abc import Mapping

import pytest

from tests.api.answers import assert_refused, raw, together, wrong_fields
from tests.support.http import Api, submission

TWICE = {
    b"authorization": b"Bearer another",
    b"content-type": b"text/plain",
    b"idempotency-key": b"another",
    b"if-match": b'"2"',
}


def _headers(admin: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [
        (b"Authorization", admin["Authorization"].encode()),
        (b"Content-Type", b"application/json"),
        (b"Idempotency-Key", b"one"),
        (b"If-Match", b'"1"'),
    ]


@together
@pytest.mark.parametrize("name", TWICE)
async def test_a_header_that_may_stand_once_is_refused_when_it_stands_twice(
    shared: Api, admin: dict[str, str], name: bytes
) -> None:
    before = await shared.ledger.head()

    answer = await shared.client.post(
        "/api/decisions/submit",
        headers=[*_headers(admin), (name, TWICE[name])],
        json=submission("sent-with-two"),
    )

    assert {field.lower() for field in wrong_fields(answer)} == {name.decode()}
    assert await shared.ledger.head() == before


@together
@pytest.mark.parametrize("path", [b"//health", b"/health//live", b"/api//status", b"/api/decisions//pending"])
async def test_a_path_with_an_empty_part_is_not_found(
    shared: Api, admin: dict[str, str], path: bytes
) -> None:
    assert_refused(await raw(shared, "GET", path, headers=admin), 404, "not found")


@together
@pytest.mark.parametrize("coding", ["gzip, chunked", "chunked, chunked", "identity", "gzip", "x"])
async def test_a_transfer_coding_that_nobody_undoes_is_told_so(shared: Api, coding: str) -> None:
    answer = await shared.client.post("/api/auth/refresh", headers={"Transfer-Encoding": coding})

    assert_refused(answer, 501)
    assert answer.headers["connection"] == "close"


@together
@pytest.mark.parametrize("path", ["/health", "/api/auth/me", "/openapi.json", "/api/docs", "/metrics"])
async def test_head_answers_as_get_without_the_body(shared: Api, admin: dict[str, str], path: str) -> None:
    told = await shared.client.get(path, headers=admin)
    answer = await shared.client.head(path, headers=admin)

    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-type"] == told.headers["content-type"]
    assert int(answer.headers["content-length"]) > 0


@together
@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/api/auth/login", 405), ("/api/status", 401)]
)
async def test_head_is_refused_where_get_is(shared: Api, path: str, status: int) -> None:
    answer = await shared.client.head(path)

    assert answer.status_code == status
    assert answer.content == b""


TWICE_IN_A_QUERY = {
    "GET /api/decisions/pending?limit=1&limit=2": "limit",
    "GET /api/decisions/pending?priority=high&priority=low": "priority",
    "POST /api/decisions/an-item/escalate?escalation_reason=one&escalation_reason=other": "escalation_reason",
    "GET /api/decisions/an-item/response?wait=0&wait=0": "wait",
    "DELETE /api/keys/none?reason=one&reason=other": "reason",
    "GET /api/audit/events?limit=1&limit=2": "limit",
    "GET /tlog/checkpoints?from=1&%66rom=2": "from",
}


@together
@pytest.mark.parametrize("call", TWICE_IN_A_QUERY)
async def test_a_parameter_that_is_sent_twice_is_refused(
    shared: Api, admin: dict[str, str], call: str
) -> None:
    method, _, target = call.partition(" ")

    answer = await raw(shared, method, target.encode(), headers=admin)

    assert wrong_fields(answer) == {TWICE_IN_A_QUERY[call]}


@together
async def test_of_types_of_events_there_may_be_several(shared: Api, admin: dict[str, str]) -> None:
    several = "/api/audit/events?type=session-opened&type=account-registered"

    assert (await shared.client.get(several, headers=admin)).status_code == 200


@together
@pytest.mark.parametrize("name", ["username", "password"])
async def test_a_field_of_a_form_that_is_sent_twice_is_refused(shared: Api, name: str) -> None:
    sent = f"username=admin&password=wrong&{name}=other"
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = await shared.client.post("/api/auth/login", headers=form, content=sent)

    assert wrong_fields(answer) == {name}

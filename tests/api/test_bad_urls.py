"""Addresses that are not text, or hold what cannot be stored, are refused and leave no event."""

import pytest

from tests.api.answers import PROBLEM, assert_refused, raw, together, wrong_fields
from tests.support.http import Api, submission

REASON = b"/api/decisions/an-item/escalate?escalation_reason="
GARBLED = [b"%ff", b"%C3", b"%C3%28", b"%ed%a0%80", b"ok%F5%80%80%80", b"%c0%af"]


@together
@pytest.mark.parametrize("garbled", GARBLED)
@pytest.mark.parametrize("path", [b"/api/decisions/%b", b"/api/decisions/%b/response"])
async def test_an_id_that_is_not_utf_8_is_refused(
    shared: Api, admin: dict[str, str], path: bytes, garbled: bytes
) -> None:
    answer = await raw(shared, "GET", path % garbled, headers=admin)

    assert wrong_fields(answer) == {"analysis_id"}


@together
@pytest.mark.parametrize("garbled", [*GARBLED, b"%00"])
@pytest.mark.parametrize("order", [b"deactivate", b"reactivate", b"role", b"password"])
async def test_a_user_name_that_is_not_utf_8_or_holds_nul_is_refused(
    shared: Api, admin: dict[str, str], order: bytes, garbled: bytes
) -> None:
    path = b"/api/auth/users/mor%bgan/%b" % (garbled, order)

    assert wrong_fields(await raw(shared, "POST", path, headers=admin)) == {"username"}


@together
@pytest.mark.parametrize("garbled", [*GARBLED, b"%00", b"why%00not"])
async def test_a_reason_that_is_not_utf_8_or_holds_nul_is_refused(
    shared: Api, admin: dict[str, str], garbled: bytes
) -> None:
    await shared.client.post("/api/decisions/submit", headers=admin, json=submission("an-item"))
    before = await shared.ledger.head()

    answer = await raw(shared, "POST", REASON + garbled, headers=admin)

    assert wrong_fields(answer) == {"escalation_reason"}
    assert await shared.ledger.head() == before


@together
@pytest.mark.parametrize("query", [b"?%ff=1", b"?a=%ff", b"?priority=%ed%a0%80", b"?cursor=%00"])
async def test_a_query_that_is_not_utf_8_is_refused(shared: Api, admin: dict[str, str], query: bytes) -> None:
    assert_refused(await raw(shared, "GET", b"/api/decisions/pending" + query, headers=admin), 422)


@together
@pytest.mark.parametrize(
    "segment",
    [b"%00", b"a%00b", b"%01", b"%7f", b"%C2%85", b"%0a", b"%2e%2e", b"%2e", b"a" * 201, b"next", b"submit"],
)
async def test_an_id_that_nobody_can_have_is_refused(
    shared: Api, admin: dict[str, str], segment: bytes
) -> None:
    answer = await raw(shared, "GET", b"/api/decisions/%b/response" % segment, headers=admin)

    assert wrong_fields(answer) == {"analysis_id"}


@together
@pytest.mark.parametrize(
    "path",
    [
        b"/api/decisions/a%2fb",
        b"/api/decisions/an-item%2Fresponse",
        b"/health%2flive",
        b"/api/decisions/a/b/c",
        b"/api/decisions/%252e",
        b"/" + b"a/" * 2000,
        b"/api/docs/../../etc/passwd",
        b"/api/docs/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    ],
)
async def test_a_path_that_leads_nowhere_is_not_found(
    shared: Api, admin: dict[str, str], path: bytes
) -> None:
    assert_refused(await raw(shared, "GET", path, headers=admin), 404, "not found")


@together
@pytest.mark.parametrize(
    "name",
    [
        "accept",
        "authorization",
        "content-type",
        "cookie",
        "if-match",
        "idempotency-key",
        "origin",
        "user-agent",
    ],
)
@pytest.mark.parametrize("value", [b"\xff", b"\xed\xa0\x80", b"a" * 50_000, b'"', b";=;,"])
async def test_no_header_makes_the_service_stumble(
    shared: Api, admin: dict[str, str], name: str, value: bytes
) -> None:
    headers = {**admin, "content-type": "application/json"}
    told = [(key.encode(), text.encode()) for key, text in headers.items() if key.lower() != name]
    before = await shared.ledger.head()

    answer = await shared.client.post(
        "/api/decisions/submit", headers=[*told, (name.encode(), value)], content=b"{}"
    )

    assert answer.status_code in (401, 415, 422)
    assert answer.headers["content-type"] == PROBLEM
    assert await shared.ledger.head() == before

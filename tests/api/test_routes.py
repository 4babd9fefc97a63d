"""Every route: in the table of permissions, described in the OpenAPI document, unknown to nobody."""

import json
import re
from collections.abc import Iterator
from typing import Final

import httpx
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from ledger.api.app import ROUTES, openapi
from ledger.api.permissions import PERMISSIONS
from tests.api.answers import assert_refused, together
from tests.support.documented import Undocumented, check_documented
from tests.support.http import Api

PUBLIC: Final = {
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
    "GET /openapi.json",
    "GET /api/docs",
    "GET /api/docs/{asset}",
    "POST /api/auth/login",
    "POST /api/auth/refresh",
    "POST /api/auth/2fa/setup",
    "POST /api/auth/2fa/verify",
    "WS /ws/{username}",
    "GET /tlog/checkpoint",
    "GET /tlog/checkpoints",
    "GET /tlog/timestamps",
    "GET /tlog/tile/{path}",
}
"""The whole list of what answers without a session; 2fa/* and WS read their token themselves."""

CONTRACT: Final = {
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /health/database",
    "GET /api/status",
    "GET /api/docs",
    "GET /openapi.json",
    "GET /metrics",
    "POST /api/auth/register",
    "POST /api/auth/login",
    "POST /api/auth/refresh",
    "POST /api/auth/logout",
    "GET /api/auth/me",
    "POST /api/auth/2fa/setup",
    "POST /api/auth/2fa/verify",
    "POST /api/auth/users/{username}/deactivate",
    "POST /api/auth/users/{username}/reactivate",
    "POST /api/auth/users/{username}/role",
    "POST /api/auth/users/{username}/password",
    "POST /api/decisions/submit",
    "GET /api/decisions/pending",
    "GET /api/decisions/{analysis_id}",
    "POST /api/decisions/{analysis_id}/decide",
    "GET /api/decisions/{analysis_id}/response",
    "POST /api/decisions/{analysis_id}/escalate",
    "GET /api/decisions/stats/summary",
}


def _handlers() -> Iterator[tuple[str, HTTPRouteHandler]]:
    for route in Litestar(list(ROUTES), openapi_config=None).routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS":
                    yield f"{method} {route.path_format}", handler


HANDLERS: Final = dict(sorted(_handlers(), key=lambda found: found[0]))
GUARDED: Final = sorted(set(HANDLERS) - PUBLIC)
DOCUMENT: Final = json.loads(openapi())


def _operations() -> dict[str, dict]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }


def test_every_call_of_the_contract_has_a_route() -> None:
    assert set(HANDLERS) >= CONTRACT


def test_what_answers_without_a_session_is_this_list_and_no_more() -> None:
    assert {call for call, roles in PERMISSIONS.items() if roles is None} == PUBLIC


@together
@pytest.mark.parametrize("call", GUARDED)
async def test_a_guarded_call_without_a_token_is_refused(shared: Api, call: str) -> None:
    method, path = call.split(" ")
    before = await shared.ledger.head()

    answer = await shared.client.request(method, re.sub(r"{\w+}", "sam", path))

    assert_refused(answer, 401, "Not authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert await shared.ledger.head() == before


def test_the_document_is_openapi_3_1_with_name_and_version() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["info"]["title"]
    assert DOCUMENT["info"]["version"]


def test_the_document_describes_exactly_the_routes() -> None:
    assert set(_operations()) == set(HANDLERS)


def test_no_two_operations_have_one_id() -> None:
    ids = [operation["operationId"] for operation in _operations().values()]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("call", sorted(HANDLERS))
def test_every_operation_says_what_it_does_and_how_it_answers(call: str) -> None:
    operation = _operations()[call]

    assert operation["summary"].endswith(".")
    assert "200" in operation["responses"]
    assert all(response["description"] for response in operation["responses"].values())
    assert ("security" in operation) is (call not in PUBLIC or call.startswith("POST /api/auth/2fa/"))
    if call in GUARDED:
        assert {"401", "403", "422", "503"} <= set(operation["responses"])


@pytest.mark.parametrize("call", sorted(HANDLERS))
def test_every_part_of_a_path_is_a_required_parameter(call: str) -> None:
    named = set(re.findall(r"{(\w+)}", call))
    told = {
        parameter["name"]
        for parameter in _operations()[call].get("parameters", [])
        if parameter["in"] == "path" and parameter["required"]
    }

    assert told == named


def test_every_reference_leads_somewhere() -> None:
    references = list(_references(DOCUMENT))

    assert references
    for reference in references:
        found = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


@together
async def test_the_service_serves_the_document(shared: Api) -> None:
    answer = await shared.client.get("/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT


def _takes(call: str) -> set[str]:
    parameters = _operations()[call].get("parameters", [])
    return {parameter["name"] for parameter in parameters if parameter["in"] == "header"}


def test_the_document_tells_which_calls_take_a_key_and_a_condition() -> None:
    commands_on_decisions = {
        "POST /api/decisions/submit",
        "POST /api/decisions/{analysis_id}/decide",
        "POST /api/decisions/{analysis_id}/escalate",
    }

    assert {call for call in HANDLERS if "If-Match" in _takes(call)} >= commands_on_decisions
    assert {call for call in HANDLERS if "Idempotency-Key" in _takes(call)} >= {
        *commands_on_decisions,
        "POST /api/auth/register",
        "POST /api/auth/users/{username}/role",
    }
    assert _takes("POST /api/auth/login") == set()


@together
async def test_an_answer_that_the_document_does_not_tell_is_noticed(shared: Api) -> None:
    request = shared.client.build_request("GET", "/health")

    for answer in (
        httpx.Response(418, request=request),
        httpx.Response(200, request=request, headers={"Ledger-New": "1"}),
        httpx.Response(200, request=request, text="healthy"),
    ):
        with pytest.raises(Undocumented):
            await check_documented(answer)

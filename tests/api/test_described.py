"""What the description tells is what holds."""

import json

import pytest

from ledger.api.app import openapi
from tests.api.answers import together, wrong_fields
from tests.support.http import Api

pytestmark = together

DESCRIBED = json.loads(openapi())
PARAMETERS = [
    (f"{method.upper()} {path}", parameter)
    for path, operations in DESCRIBED["paths"].items()
    for method, operation in operations.items()
    for parameter in operation.get("parameters", ())
]


@pytest.mark.parametrize("path", ["/api/keys", "/api/webhooks/none", "/api/decisions/none/evidence"])
async def test_options_names_every_method_of_a_path(shared: Api, admin: dict[str, str], path: str) -> None:
    answer = await shared.client.options(path, headers=admin)

    template = {
        "/api/webhooks/none": "/api/webhooks/{webhook_id}",
        "/api/decisions/none/evidence": "/api/decisions/{analysis_id}/evidence",
    }.get(path, path)
    methods = {method.upper() for method in DESCRIBED["paths"][template]}
    assert answer.status_code == 204
    assert set(answer.headers["Allow"].split(", ")) == methods | {"OPTIONS", "HEAD"}


async def test_no_text_in_an_address_is_null():
    nullable = [
        (call, parameter["name"])
        for call, parameter in PARAMETERS
        for one in parameter["schema"].get("oneOf", ())
        if one.get("type") == "string" and "format" not in one
    ]
    assert nullable == []


@pytest.mark.parametrize("call", ["decide", "assign"])
async def test_a_decision_that_is_named_twice_is_told_by_the_field_it_stands_in(
    shared: Api, admin: dict[str, str], call: str
) -> None:
    wish = {
        "decide": {"act": "decide", "status": "approved", "approved_actions": [], "notes": "why"},
        "assign": {"act": "assign", "to": "admin", "reason": "why"},
    }[call]
    twice = [{"analysis_id": "one", "subject_digest": "0" * 64}] * 2
    body = {"wish": wish, "selection_digest": "0" * 64, "items": twice}

    answer = await shared.client.post(f"/api/decisions/bulk/{call}", headers=admin, json=body)

    assert wrong_fields(answer) == {"items"}

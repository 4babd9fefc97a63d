"""The lock on the HTTP interface: what would break a client is told, unless the changelog names it."""

from collections.abc import Callable
from datetime import date

import msgspec
import pytest

from tools.contract import Break, breaks, unexplained
from tools.event_types import ROOT
from tools.openapi_document import read_document
from tools.snapshots import SNAPSHOTS, broken_promises

TODAY = date(2027, 3, 1)
CHANGELOG = """# Changelog

## Unreleased

### Breaking

- `GET /gone` is gone: ask `GET /items` instead.

## 1.0.0

### Breaking

- `GET /older` was gone then.
"""


def described(**changed: object) -> dict[str, object]:
    """A small interface: one call that takes and answers an item."""
    item = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 20},
            "size": {"type": "integer"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "colour": {"enum": ["red", "blue"]},
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
        },
        "required": ["name"],
    } | changed
    return {
        "paths": {
            "/items": {
                "post": {
                    "parameters": [
                        {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 10}}
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}},
                    },
                    "responses": {
                        "200": {
                            "headers": {"ETag": {}},
                            "content": {
                                "application/json": {"schema": {"$ref": "#/components/schemas/Item"}}
                            },
                        },
                        "404": {},
                    },
                }
            }
        },
        "components": {"schemas": {"Item": item}},
    }


def found(change: Callable[[dict[str, object]], object]) -> list[str]:
    """What a change of the small interface breaks."""
    before = msgspec.json.encode(described())
    after = msgspec.json.decode(before)
    change(after)
    return [str(one) for one in breaks(before, msgspec.json.encode(after), on=TODAY)]


def post(document):
    return document["paths"]["/items"]["post"]


def item(document):
    return document["components"]["schemas"]["Item"]


def fields(document):
    return item(document)["properties"]


def test_an_interface_does_not_break_itself():
    assert found(lambda _: None) == []


BREAKING = {
    "a path that is gone": (lambda d: d["paths"].pop("/items"), "POST /items: is gone"),
    "a method that is gone": (lambda d: d["paths"]["/items"].pop("post"), "POST /items: is gone"),
    "a field that is gone from the answer": (
        lambda d: fields(d).pop("size"),
        "POST /items: 200.size: is not answered any more",
    ),
    "a field that is not taken any more": (
        lambda d: fields(d).pop("size"),
        "POST /items: body.size: is not taken any more",
    ),
    "a field that must be sent now": (
        lambda d: item(d)["required"].append("size"),
        "POST /items: body.size: must be sent now",
    ),
    "a field that may be missing now": (
        lambda d: item(d)["required"].remove("name"),
        "POST /items: 200.name: may be missing now",
    ),
    "a narrower limit": (
        lambda d: fields(d)["name"].update(maxLength=10),
        "POST /items: body.name: must be at most 10 now (max length)",
    ),
    "a new lower limit": (
        lambda d: fields(d)["size"].update(minimum=1),
        "POST /items: body.size: must be at least 1 now (minimum)",
    ),
    "another type sent": (
        lambda d: fields(d)["size"].update(type="string"),
        "POST /items: body.size: is not taken any more as integer",
    ),
    "another type answered": (
        lambda d: fields(d)["size"].update(type="string"),
        "POST /items: 200.size: is answered now as string",
    ),
    "a whole number that may have a fraction now": (
        lambda d: fields(d)["size"].update(type="number"),
        "POST /items: 200.size: is answered now as number",
    ),
    "null that is answered now": (
        lambda d: fields(d).update(size={"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        "POST /items: 200.size: is answered now as null",
    ),
    "null that is not taken any more": (
        lambda d: fields(d).update(note={"type": "string"}),
        "POST /items: body.note: is not taken any more as null",
    ),
    "a value that is not taken any more": (
        lambda d: fields(d)["colour"]["enum"].remove("blue"),
        "POST /items: body.colour: is not taken any more as blue",
    ),
    "a value that clients have never seen": (
        lambda d: fields(d)["colour"]["enum"].append("green"),
        "POST /items: 200.colour: is answered now as green",
    ),
    "a pattern": (
        lambda d: fields(d)["name"].update(pattern="a+"),
        "POST /items: body.name: must match another pattern now",
    ),
    "a parameter that is gone": (
        lambda d: post(d)["parameters"].clear(),
        "POST /items: query parameter limit: is not taken any more",
    ),
    "a parameter that must be sent now": (
        lambda d: post(d)["parameters"][0].update(required=True),
        "POST /items: query parameter limit: must be sent now",
    ),
    "a narrower parameter": (
        lambda d: post(d)["parameters"][0]["schema"].update(maximum=5),
        "POST /items: query parameter limit: must be at most 5 now (maximum)",
    ),
    "a success that is gone": (
        lambda d: post(d)["responses"].pop("200"),
        "POST /items: does not answer 200 any more",
    ),
    "a header that is gone": (
        lambda d: post(d)["responses"]["200"]["headers"].clear(),
        "POST /items: 200: header ETag is not answered any more",
    ),
    "a content type that is not answered any more": (
        lambda d: post(d)["responses"]["200"]["content"].clear(),
        "POST /items: 200: application/json is not answered any more",
    ),
    "a content type that is not taken any more": (
        lambda d: post(d)["requestBody"]["content"].clear(),
        "POST /items: body: application/json is not taken any more",
    ),
}
HARMLESS = {
    "a new path": lambda d: d["paths"].update({"/more": {"get": {}}}),
    "a new field that need not be sent": lambda d: fields(d).update(weight={"type": "number"}),
    "a new parameter that need not be sent": lambda d: post(d)["parameters"].append(
        {"name": "order", "in": "query", "schema": {"type": "string"}}
    ),
    "a new status": lambda d: post(d)["responses"].update({"202": {}}),
    "an error that does not happen any more": lambda d: post(d)["responses"].pop("404"),
    "a wider parameter": lambda d: post(d)["parameters"][0]["schema"].update(maximum=100),
    "another name of a component": lambda d: (
        d["components"]["schemas"].update(Thing=item(d))
        or post(d)["requestBody"]["content"]["application/json"].update(
            schema={"$ref": "#/components/schemas/Thing"}
        )
    ),
    "a description": lambda d: fields(d)["name"].update(description="what it is called"),
}


@pytest.mark.parametrize("what", BREAKING)
def test_what_breaks_a_client_is_told(what):
    change, told = BREAKING[what]
    assert told in found(change)


@pytest.mark.parametrize("what", HARMLESS)
def test_what_breaks_nobody_is_let_pass(what):
    assert found(HARMLESS[what]) == []


def test_that_a_parameter_is_not_null_any_more_breaks_nobody():
    before, after = described(), described()
    limit = {"oneOf": [{"type": "integer"}, {"type": "null"}], "maximum": 10}
    post(before)["parameters"][0]["schema"] = limit
    told = breaks(msgspec.json.encode(before), msgspec.json.encode(after), on=TODAY)
    assert told == []


def test_a_body_that_must_be_sent_now_is_told():
    before, after = described(), described()
    post(before)["requestBody"]["required"] = False
    told = breaks(msgspec.json.encode(before), msgspec.json.encode(after), on=TODAY)
    assert told == [Break("POST /items", "body: must be sent now")]


def deprecated(sunset):
    document = described()
    post(document).update({"deprecated": True, "x-sunset": sunset})
    return msgspec.json.encode(document)


NOTHING_LEFT = msgspec.json.encode({"paths": {}})


def test_a_deprecated_call_may_be_gone_from_its_sunset_on():
    assert breaks(deprecated("2027-03-01"), NOTHING_LEFT, on=TODAY) == []


def test_a_deprecated_call_may_not_be_gone_before_its_sunset():
    gone = Break("POST /items", "is gone")
    assert breaks(deprecated("2027-03-02"), NOTHING_LEFT, on=TODAY) == [gone]
    assert unexplained([gone], CHANGELOG.replace("GET /gone", "POST /items")) == []


def test_a_call_that_is_deprecated_without_a_sunset_may_not_be_gone():
    document = described()
    post(document)["deprecated"] = True
    assert breaks(msgspec.json.encode(document), NOTHING_LEFT, on=TODAY) == [Break("POST /items", "is gone")]


def test_a_sunset_that_is_brought_forward_breaks_a_promise():
    told = breaks(deprecated("2027-06-01"), deprecated("2027-05-01"), on=TODAY)
    assert told == [Break("POST /items", "goes before 2027-06-01, which is what clients were told")]


def test_to_deprecate_a_call_breaks_nobody():
    assert breaks(msgspec.json.encode(described()), deprecated("2027-09-01"), on=TODAY) == []


def test_a_break_passes_once_the_changelog_names_its_call():
    assert unexplained([Break("GET /gone", "is gone")], CHANGELOG) == []


def test_a_break_that_an_earlier_release_named_is_told():
    older = Break("GET /older", "is gone")
    assert unexplained([older], CHANGELOG) == [older]


def test_a_changelog_without_breaking_changes_excuses_nothing():
    gone = Break("GET /gone", "is gone")
    assert unexplained([gone], "# Changelog\n\n## Unreleased\n\n### Added\n\n- `GET /gone`\n") == [gone]


def test_the_gate_tells_what_the_next_description_would_break(tmp_path):
    kept, _ = SNAPSHOTS["openapi"]
    without = msgspec.json.decode(kept.read_bytes())
    without["paths"].pop("/health")
    told = broken_promises(kept, msgspec.json.encode(without).decode())
    assert told == ["Breaks clients: GET /health: is gone"]


def test_every_call_of_the_interface_is_compared():
    document = read_document(ROOT.joinpath("docs", "openapi.json").read_bytes())
    methods = [
        method
        for path in msgspec.json.decode(ROOT.joinpath("docs", "openapi.json").read_bytes())["paths"].values()
        for method in path
    ]
    assert len(document.calls()) == len(methods)

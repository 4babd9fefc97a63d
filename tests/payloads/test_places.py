"""A mark is refused where no payload of the kind can have anything, and taken wherever one might."""

import json

import pytest

from ledger.payloads.places import MarksHitNothing, must_be_places

APPLICANT = {"type": "object", "properties": {"id": {"type": "string"}}, "additionalProperties": False}
CLOSED = {
    "type": "object",
    "properties": {
        "applicant": {"$ref": "#/$defs/applicant"},
        "amount": {"type": "number"},
        "notes": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, APPLICANT], "items": False},
        "a/b": {},
    },
    "additionalProperties": False,
    "$defs": {"applicant": APPLICANT},
}


def takes(schema: dict, *pointers: str) -> bool:
    try:
        must_be_places(json.dumps(schema), pointers)
    except MarksHitNothing:
        return False
    return True


@pytest.mark.parametrize(
    "pointer", ["/applicant", "/applicant/id", "/amount", "/notes/1", "/pair/0", "/pair/1/id", "/a~1b/c/0"]
)
def test_a_place_of_the_schema_is_taken(pointer):
    assert takes(CLOSED, pointer)


@pytest.mark.parametrize(
    "pointer",
    ["/aplicant", "/applicant/name", "/amount/value", "/notes/2", "/notes/first", "/pair/2", "/a/b"],
)
def test_a_place_that_the_schema_keeps_empty_is_refused(pointer):
    assert not takes(CLOSED, pointer)


def test_a_schema_that_says_nothing_keeps_nothing_out():
    assert takes({}, "/anything", "/at/all/0")


@pytest.mark.parametrize(
    ("schema", "is_taken"),
    [
        ({"allOf": [{"properties": {"x": {}}}, {"additionalProperties": False}]}, False),
        ({"anyOf": [{"additionalProperties": False}, {"properties": {"x": {}}}]}, True),
        ({"oneOf": [{"additionalProperties": False}, {"type": "array"}]}, False),
        ({"patternProperties": {"^y": {}}, "additionalProperties": False}, True),
        ({"additionalProperties": {"type": "string"}}, True),
        ({"properties": {"x": False}}, False),
        ({"type": ["object", "null"]}, True),
    ],
)
def test_what_schemas_say_together_counts(schema, is_taken):
    assert takes(schema, "/x") is is_taken


def test_every_place_that_is_missed_is_named():
    with pytest.raises(MarksHitNothing) as refused:
        must_be_places(json.dumps(CLOSED), ["/amount", "/aplicant", "/notes/9"])

    assert refused.value.context == {"places": "/aplicant, /notes/9"}

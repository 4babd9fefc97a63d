"""Payloads by their schemas: what fits, what does not and where, and what neither takes for ever nor tells secrets."""

import json
import time
from contextlib import suppress

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ledger.payloads.checking import check_payload, check_schema
from ledger.payloads.documents import MAX_BYTES
from ledger.payloads.faults import MOST_FAULTS, InvalidPayload, InvalidSchema, UnreadableSchema
from ledger.payloads.schemas import MANY, NAMED, ONE, PLAIN
from tests.support.examples import thorough

SECRET = "hunter2-is-the-password"


def faults(schema: object, payload: object) -> dict[str, str]:
    text = json.dumps(schema)
    check_schema(text)
    try:
        check_payload(payload if isinstance(payload, str) else json.dumps(payload), text)
    except InvalidPayload as invalid:
        return {fault.pointer: fault.message for fault in invalid.faults}
    return {}


def of(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties}


def test_what_fits_is_given_as_values() -> None:
    assert check_payload('{"a": 1}', '{"required": ["a"]}') == {"a": 1}


@pytest.mark.parametrize(
    ("schema", "payload", "places"),
    [
        (of(a={"type": "integer"}), {"a": "1"}, {"/a"}),
        (of(a={"minimum": 3}, b={"maxLength": 2}), {"a": 1, "b": "long"}, {"/a", "/b"}),
        ({"required": ["a", "b"]}, {}, {""}),
        ({"additionalProperties": False}, {"a": 1}, {""}),
        (of(a={"items": {"enum": ["x"]}}), {"a": ["x", "y"]}, {"/a/1"}),
        (of(a={"items": of(**{"b/c": {"const": 1}})}), {"a": [{"b/c": 2}]}, {"/a/0/b~1c"}),
        (of(a={"oneOf": [{"type": "string"}, {"minimum": 5}]}), {"a": 1}, {"/a"}),
        (of(a={"uniqueItems": True}), {"a": [{"b": 1}, {"b": 1}]}, {"/a"}),
        ({"propertyNames": {"pattern": "^[a-z]+$"}}, {"A1": 1}, {""}),
        ({"$defs": {"m": {"type": "number"}}, **of(a={"$ref": "#/$defs/m"})}, {"a": "x"}, {"/a"}),
    ],
)
def test_what_does_not_fit_is_told_where(schema: object, payload: object, places: set[str]) -> None:
    assert set(faults(schema, payload)) == places


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2026-02-28", "2026-02-30"),
        ("time", "08:30:00Z", "8 o'clock"),
        ("date-time", "2026-03-01T08:30:00Z", "2026-03-01"),
        ("duration", "P1D", "a day"),
        ("email", "ada@example.org", "ada at example"),
        ("hostname", "example.org", "-example-"),
        ("ipv4", "192.0.2.1", "192.0.2.256"),
        ("ipv6", "2001:db8::1", "2001:db8::1::1"),
        ("uri", "https://example.org/a", "example"),
        ("uri-reference", "/a?b", "\\a"),
        ("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08"),
        ("json-pointer", "/a/b~1c", "a/b"),
    ],
)
def test_formats_are_checked(name: str, good: str, bad: str) -> None:
    schema = of(a={"type": "string", "format": name})

    assert faults(schema, {"a": good}) == {}
    assert set(faults(schema, {"a": bad})) == {"/a"}


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "integer"},
        {"enum": ["a"]},
        {"const": "a"},
        {"pattern": "^a$"},
        {"maxLength": 2},
        {"format": "date"},
        {"anyOf": [{"type": "integer"}, {"maxLength": 1}]},
        {"oneOf": [{"type": "string"}, {"minLength": 1}]},
        {"not": {"type": "string"}},
        False,
    ],
)
def test_a_value_is_never_told_again(rule: object) -> None:
    told = faults(of(a=rule), {"a": SECRET})

    assert set(told) == {"/a"}
    assert SECRET not in "".join(told.values())


@pytest.mark.parametrize("rule", [{"minItems": 5}, {"contains": {"const": 1}}, {"items": False}])
def test_nor_are_the_values_in_a_list(rule: dict[str, object]) -> None:
    assert SECRET not in "".join(faults(of(a=rule), {"a": [SECRET]}).values())


def test_faults_are_few_and_short() -> None:
    told = faults({**of(a={}), "additionalProperties": False}, {"k" * 2000: 1})
    assert len(told[""]) == 300
    many = faults(of(a={"items": {"type": "string"}}), {"a": list(range(400))})
    assert len(many) == MOST_FAULTS


def test_a_large_payload_that_is_wrong_hears_only_that() -> None:
    schema = of(a={"items": {"allOf": [{"maximum": -bound} for bound in range(1, 20)]}})

    assert faults(schema, {"a": [1] * 20_000}) == {
        "": "is not as the schema says; it is too large to say where"
    }


LIST = "[" + "1," * (MAX_BYTES // 2 - 10) + "1]"


@pytest.mark.parametrize(
    ("schema", "payload"),
    [
        (of(a={"pattern": "^(a+)+$"}), {"a": "a" * 60_000 + "b"}),
        (of(a={"pattern": "^(a|aa|a*)*$"}), {"a": "a" * 60_000 + "b"}),
        (of(a={"pattern": r"^\w*\w*\w*\w*\w*\w*\w*\w*-$"}), {"a": "a" * 60_000}),
        (of(a={"pattern": "x(.*x){20}$"}), {"a": "x" * 60_000 + "y"}),
        ({"patternProperties": {"^(a+)+$": {"type": "string"}}}, {"a" * 40_000 + "b": 1}),
        (of(a={"uniqueItems": True}), '{"a": [' + ",".join(f'{{"b":{n}}}' for n in range(6000)) + "]}"),
        (of(a={"items": {"allOf": [{"maximum": n} for n in range(1, 490)]}}), f'{{"a": {LIST}}}'),
        (of(a={"items": {"anyOf": [{"maximum": -n} for n in range(1, 490)]}}), f'{{"a": {LIST}}}'),
        (of(a={"contains": {"anyOf": [{"maximum": -n} for n in range(1, 490)]}}), f'{{"a": {LIST}}}'),
        (of(a={"items": {"format": "email"}}), {"a": ["a@" + "b" * 30_000, "a" * 30_000]}),
        (of(a={"format": "hostname"}), {"a": "a." * 30_000}),
        (of(a={"format": "uri"}), {"a": "http://" + "[" * 60_000}),
        (of(a={"format": "date-time"}), {"a": "2" * 60_000}),
        (of(a={"multipleOf": 1e-9}), {"a": 1e300}),
    ],
)
def test_no_payload_takes_more_than_a_second(schema: dict[str, object], payload: object) -> None:
    began = time.process_time()

    faults(schema, payload)

    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": ["x" * 60] * 900},
        {"allOf": [{"type": ["strange"] * 9}] * 450},
        {"required": [[]] * 9000},
        {f"unknown{number}": {} for number in range(3000)},
        {"properties": {f"p{number}": {"$ref": "#/$defs/none"} for number in range(1500)}},
        {"allOf": [{"pattern": r"^\p{L}{1,60}$"}] * 50},
    ],
)
def test_a_schema_of_the_largest_size_is_judged_within_a_second(schema: dict[str, object]) -> None:
    text = json.dumps(schema)
    assert len(text) <= MAX_BYTES
    began = time.process_time()

    with suppress(InvalidSchema):
        check_schema(text)

    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "schema",
    [
        "{",
        '{"type": "strange"}',
        '{"$ref": "https://example.org"}',
        '{"not": {"$ref": "#"}}',
        '{"pattern": "(?=a)"}',
        '{"format": "regexp"}',
    ],
)
def test_a_registered_schema_that_this_release_cannot_read_is_for_operators(schema: str) -> None:
    with pytest.raises(UnreadableSchema):
        check_payload("{}", schema)


KEYWORDS = sorted(ONE | MANY | NAMED | PLAIN)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2)
    | st.sampled_from(
        ["", "a", "string", "object", "date", "#", "#/$defs/a", "#/properties/a", "^a+$", "(", "a/b"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYWORDS, "a", "b"]), inner, max_size=4)
    ),
    max_leaves=25,
)
whole = st.dictionaries(st.sampled_from([*KEYWORDS, "$id", "$schema", "x-a"]), values, max_size=5)


@thorough(600)
@given(whole, st.dictionaries(st.sampled_from(["a", "b", "properties"]), values, max_size=3))
def test_whatever_is_sent_as_a_schema_is_taken_or_refused_and_then_judges_any_payload(
    schema: dict[str, object], payload: dict[str, object]
) -> None:
    try:
        check_schema(json.dumps(schema))
    except InvalidSchema as refused:
        event(f"refused: {refused.faults[0].message[:40]}")
        return
    event("taken")
    with suppress(InvalidPayload):
        check_payload(json.dumps(payload), json.dumps(schema))

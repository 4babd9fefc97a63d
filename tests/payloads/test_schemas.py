"""Which JSON Schemas a kind can have, and what is said about those that it cannot."""

import json

import pytest

from ledger.payloads.checking import check_schema
from ledger.payloads.faults import LONGEST_MESSAGE, MOST_FAULTS, InvalidSchema
from ledger.payloads.schemas import DIALECT, FORMATS, MAX_UNFOLDED, unfolded


def refused(schema: object) -> dict[str, str]:
    with pytest.raises(InvalidSchema) as told:
        check_schema(schema if isinstance(schema, str) else json.dumps(schema))
    return {fault.pointer: fault.message for fault in told.value.faults}


def taken(schema: object) -> None:
    check_schema(json.dumps(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$schema": DIALECT, "$id": "https://example.org/payment", "type": "object"},
        {"$defs": {"money": {"type": "number"}}, "properties": {"a": {"$ref": "#/$defs/money"}}},
        {"$defs": {"a b": {"type": "number"}}, "properties": {"a": {"$ref": "#/$defs/a%20b"}}},
        {"$defs": {"a": True}, "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"$ref": "#/properties/a"}}},
        {"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}}},
        {"properties": {"a": True, "b": False}, "additionalProperties": False},
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "not": {"required": ["c"]}},
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"minProperties": 1}},
        {"properties": {"a": {"type": "array", "prefixItems": [{}], "items": False, "contains": {}}}},
        {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"a": {"required": ["c"]}}},
        {"patternProperties": {"^x_": {"type": "string"}}, "propertyNames": {"maxLength": 9}},
        {"unevaluatedProperties": False, "x-colour": {"anything": ["goes"]}},
        {"properties": {name: {"format": name} for name in FORMATS}},
        {"enum": [{"a": 1}], "default": {"$ref": "https://example.org"}, "examples": [{"format": "x"}]},
    ],
)
def test_ordinary_schemas_are_taken(schema: object) -> None:
    taken(schema)


@pytest.mark.parametrize(
    ("schema", "places"),
    [
        ({"type": "strange"}, {"/type"}),
        ({"properties": {"a": {"minLength": -1}}}, {"/properties/a/minLength"}),
        ({"required": "a"}, {"/required"}),
        ({"requried": ["a"]}, {"/requried"}),
        ({"definitions": {}}, {"/definitions"}),
        ({"properties": {"a": {"$id": "b"}}}, {"/properties/a/$id"}),
        ({"properties": {"a": {"$schema": DIALECT}}}, {"/properties/a/$schema"}),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, {"/$schema"}),
        ({"$anchor": "a"}, {"/$anchor"}),
        ({"$dynamicRef": "#a"}, {"/$dynamicRef"}),
        ({"$vocabulary": {"https://example.org": True}}, {"/$vocabulary"}),
        ({"allOf": [{"format": "regex"}, {"format": ["date"]}]}, {"/allOf/0/format", "/allOf/1/format"}),
        ({"pattern": "("}, {"/pattern"}),
        ({"patternProperties": {"[": {}}}, {"/patternProperties/["}),
        ({"properties": []}, {"/properties"}),
        ({"$id": "http://[bad"}, {""}),
        ({"$defs": {"ü": {}}, "$ref": "#/$defs/ü"}, {""}),
        ("[]", {""}),
        ("true", {""}),
        ("{", {""}),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(schema: object, places: set[str]) -> None:
    assert set(refused(schema)) == places


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.org/schema.json",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "//example.org/a",
        "other.json",
        "#a",
        "#/$defs/missing",
        "#/$defs",
        "#/default",
        "#/x-mine",
        "#/type",
        "",
        "urn:uuid:0",
        5,
    ],
)
def test_a_reference_leads_nowhere_but_into_the_schema(reference: object) -> None:
    schema = {
        "$id": "https://example.org/",
        "type": "object",
        "default": {"pattern": "^a"},
        "x-mine": {"$ref": "https://example.org"},
        "$defs": {"a": {}},
        "properties": {"p": {"$ref": reference}},
    }

    told = refused(schema)["/properties/p/$ref"]

    assert told == "leads to no schema in this one; it is '#/…', a JSON pointer"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"properties": {"a": {"$ref": "#"}}},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {
            "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/a"}}},
            "$ref": "#/$defs/a",
        },
    ],
)
def test_a_schema_does_not_refer_to_itself(schema: object) -> None:
    assert refused(schema) == {"": "refers to itself: write out as many levels as there may be"}


def doubling(levels: int) -> dict[str, object]:
    """Unfolds to 2^levels schemas, in a few lines."""
    steps = {
        f"s{level}": {"allOf": [{"$ref": f"#/$defs/s{level + 1}"}, {"$ref": f"#/$defs/s{level + 1}"}]}
        for level in range(levels)
    }
    return {"$defs": {**steps, f"s{levels}": {"type": "object"}}, "$ref": "#/$defs/s0"}


def test_a_schema_cannot_be_a_bomb() -> None:
    for levels in (9, 40, 400):
        assert refused(doubling(levels)) == {"": "unfolds to more than 500 schemas"}
    taken(doubling(5))


def test_so_many_schemas_are_taken_and_no_more() -> None:
    whole = {"allOf": [{}] * (MAX_UNFOLDED - 1)}

    assert unfolded(whole) == MAX_UNFOLDED
    taken(whole)
    assert refused({"allOf": [{}] * MAX_UNFOLDED}) == {"": "unfolds to more than 500 schemas"}


@pytest.mark.parametrize("member", [{"a": 1}, [1], 1, None])
def test_members_of_an_enum_count_unless_all_are_texts(member: object) -> None:
    texts = [f"text {number}" for number in range(MAX_UNFOLDED)]
    numbers = list(range(MAX_UNFOLDED - 2))

    assert unfolded({"enum": [member, *numbers]}) == MAX_UNFOLDED
    assert refused({"enum": [member, *texts]}) == {"": "unfolds to more than 500 schemas"}
    taken({"enum": texts})


@pytest.mark.parametrize("value", [1.5, [1, 0.1], {"a": [2.5]}])
def test_no_number_with_a_fraction_is_compared_one_by_one(value: object) -> None:
    told = "holds a number that is not whole: say by minimum and maximum what may be"

    assert refused({"properties": {"a": {"const": value}}}) == {"/properties/a/const": told}
    assert refused({"properties": {"a": {"enum": ["x", value]}}}) == {"/properties/a/enum": told}


@pytest.mark.parametrize("kind", ["string", ["array", "null"]])
def test_a_schema_that_no_payload_fits_is_refused(kind: object) -> None:
    assert refused({"type": kind}) == {"/type": "keeps every payload out: a payload is an object"}

    taken({"type": ["object", "null"]})


def test_definitions_count_as_often_as_they_are_used() -> None:
    schema = {"$defs": {"unused": {"allOf": [{}] * 600}, "used": {"not": {}}}, "$ref": "#/$defs/used"}

    assert unfolded(schema) == 3


def test_a_chain_of_references_that_is_too_long_is_refused() -> None:
    def chain(length: int) -> object:
        links = {f"l{number}": {"not": {"$ref": f"#/$defs/l{number + 1}"}} for number in range(length)}
        return {"$defs": {**links, f"l{length}": {}}, "$ref": "#/$defs/l0"}

    taken(chain(49))
    for length in (50, 900):
        assert refused(chain(length)) == {"": "unfolds to more than 500 schemas"}


@pytest.mark.parametrize("pattern", ["(?=a)b", "(?<!a)b", r"(a)\1", "(a{400}){400}", r"(\p{L}{300}){9}"])
def test_a_pattern_that_cannot_be_matched_in_linear_time_is_refused(pattern: str) -> None:
    told = refused({"properties": {"a": {"pattern": pattern}}})["/properties/a/pattern"]

    assert told.startswith("is no pattern that is matched in linear time")


def test_patterns_are_short_and_few() -> None:
    taken({"allOf": [{"pattern": "a" * 500}] * 50})
    assert refused({"pattern": "a" * 501}) == {"/pattern": "has a pattern of more than 500 characters"}
    assert refused({"patternProperties": {"a" * 501: {}}}) == {
        "/patternProperties": "has a pattern of more than 500 characters"
    }
    assert refused({"allOf": [{"pattern": "a"}] * 51}) == {"": "has more than 50 patterns"}
    names = {f"p{number}": {} for number in range(50)}
    assert refused({"pattern": "a", "patternProperties": names}) == {"": "has more than 50 patterns"}


def test_the_depth_of_a_schema_is_bounded() -> None:
    schema: object = {}
    for _ in range(40):
        schema = {"not": schema}

    assert set(refused(schema).values()) == {"is nested more than 32 levels deep"}


def test_faults_are_few_and_short() -> None:
    told = refused({"y" * 1000: 1, **{f"unknown{number}": 1 for number in range(200)}})

    assert len(told) == MOST_FAULTS
    assert max(map(len, told.values())) <= LONGEST_MESSAGE
    assert max(map(len, told)) <= 500

"""Documents that every reader takes for the same, and those that are refused because not all would."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.payloads.documents import MAX_BYTES, MAX_DEPTH, NoDocument, read


def refused(text: str) -> list[tuple[str, str]]:
    with pytest.raises(NoDocument) as told:
        read(text)
    return [(fault.pointer, fault.message) for fault in told.value.faults]


def test_an_object_is_read_and_counted() -> None:
    document = read('{"a": [1, 2.5, null, true], "b": {"c": "ü"}}')

    assert document.value == {"a": [1, 2.5, None, True], "b": {"c": "ü"}}
    assert document.nodes == 8


@pytest.mark.parametrize("text", ["[]", "1", '"a"', "null", "true"])
def test_nothing_but_an_object_is_a_document(text: str) -> None:
    assert refused(text) == [("", "is not an object")]


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", '{"a": 1,}', "{} {}", '{"a": 01}', "\ufeff{}"])
def test_what_is_no_json_is_refused(text: str) -> None:
    ((pointer, message),) = refused(text)

    assert pointer == ""
    assert message.startswith("is not valid JSON")


def test_a_name_that_stands_twice_is_refused_however_deep() -> None:
    assert refused('{"a": [{"b": 1, "c": 2, "b": 3}]}') == [("", "names 'b' twice in one object")]
    assert refused('{"a": 1, "\\u0061": 2}') == [("", "names 'a' twice in one object")]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    assert refused(f'{{"a": {number}}}') == [("", f"holds {number}, which is no number")]


def test_a_number_that_is_too_large_is_refused() -> None:
    assert refused('{"a": [1e400]}') == [("/a/0", "is a number that is too large, or too close to zero")]
    assert refused('{"a": 9223372036854775808}') == [("/a", "is an integer beyond 64 bits")]
    assert refused('{"a": -9223372036854775809}') == [("/a", "is an integer beyond 64 bits")]
    assert read('{"a": [9223372036854775807, -9223372036854775808]}').nodes == 4
    assert refused('{"a": ' + "9" * 5000 + "}")[0][1].startswith("is not valid JSON")


def test_characters_that_cannot_be_stored_are_refused() -> None:
    assert refused('{"a/b": "\\u0000"}') == [("/a~1b", "holds a character that cannot be stored")]
    assert refused('{"a": {"\\ud800": 1}}') == [("/a", "has a name with a character that cannot be stored")]
    assert read('{"a": "\\ud83d\\ude00"}').value == {"a": "😀"}


def nested(levels: int) -> str:
    return '{"a": ' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


def test_it_is_32_levels_deep_at_most() -> None:
    assert read(nested(MAX_DEPTH)).nodes == MAX_DEPTH
    ((_, message),) = refused(nested(MAX_DEPTH + 1))
    assert message == "is nested more than 32 levels deep"
    assert refused(nested(30_000))[0][1] == "is nested too deeply"


def test_it_has_64_kibibytes_at_most() -> None:
    filler = MAX_BYTES - len('{"a": ""}')

    assert read('{"a": "' + "x" * filler + '"}').nodes == 2
    assert refused('{"a": "' + "x" * (filler + 1) + '"}') == [("", "has more than 65536 bytes")]
    assert refused('{"a": "' + "ä" * (filler // 2 + 1) + '"}') == [("", "has more than 65536 bytes")]


def test_every_fault_is_named() -> None:
    assert {pointer for pointer, _ in refused('{"a": 1e999, "b": ["\\u0000", 1e999]}')} == {
        "/a",
        "/b/0",
        "/b/1",
    }


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | (st.just(0.0) | st.floats(1e-30, 1e30) | st.floats(-1e30, -1e-30))
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~", max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abc", max_size=3), values, max_size=4))
def test_whatever_json_writes_is_read_as_it_was(value: dict[str, object]) -> None:
    assert read(json.dumps(value)).value == value


@given(st.text(max_size=200))
def test_no_text_is_more_than_refused(text: str) -> None:
    with suppress(NoDocument):
        read(text)

from copy import deepcopy

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from ledger.domain.json_pointer import PointsNowhere, at, is_within, put, tokens

EXAMPLE = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}
"""The document of RFC 6901, section 5."""
NAMES = st.text(alphabet="ab/~01 ", max_size=3)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def places(document: object, pointer: str = "") -> list[str]:
    """Point to everything in a document, and to the document."""
    found = [pointer]
    if isinstance(document, dict):
        for name, value in document.items():
            found += places(value, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(document, list):
        for index, value in enumerate(document):
            found += places(value, f"{pointer}/{index}")
    return found


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", EXAMPLE),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_the_examples_of_the_standard_point_where_it_says(pointer, value):
    assert at(EXAMPLE, pointer) == value


@pytest.mark.parametrize(
    "pointer",
    [
        "foo",
        "/bar",
        "/foo/2",
        "/foo/-",
        "/foo/-1",
        "/foo/00",
        "/foo/01",
        "/foo/+1",
        "/foo/1.0",
        "/foo/\u0660",
        "/foo/" + "9" * 5_000,
        "/foo/0/0",
        "/foo/bar",
        "/m~n",
        "/m~2n",
        "/m~",
        "//foo",
        "/a/b",
    ],
)
def test_what_is_not_there_is_pointed_to_by_nothing(pointer):
    with pytest.raises(PointsNowhere):
        at(EXAMPLE, pointer)
    with pytest.raises(PointsNowhere):
        put(EXAMPLE, pointer, None)


@pytest.mark.parametrize(
    ("pointer", "lost"), [("foo", "foo"), ("/m~", "/m~"), ("/foo/7", "7"), ("/foo/0/deep", "deep")]
)
def test_it_is_told_what_points_nowhere(pointer, lost):
    for point in (lambda: at(EXAMPLE, pointer), lambda: put(EXAMPLE, pointer, 1)):
        with pytest.raises(PointsNowhere) as refused:
            point()
        assert refused.value.args == (lost,)


def test_an_escaped_tilde_is_not_an_escape_again():
    assert tokens("/~01/~10") == ("~1", "/0")


def test_the_empty_pointer_is_the_whole_document():
    assert tokens("") == ()
    assert put(EXAMPLE, "", 1) == 1


def test_the_tenth_element_has_two_digits():
    assert at(list(range(20)), "/10") == 10


def test_a_tuple_is_pointed_into_like_a_list():
    assert at({"iocs": ("evil.example",)}, "/iocs/0") == "evil.example"
    assert put({"iocs": ("a", "b", "c")}, "/iocs/1", "x") == {"iocs": ["a", "x", "c"]}


@pytest.mark.parametrize(
    ("pointer", "outer", "within"),
    [
        ("/a", "/a", True),
        ("/a/b", "/a", True),
        ("/a/0/c", "/a/0", True),
        ("/ab", "/a", False),
        ("/a", "/a/b", False),
        ("/b", "/a", False),
        ("/a~1b", "/a", False),
        ("/a", "", True),
        ("", "/a", False),
    ],
)
def test_a_pointer_is_within_what_it_is_below(pointer, outer, within):
    assert is_within(pointer, outer) is within


@given(document=DOCUMENTS, value=st.integers() | st.lists(st.integers()), data=st.data())
def test_what_is_put_somewhere_is_there_and_all_else_is_as_it_was(document, value, data):
    before = deepcopy(document)
    pointer = data.draw(st.sampled_from(places(document)))

    after = put(document, pointer, value)

    assert document == before
    assert at(after, pointer) == value
    assert put(after, pointer, at(document, pointer)) == document
    elsewhere = [
        place for place in places(document) if not (is_within(place, pointer) or is_within(pointer, place))
    ]
    assert all(at(after, place) == at(document, place) for place in elsewhere)


@given(document=DOCUMENTS, data=st.data())
def test_putting_what_is_there_changes_nothing(document, data):
    pointer = data.draw(st.sampled_from(places(document)))

    assert msgspec.json.encode(put(document, pointer, at(document, pointer))) == msgspec.json.encode(document)

import json

import hypothesis.strategies as st
from hypothesis import given

from ledger.domain.json_pointer import at, put
from ledger.domain.json_text import rewritten
from tests.domain.test_json_pointer import DOCUMENTS, EXAMPLE, places


@st.composite
def documents_with_places(draw):
    document = draw(DOCUMENTS)
    return document, draw(st.sampled_from(places(document)))


@given(found=documents_with_places(), indent=st.sampled_from([None, 0, 1, "\t"]))
def test_one_value_is_written_anew_wherever_it_is(found, indent):
    document, place = found
    seen = []

    def write(pointer, value):
        seen.append((pointer, json.loads(value)))
        return '"other"'

    other = rewritten(json.dumps(document, indent=indent), [place], write)

    assert json.loads(other) == put(document, place, "other")
    assert seen == [(place, at(document, place))]


@given(document=DOCUMENTS, indent=st.sampled_from([None, 0, 3]))
def test_what_is_written_as_it_was_leaves_the_text_as_it_was(document, indent):
    text = json.dumps(document, indent=indent)

    assert rewritten(text, places(document), lambda _, value: value) == text


def test_everything_around_stays_as_it_was():
    text = ' {"a" :\t1.50 , "b":[ 1e3,  {"c":"\\u00e9}" } ] ,"d": null}\n'

    assert rewritten(text, ["/b/1/c", "/d", "/a"], lambda pointer, value: f"<{pointer}{value}>") == (
        ' {"a" :\t</a1.50> , "b":[ 1e3,  {"c":</b/1/c"\\u00e9}"> } ] ,"d": </dnull>}\n'
    )


def test_pointers_to_nothing_are_passed_over_as_are_those_into_another_ones_value():
    text = json.dumps(EXAMPLE)

    def write(pointer, _):
        return f'"{pointer}"'

    assert rewritten(text, ["/none", "/foo/2", "/foo/00", "/a~1b/c"], write) == text
    assert json.loads(rewritten(text, ["/foo", "/foo/0"], write)) == {**EXAMPLE, "foo": "/foo"}

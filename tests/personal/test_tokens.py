"""Tokens: what was sealed comes out as it was, by its own key alone, and stays what it says of itself."""

import json
import re
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.domain.ids import EventId
from ledger.personal.opening import Opener
from ledger.personal.tokens import MARK, TOKEN, Form, SubjectKey, Token, keys_in, seal

KEY = SubjectKey.new()
OTHER = SubjectKey.new()
EVENT = EventId(UUID(int=7))
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def opener(*keys: SubjectKey) -> Opener:
    return Opener({key.key_id: key for key in keys})


def taken_apart(token: str) -> Token:
    found = TOKEN.fullmatch(token)
    assert found is not None
    return Token.of(found)


def sealed(text: str, *, field: str = "notes", form: Form = Form.TEXT, key: SubjectKey = KEY) -> str:
    return seal(key, EVENT, field, form, text)


def nested(value: object, depth: int) -> str:
    """Write a value as JSON in a string of JSON in a string of JSON …"""
    written = json.dumps(value, ensure_ascii=False)
    for _ in range(depth):
        written = json.dumps({"inner": written}, ensure_ascii=False)
    return written


def unnested(written: str, depth: int) -> object:
    for _ in range(depth):
        written = json.loads(written)["inner"]
    return json.loads(written)


@given(text=texts, field=texts.filter(bool))
def test_a_text_comes_out_as_it_was(text: str, field: str) -> None:
    token = seal(KEY, EVENT, field, Form.TEXT, text)

    assert TOKEN.fullmatch(token)
    assert token.startswith(f"{MARK}{KEY.key_id}:{EVENT}:")
    assert opener(KEY).text(f"before {token} after") == f"before {text} after"


@given(text=texts, depth=st.integers(0, 3))
def test_a_text_in_json_in_a_string_is_escaped_as_often_as_it_is_nested(text: str, depth: int) -> None:
    written = nested({"a": [sealed(text), 1], "b": "\\"}, depth)

    assert unnested(opener(KEY).json(written), depth) == {"a": [text, 1], "b": "\\"}


@given(value=values, depth=st.integers(0, 3))
def test_a_value_takes_the_place_of_the_string_at_every_depth(value: object, depth: int) -> None:
    token = sealed(json.dumps(value), form=Form.JSON)
    written = nested({"a": token, "b": [token]}, depth)

    assert unnested(opener(KEY).json(written), depth) == {"a": value, "b": [value]}


@given(text=texts)
def test_a_text_among_other_text_is_escaped_too(text: str) -> None:
    written = json.dumps({"what": f"said “{sealed(text)}”", "who": f"{sealed(text)} did"}, ensure_ascii=False)

    assert json.loads(opener(KEY).json(written)) == {"what": f"said “{text}”", "who": f"{text} did"}


def test_a_value_is_written_as_it_was_sent() -> None:
    token = sealed('{"amount":  1.50}', form=Form.JSON)

    assert opener(KEY).json(f'{{"of":"{token}"}}') == '{"of":{"amount":  1.50}}'


def test_a_text_that_holds_no_token_is_left_alone() -> None:
    text = '{"a": "\\u27e6sealed:v1:…"}'

    assert opener().json(text) == text
    assert keys_in(text) == frozenset()


def test_two_tokens_of_one_text_differ() -> None:
    assert sealed("the same") != sealed("the same")


def test_what_has_no_key_reads_erased_and_what_has_none_that_can_be_read_reads_unreadable() -> None:
    told = json.dumps({"t": sealed("Ann"), "j": sealed("1", form=Form.JSON)}, ensure_ascii=False)

    assert json.loads(opener().json(told)) == {"t": "erased", "j": "erased"}
    assert json.loads(Opener({KEY.key_id: None}).json(told)) == {"t": "unreadable", "j": "unreadable"}


@pytest.mark.parametrize("part", ["event", "field", "box"])
def test_a_token_that_was_changed_does_not_open(part: str) -> None:
    token = taken_apart(sealed("Ann"))
    other = {"event": str(UUID(int=8)), "field": "reason", "box": token.box[:-1] + bytes([token.box[-1] ^ 1])}

    assert token.opened(KEY) == "Ann"
    assert replace(token, **{part: other[part]}).opened(KEY) is None


@pytest.mark.parametrize("box", ["A", "AAAA", "AAAAA", "A" * 16])
def test_a_box_that_is_too_short_does_not_open(box: str) -> None:
    token = re.sub(r":[A-Za-z0-9_-]+⟧$", f":{box}⟧", sealed("Ann"))

    assert taken_apart(token).opened(KEY) is None


def test_a_key_is_named_by_a_commitment() -> None:
    key = SubjectKey(bytes(32))

    assert key.key_id == "ROGOZC3MnYBiQWOtfx7KUPia71R2ZKq9rxOlyD1ko2Q"


def test_no_other_key_opens_a_token_whatever_its_ciphertext() -> None:
    """GCM commits to no key: without the id, a ciphertext can be made that two keys open to two texts."""
    token = taken_apart(sealed("Ann"))
    bound = f"{token.event}|{token.field}|{token.key_id}".encode()
    forged = replace(token, box=bytes(12) + AESGCM(OTHER.secret).encrypt(bytes(12), b"Bob", bound))

    assert forged.opened(OTHER) is None
    assert forged.opened(KEY) is None
    assert opener(KEY, OTHER).text(forged.written()) == "unreadable"


def test_a_long_run_of_backslashes_takes_no_longer_than_its_length() -> None:
    text = json.dumps({"a": "\\" * 200_000, "b": sealed("Ann")}, ensure_ascii=False)

    assert json.loads(opener(KEY).json(text))["b"] == "Ann"


def test_a_key_does_not_tell_what_it_is() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr({KEY.key_id: KEY})

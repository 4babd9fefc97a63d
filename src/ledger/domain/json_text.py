"""Values inside the text of a JSON document, written anew while all around them stays as it is, blanks included."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from ledger.domain.json_pointer import tokens

BLANK: Final = re.compile(r"[ \t\n\r]*")

_Path: TypeAlias = tuple[str, ...]
_VALUE: Final = json.JSONDecoder()


def rewritten(text: str, pointers: Iterable[str], write: Callable[[str, str], str]) -> str:
    """Put what ``write`` makes of a pointer and its value, both as text, in the place of the value.

    ``text`` is one valid document that names nothing twice. A pointer to nothing is passed over, as is what lies in
    another pointer's value.
    """
    parts, done = list[str](), 0
    for start, end, pointer in _places(text, 0, {tokens(pointer): pointer for pointer in pointers}):
        parts += text[done:start], write(pointer, text[start:end])
        done = end
    return "".join((*parts, text[done:]))


def _places(text: str, at: int, paths: Mapping[_Path, str]) -> Iterator[tuple[int, int, str]]:
    start = _after_blank(text, at)
    if () in paths:
        yield start, _end(text, start), paths[()]
        return
    for name, value in _members(text, start):
        inner = {path[1:]: pointer for path, pointer in paths.items() if path[0] == name}
        if inner:
            yield from _places(text, value, inner)


def _members(text: str, start: int) -> Iterator[tuple[str, int]]:
    """Name what is in an object or a list, by key or index, and where each value begins."""
    opening, at, number = text[start], _after_blank(text, start + 1), 0
    if opening not in "{[":
        return
    while text[at] not in "}]":
        name = str(number)
        if opening == "{":
            name, at = _VALUE.raw_decode(text, at)
            at = _after_blank(text, _after_blank(text, at) + 1)  # behind the colon
        yield name, at
        at = _after_blank(text, _end(text, at))
        if text[at] == ",":
            at = _after_blank(text, at + 1)
        number += 1


def _end(text: str, start: int) -> int:
    return _VALUE.raw_decode(text, start)[1]


def _after_blank(text: str, at: int) -> int:
    blank = BLANK.match(text, at)
    return at if blank is None else blank.end()

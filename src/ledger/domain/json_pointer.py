"""JSON pointers (RFC 6901): one value inside a JSON document, looked up or replaced; documents are never changed."""

import re
from typing import Final

INDEX: Final = re.compile(r"0|[1-9][0-9]{0,17}")
"""RFC 6901, section 4: an index has no leading zero; none is longer, and Python reads no number of any length."""
ESCAPE: Final = re.compile(r"~(?![01])")


class PointsNowhere(LookupError):
    """The document has nothing at this place, or the text is no JSON pointer."""


def tokens(pointer: str) -> tuple[str, ...]:
    """Take a pointer apart; the empty one is the whole document.

    Raises:
        PointsNowhere: it does not begin with a slash, or has a tilde that escapes nothing.
    """
    if not pointer:
        return ()
    if not pointer.startswith("/") or ESCAPE.search(pointer):
        raise PointsNowhere(pointer)
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def is_within(pointer: str, outer: str) -> bool:
    """Say whether ``pointer`` names what ``outer`` names, or something in it."""
    inside, around = tokens(pointer), tokens(outer)
    return inside[: len(around)] == around


def at(document: object, pointer: str) -> object:
    """Look a value up.

    Raises:
        PointsNowhere: there is none.
    """
    for token in tokens(pointer):
        document = _member(document, token)
    return document


def put(document: object, pointer: str, value: object) -> object:
    """Give the document as it is with ``value`` in the place of what is there.

    Raises:
        PointsNowhere: nothing is there.
    """
    return _put(document, tokens(pointer), value)


def _put(document: object, path: tuple[str, ...], value: object) -> object:
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(document, dict):
        return {**document, first: _put(_member(document, first), rest, value)}
    if isinstance(document, list | tuple):
        inner = _put(_member(document, first), rest, value)
        index = int(first)
        return [*document[:index], inner, *document[index + 1 :]]
    raise PointsNowhere(first)


def _member(document: object, token: str) -> object:
    if isinstance(document, dict) and token in document:
        member: object = document[token]
        return member
    if isinstance(document, list | tuple) and INDEX.fullmatch(token) and int(token) < len(document):
        element: object = document[int(token)]
        return element
    raise PointsNowhere(token)

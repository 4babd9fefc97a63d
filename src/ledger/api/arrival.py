"""What every request must be before its handler sees it: an address that is text, a body of bearable size.

The framework replaces bytes that are not UTF-8 by U+FFFD; what it hands over is then not what was sent, and
text is to be kept verbatim. So the raw address is looked at here, once for all calls.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote

from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.types import HttpRequest

REPLACED: Final = "\ufffd"


async def check_arrival(request: HttpRequest) -> None:
    """Look a request over, after its guards and before its handler.

    Raises:
        InvalidRequest: the path or the query is not UTF-8 or holds NUL.
        BodyTooLarge: the body is larger than the service takes, also where none is asked for.
    """
    wrong = (*_wrong_in_path(request), *_wrong_in_query(request))
    if wrong:
        raise InvalidRequest(*wrong)
    if request.method == "POST":
        await request.body()


def _wrong_in_path(request: HttpRequest) -> Iterator[FieldError]:
    path = unquote(request.scope["raw_path"].decode("ascii", "surrogateescape"), errors="surrogateescape")
    fault = _fault(path)
    if fault is not None:
        marks = ("\x00", REPLACED)
        named = [name for name, text in request.path_params.items() if any(mark in text for mark in marks)]
        yield from (FieldError(name, fault) for name in named)


def _wrong_in_query(request: HttpRequest) -> Iterator[FieldError]:
    query = request.scope["query_string"].decode("utf-8", "surrogateescape")
    for name, text in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
        fault = _fault(name + text)
        if fault is not None:
            yield FieldError(name.encode("utf-8", "replace").decode(), fault)


def _fault(text: str) -> str | None:
    if "\x00" in text:
        return "holds a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "is not valid UTF-8"
    return None

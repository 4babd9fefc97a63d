"""What every request must be before its handler sees it: one meaning, text, a body of bearable size, in time.

The framework replaces bytes that are not UTF-8 by U+FFFD; what it hands over is then not what was sent, and
text is to be kept verbatim. So the raw address is looked at here, once for all calls.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote

from litestar import Response
from litestar.exceptions import InternalServerException
from litestar.types import HTTPScope

from ledger.api.auth import header_of, services_of
from ledger.api.bodies import TWICE, sent_twice
from ledger.api.lasting import house_of
from ledger.api.permissions import PERMISSIONS
from ledger.api.problems import (
    ClientLeft,
    FieldError,
    InvalidRequest,
    MalformedHttp,
    NoSuchPath,
    RequestTimeout,
    UnknownTransferCoding,
)
from ledger.api.types import HttpRequest
from ledger.domain.errors import LedgerError

REPLACED: Final = "\ufffd"
WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SINGLE: Final = {
    b"authorization": "Authorization",
    b"content-type": "Content-Type",
    b"idempotency-key": "Idempotency-Key",
    b"if-match": "If-Match",
}
"""Headers that say one thing: of two, a proxy might believe the other one."""
HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?", re.ASCII)
"""RFC 3986, section 3.2: an address of version 6 in brackets or a name, and a port."""


def wrong_head(scope: HTTPScope) -> LedgerError | None:
    """Say why a request is refused whoever sends it; ``None``: nothing is wrong with its head."""
    path = scope["raw_path"]
    if b"//" in path or (b"%" in path and b"%2f" in path.lower()):  # the framework would take it for a slash
        return NoSuchPath()
    names = [name for name, _ in scope["headers"]]
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1 and (hosts or scope["http_version"] != "1.0"):
        return MalformedHttp()  # RFC 9112, section 3.2
    if hosts and not HOST.fullmatch(hosts[0]):
        return MalformedHttp()  # the same
    if len(set(names)) < len(names):
        twice = [FieldError(shown, TWICE) for name, shown in SINGLE.items() if names.count(name) > 1]
        if twice:
            return InvalidRequest(*twice)
    if b"transfer-encoding" not in names:
        return None
    codings = [value.strip().lower() for name, value in scope["headers"] if name == b"transfer-encoding"]
    return None if codings == [b"chunked"] else UnknownTransferCoding()


async def check_arrival(request: HttpRequest) -> Response[None] | None:
    """Look a request over, after its guards and before its handler; a handler that takes a file reads it itself.

    OPTIONS is answered here: where several handlers share a path, the framework would name the methods of one.

    Raises:
        InvalidRequest: the path or the query is not UTF-8 or holds NUL, or a parameter is sent twice that means one thing.
        BodyTooLarge: the body is larger than the service takes, also where none is asked for.
        TooManyBodies: too much of bodies is in memory already.
        RequestTimeout: the body is not there within the seconds it may take.
        ClientLeft: it will never be.
    """
    wrong = (*_wrong_in_path(request), *_wrong_in_query(request))
    if wrong:
        raise InvalidRequest(*wrong)
    if request.method not in WITHOUT_BODY and "file" not in request.route_handler.opt:
        await _read_body(request)
    if request.method == "OPTIONS":
        return Response(None, status_code=204, headers={"Allow": ", ".join(_methods(request))})
    return None


def _methods(request: HttpRequest) -> list[str]:
    """List what the path takes; HEAD wherever there is GET."""
    path = request.scope["path_template"]
    there = {call.partition(" ")[0] for call in PERMISSIONS if call.partition(" ")[2] == path}
    return sorted({*there, "OPTIONS", *({"HEAD"} if "GET" in there else ())})


async def _read_body(request: HttpRequest) -> None:
    services, state = services_of(request.app), request.scope["state"]
    house_of(state).make_room(state, _announced(request, services.max_body_bytes))
    try:
        async with asyncio.timeout(services.body_seconds):
            await request.body()
    except TimeoutError as late:
        raise RequestTimeout from late
    except InternalServerException as gone:  # here it can mean nothing else: this is the first to read
        raise ClientLeft from gone


def _announced(request: HttpRequest, most: int) -> int:
    """Say how large a body will be at most, before it is read; one that is larger than ``most`` is refused unread."""
    said = request.content_length
    if said is None:
        return 0 if header_of(request, b"transfer-encoding") is None else most
    return said if said <= most else 0


def _wrong_in_path(request: HttpRequest) -> Iterator[FieldError]:
    raw = request.scope["raw_path"]
    if b"%" not in raw and raw.isascii() and b"\x00" not in raw:
        return
    path = unquote(raw.decode("ascii", "surrogateescape"), errors="surrogateescape")
    fault = _fault(path)
    if fault is not None:
        marks = ("\x00", REPLACED)
        named = [name for name, text in request.path_params.items() if any(mark in text for mark in marks)]
        yield from (FieldError(name, fault) for name in named)


def _wrong_in_query(request: HttpRequest) -> Iterator[FieldError]:
    if not request.scope["query_string"]:
        return
    query = request.scope["query_string"].decode("utf-8", "surrogateescape")
    pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
    for name, text in pairs:
        fault = _fault(name + text)
        if fault is not None:
            yield FieldError(name.encode("utf-8", "replace").decode(), fault)
    many = request.route_handler.opt.get("repeated", ())
    yield from sent_twice(name for name, _ in pairs if name not in many and _fault(name) is None)


def _fault(text: str) -> str | None:
    if "\x00" in text:
        return "holds a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "is not valid UTF-8"
    return None

"""What an operation may be answered with, as its description tells it: statuses, headers, media types.

Most follows from what a route is: whoever needs a session may be told 401 and 403, a path that names something
may lead nowhere (404), a command may be against a rule (400) or come too late (409). What does not follow, a
handler names in its ``opt``:

- ``answer``: the shape of its answer, or several; ``media``: its media type, where that is not JSON
- ``files``: what else it may answer with, by media type: the shape of a line of each
- ``keyed=True``: it honours Idempotency-Key and tells where its event lies
- ``tagged=True``: it answers an ETag; a command then honours If-Match
- ``also``: further statuses, each with what it means, and with a shape where it is no problem document
- ``delays``: statuses whose refusals say by Retry-After when to come again, beside those that always do
- ``may_be_empty=True``: its body may be left out
- ``deprecated``: that it will be gone one day (``deprecation``)
- ``tells``: further headers of its success, among ``HEADERS``
"""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.status_codes import HTTP_204_NO_CONTENT, HTTP_304_NOT_MODIFIED

from ledger.api.deprecation import HEADERS_OF_DEPRECATED, deprecation_of
from ledger.api.openapi.codes import codes_of

Json = dict[str, object]
Meaning: TypeAlias = str | tuple[str, type]

REFS: Final = "#/components/schemas/{name}"
JSON: Final = "application/json"

ALWAYS: Final = {
    422: "The request is not well-formed; 'errors' names the fields",
    429: "Too often, or too many failures; Retry-After says when to come again",
    503: "Not now; Retry-After says when",
}
DEFAULT: Final = (
    "Any other refusal: a head that is too large, a transfer coding nobody undoes, a fault of ours"
)
OF_BODIES: Final = {
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The body is of another content type",
}
OF_SESSIONS: Final = {401: "No live session: log in", 403: "Your role may not"}
OF_COMMANDS: Final = {400: "A rule forbids it", 409: "Somebody else got there first"}
OF_PATHS: Final = {404: "There is no such thing"}
OF_TAGGED_COMMANDS: Final = {412: "It has changed since If-Match"}

HEADERS: Final = {
    "X-Request-ID": "Ties the answer to the service's log: the caller's own, if it is sane, else a new one.",
    "Ledger-Position": "The position in the log of the command's last event.",
    "Ledger-Leaf-Hash": "The leaf hash of the command's last event, in hexadecimal.",
    "Ledger-View-Stale": "The read models that do not show the command yet, separated by commas.",
    "Ledger-Sealed": "Whether the event is under a published checkpoint; told to whoever waits for that.",
    "Ledger-Proof": "The proof that it is (C2SP tlog-proof), in base64.",
    "ETag": "The version of what is answered: of a decision to be named in If-Match, else in If-None-Match.",
    "Content-Disposition": "The file's name (RFC 6266); it is to be saved, not shown.",
    "Repr-Digest": "The SHA-256 of the file (RFC 9530).",
    "Link": "The next page, or the proof of the event that the command wrote or that gave the answer (RFC 8288).",
    "RateLimit": "How many requests are left, and for how many seconds (draft-ietf-httpapi-ratelimit-headers).",
    "RateLimit-Policy": "How many requests a caller has in how many seconds.",
    "Deprecation": "Since when this call is deprecated (RFC 9745).",
    "Sunset": "From when on this call may be gone (RFC 8594); Link says where that is written, and what to call instead.",
    "Retry-After": "Seconds after which to try again.",
    "WWW-Authenticate": "Which token is wanted, or what it lacks (RFC 6750).",
}
OF_ALL: Final = ("X-Request-ID", "RateLimit", "RateLimit-Policy")
OF_EVENTS: Final = (
    "Ledger-Position",
    "Ledger-Leaf-Hash",
    "Ledger-View-Stale",
    "Ledger-Sealed",
    "Ledger-Proof",
    "Link",
)
OF_STATUS: Final = {
    304: ("ETag",),
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}

WITHOUT_CONTENT: Final = frozenset({HTTP_204_NO_CONTENT, HTTP_304_NOT_MODIFIED})

KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Names the command: the same key and body get the first answer again, with another body 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
WAIT: Final = {
    "name": "wait",
    "in": "query",
    "description": "Answer once the event is under a published checkpoint, or after a few seconds; see Ledger-Sealed.",
    "schema": {"type": "string", "enum": ["sealed"]},
}
CONDITION: Final = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag that the decision must still have, or * for any.",
    "schema": {"type": "string"},
}


def parameters_of(handler: HTTPRouteHandler, method: str) -> list[Json]:
    """List what a call takes beside its token and what its handler names."""
    keyed = [dict[str, object](KEY), dict[str, object](WAIT)] if handler.opt.get("keyed") else []
    tagged = [dict[str, object](CONDITION)] if handler.opt.get("tagged") and method != "get" else []
    return keyed + tagged


def responses_of(handler: HTTPRouteHandler, method: str, path: str, *, is_public: bool) -> Json:
    """List every answer of an operation by its status."""
    refusals = dict(_refusals(handler, method, path, is_public=is_public))
    codes = codes_of(handler, method, path)
    answers: Json = {
        "200": {"description": "Done", "headers": _headers(*_told(handler)), **_content(handler)},
        **{
            str(status): _refused(
                text, status, codes.get(status, ()), delays=status in handler.opt.get("delays", ())
            )
            for status, text in sorted(refusals.items())
        },
        "default": _refused(DEFAULT, 500),
    }
    if deprecation_of(handler) is None:
        return answers
    return {status: _deprecated(answer) for status, answer in answers.items()}


def _deprecated(answer: object) -> object:
    """Add what the answers of a call that will be gone say of that."""
    told = answer.get("headers") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(told, dict):
        return answer
    return {**answer, "headers": {**told, **_headers(*HEADERS_OF_DEPRECATED)}}


def header_components() -> Json:
    """Describe every header once."""
    return {
        name: {"description": text, "required": name == "X-Request-ID", "schema": {"type": "string"}}
        for name, text in HEADERS.items()
    }


def _refusals(
    handler: HTTPRouteHandler, method: str, path: str, *, is_public: bool
) -> Iterator[tuple[int, Meaning]]:
    is_command = method != "get"
    applies = (
        (ALWAYS, True),
        (OF_BODIES, is_command),
        (OF_SESSIONS, not is_public),
        (OF_COMMANDS, is_command and not is_public),
        (OF_PATHS, "{" in path),
        (OF_TAGGED_COMMANDS, is_command and bool(handler.opt.get("tagged"))),
        (handler.opt.get("also", {}), True),
    )
    for statuses, does_apply in applies:
        if does_apply:
            yield from statuses.items()


def _refused(meaning: Meaning, status: int, codes: Sequence[str] = (), *, delays: bool = False) -> Json:
    text, shape = (meaning, None) if isinstance(meaning, str) else meaning
    headers = ("Retry-After",) if delays else OF_STATUS.get(status, ())
    content = _problem(codes) if shape is None else {JSON: {"schema": schema_of(shape)}}
    told: Json = {"description": text, "headers": _headers(*headers)}
    return told if status in WITHOUT_CONTENT else {**told, "content": content}


def _problem(codes: Sequence[str]) -> Json:
    schema: Json = {"$ref": REFS.format(name="Problem")}
    if codes:
        schema["properties"] = {"code": {"enum": list(codes)}}
    return {"application/problem+json": {"schema": schema}}


def _told(handler: HTTPRouteHandler) -> Iterator[str]:
    yield from OF_EVENTS if handler.opt.get("keyed") else ()
    yield from ("ETag",) if handler.opt.get("tagged") else ()
    yield from handler.opt.get("tells", ())


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*OF_ALL, *names)}


def _content(handler: HTTPRouteHandler) -> Json:
    answer, media = handler.opt.get("answer"), handler.opt.get("media")
    if answer is not None:
        files = {kind: {"schema": schema_of(line)} for kind, line in handler.opt.get("files", {}).items()}
        return {"content": {media or JSON: {"schema": schema_of(answer)}, **files}}
    return {} if media is None else {"content": {media: {}}}


def schema_of(shape: type | tuple[type, ...]) -> Json:
    """Refer to the schema of a shape, or of any of several."""
    schemas, _ = msgspec.json.schema_components(_shapes_in(shape), ref_template=REFS)
    return {"anyOf": list(schemas)} if len(schemas) > 1 else schemas[0]


def shapes_of(handler: HTTPRouteHandler) -> Iterator[type]:
    """List every shape that a handler names."""
    for place in ("body", "form", "answer"):
        if place in handler.opt:
            yield from _shapes_in(handler.opt[place])
    yield from handler.opt.get("files", {}).values()
    for meaning in handler.opt.get("also", {}).values():
        if not isinstance(meaning, str):
            yield meaning[1]


def _shapes_in(place: type | tuple[type, ...]) -> tuple[type, ...]:
    return place if isinstance(place, tuple) else (place,)

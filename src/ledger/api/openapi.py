"""The OpenAPI 3.1 description: the framework's, with our bodies, answers and problem documents put in.

Handlers read their bodies strictly and write their answers themselves (ADR 0007), so the framework does not
know these shapes; each handler names them in ``opt``: ``body`` or ``form`` in, ``answer`` out.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler

from ledger.api.permissions import PERMISSIONS, PUBLIC
from ledger.api.problems import Problem

REFS: Final = "#/components/schemas/{name}"
PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": REFS.format(name="Problem")}}}
COMMON: Final = {
    "401": "No live session: log in",
    "403": "Your role may not",
    "404": "There is no such thing",
    "409": "Somebody else got there first",
    "412": "It has changed since If-Match",
    "413": "The body is too large",
    "415": "The body is of another content type",
    "422": "The request is not well-formed; 'errors' names the fields",
    "503": "Not now; Retry-After says when",
}
ONLY_GUARDED: Final = {"401", "403", "404", "409", "412"}

Json = dict[str, object]


def describe(handlers: Sequence[ControllerRouterHandler], *, title: str, version: str) -> bytes:
    """Write the description of ``handlers`` as JSON."""
    app = Litestar(
        list(handlers),
        openapi_config=OpenAPIConfig(title=title, version=version, use_handler_docstrings=True),
        logging_config=None,
    )
    document: Json = app.openapi_schema.to_schema()
    for call, operation, handler in _operations(app, document):
        _complete(operation, handler, is_public=PERMISSIONS.get(call) is PUBLIC)
    components = _object(document, "components")
    _object(components, "schemas").update(_shapes(app))
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    return msgspec.json.encode(document)


def _object(parent: Json, name: str) -> Json:
    child = parent.setdefault(name, {})
    if not isinstance(child, dict):
        raise TypeError(name)
    return child


def _handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                yield route.path_format, method.lower(), handler


def _operations(app: Litestar, document: Json) -> Iterator[tuple[str, Json, HTTPRouteHandler]]:
    paths = _object(document, "paths")
    for path, method, handler in _handlers(app):
        if path in paths and method in _object(paths, path):
            yield f"{method.upper()} {path}", _object(_object(paths, path), method), handler


def _complete(operation: Json, handler: HTTPRouteHandler, *, is_public: bool) -> None:
    operation["operationId"] = handler.handler_name
    operation["summary"] = (handler.fn.__doc__ or "").strip().splitlines()[0]
    operation.pop("description", None)
    if not is_public:
        operation["security"] = [{"bearer": []}]
    for place, media_type in (("body", "application/json"), ("form", "application/x-www-form-urlencoded")):
        if place in handler.opt:
            content = {media_type: {"schema": _ref(handler.opt[place])}}
            operation["requestBody"] = {"required": True, "content": content}
    responses: Json = {"200": _answer(handler)}
    responses |= {
        status: {"description": text, "content": PROBLEM}
        for status, text in COMMON.items()
        if not (is_public and status in ONLY_GUARDED)
    }
    operation["responses"] = responses


def _answer(handler: HTTPRouteHandler) -> Json:
    answer = handler.opt.get("answer")
    if answer is None:
        return {"description": "Done"}
    return {"description": "Done", "content": {"application/json": {"schema": _ref(answer)}}}


def _ref(shape: type) -> Json:
    (schema,), _ = msgspec.json.schema_components([shape], ref_template=REFS)
    return schema


def _shapes(app: Litestar) -> Json:
    wanted = [
        handler.opt[place]
        for _, _, handler in _handlers(app)
        for place in ("body", "form", "answer")
        if place in handler.opt
    ]
    _, components = msgspec.json.schema_components([Problem, *wanted], ref_template=REFS)
    return dict(components)

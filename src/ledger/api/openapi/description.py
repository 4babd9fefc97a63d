"""The OpenAPI 3.1 description: the framework's, with our bodies, answers and problem documents put in.

Handlers read their bodies strictly and write their answers themselves (ADR 0007), so the framework does not
know these shapes; each handler names them in ``opt``: ``body`` or ``form`` in, ``answer`` out, and what else
``openapi_answers`` lists. ``bearer=True`` stands where a public route reads a token itself.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler

from ledger.api.deprecation import deprecation_of
from ledger.api.openapi.answers import (
    REFS,
    Json,
    header_components,
    parameters_of,
    responses_of,
    schema_of,
    shapes_of,
)
from ledger.api.openapi.formats import described, with_formats
from ledger.api.permissions import PERMISSIONS, PUBLIC
from ledger.api.problems import Problem

BODIES: Final = {"body": "application/json", "form": "application/x-www-form-urlencoded"}


def describe(handlers: Sequence[ControllerRouterHandler], *, title: str, version: str) -> bytes:
    """Write the description of ``handlers`` as JSON."""
    app = Litestar(
        list(handlers),
        openapi_config=OpenAPIConfig(title=title, version=version, use_handler_docstrings=True),
        logging_config=None,
    )
    document: Json = app.openapi_schema.to_schema()
    for path, method, operation, handler in _operations(app, document):
        _complete(operation, handler, method, path)
    components = _object(document, "components")
    _object(components, "schemas").update(with_formats(_shapes(app)))
    components["headers"] = header_components()
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
            # In a fixed order: the framework collects the handlers of one path in a set.
            for method in sorted(route.route_handler_map):
                yield route.path_format, method.lower(), route.route_handler_map[method][0]


def _operations(app: Litestar, document: Json) -> Iterator[tuple[str, str, Json, HTTPRouteHandler]]:
    paths = _object(document, "paths")
    for path, method, handler in _handlers(app):
        if path in paths and method in _object(paths, path):
            yield path, method, _object(_object(paths, path), method), handler


def _complete(operation: Json, handler: HTTPRouteHandler, method: str, path: str) -> None:
    is_public = PERMISSIONS.get(f"{method.upper()} {path}") is PUBLIC
    operation["operationId"] = handler.handler_name
    operation["summary"] = (handler.fn.__doc__ or "").strip().splitlines()[0]
    operation.pop("description", None)
    marked = deprecation_of(handler)
    if marked is not None:
        operation |= {"deprecated": True, "x-sunset": marked.sunset.isoformat()}
    if not is_public or handler.opt.get("bearer"):
        operation["security"] = [{"bearer": []}]
    for place, media_type in BODIES.items():
        if place in handler.opt:
            content = {media_type: {"schema": schema_of(handler.opt[place])}}
            operation["requestBody"] = {"required": not handler.opt.get("may_be_empty"), "content": content}
    if "file" in handler.opt:
        operation["requestBody"] = {"required": True, "content": {kind: {} for kind in handler.opt["file"]}}
    parameters = [*_list(operation, "parameters"), *parameters_of(handler, method)]
    if parameters:
        operation["parameters"] = [described(path, one) for one in parameters if isinstance(one, dict)]
    operation["responses"] = responses_of(handler, method, path, is_public=is_public)


def _list(parent: Json, name: str) -> list[object]:
    child = parent.get(name, [])
    if not isinstance(child, list):
        raise TypeError(name)
    return child


def _shapes(app: Litestar) -> Json:
    wanted = [shape for _, _, handler in _handlers(app) for shape in shapes_of(handler)]
    _, components = msgspec.json.schema_components([Problem, *wanted], ref_template=REFS)
    return dict(components)

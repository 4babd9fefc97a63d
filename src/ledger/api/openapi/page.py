"""The API's description and its docs page, which loads nothing from another host."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from litestar import Response, get
from litestar.params import FromPath

from ledger.api.problems import NoSuchPath
from ledger.api.types import HttpRequest

ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'"
)
PAGE: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Decision ledger: the API</title>
<link rel="stylesheet" href="/api/docs/swagger-ui.css"></head>
<body><div id="docs">The description is at <a href="/openapi.json">/openapi.json</a>.</div>
<script src="/api/docs/swagger-ui-bundle.js"></script><script src="/api/docs/start.js"></script></body>
</html>
"""
START: Final = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#docs", deepLinking: true,
  validatorUrl: null,  // it would have another host look at the description
});
"""


@get("/openapi.json", opt={"media": "application/json"}, sync_to_thread=False)
def openapi_document(request: HttpRequest) -> Response[bytes]:
    """Describe every call (OpenAPI 3.1)."""
    return Response(request.app.state["openapi"], media_type="application/json")


@get("/api/docs", opt={"media": "text/html"}, sync_to_thread=False)
def docs_page() -> Response[str]:
    """Show the description for people."""
    return Response(PAGE, media_type="text/html", headers={"Content-Security-Policy": POLICY})


@get("/api/docs/{asset:str}", opt={"media": "*/*"}, sync_to_thread=False)
def docs_asset(asset: FromPath[str]) -> Response[bytes]:
    """Serve what the docs page loads."""
    if asset not in ASSETS:
        raise NoSuchPath
    content = START.encode() if asset == "start.js" else _bundled(asset)
    return Response(content, media_type=ASSETS[asset], headers={"Cache-Control": "max-age=86400"})


@cache
def _bundled(asset: str) -> bytes:
    spec = find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise NoSuchPath
    return next(Path(spec.origin).parent.rglob(asset)).read_bytes()

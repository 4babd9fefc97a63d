"""The door: every request passes here, gets its id, its hardening headers and one line in the log.

Theory: one plain ASGI middleware, outermost, so that also what the framework refuses by itself carries the
headers. It counts who is inside; beyond the bound it answers 503 at once, because a queue that nobody can
work off in time only makes everybody late.
"""

import time
from typing import Final, TypeGuard

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from opentelemetry import metrics

from ledger.api.problems import RETRY_AFTER_SECONDS, problem_of
from ledger.api.request_id import request_id_of
from ledger.domain.errors import Overloaded

log = structlog.get_logger()

HARDENING: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
QUIET: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Asked all the time by machines: not worth a line in the log, and answered however full the house is."""

_meter = metrics.get_meter("ledger.api")
_requests = _meter.create_counter(
    "ledger_http_requests", description="Requests answered, by route and status"
)
_seconds = _meter.create_histogram(
    "ledger_http_request_duration", unit="s", description="Time to answer, by route"
)


class Door:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, max_in_flight: int) -> None:
        """Let at most ``max_in_flight`` requests into ``app`` at once."""
        self._app = app
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if not _is_http(scope):
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        visit = _Visit(scope, send)
        with structlog.contextvars.bound_contextvars(request_id=visit.request_id):
            if self._in_flight >= self._max_in_flight and scope["path"] not in QUIET:
                await _turn_away(scope, visit.send)
            else:
                await self._let_in(scope, receive, visit)
            visit.tell()

    async def _let_in(self, scope: HTTPScope, receive: Receive, visit: "_Visit") -> None:
        self._in_flight += 1
        try:
            await self._app(scope, receive, visit.send)
        finally:
            self._in_flight -= 1


class _Visit:
    """One request's way out: its headers, its status, its duration."""

    def __init__(self, scope: HTTPScope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._began = time.perf_counter()
        self._status = 0
        self.request_id = request_id_of(scope)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = list(message["headers"])
            present = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in HARDENING if name not in present]
            headers.append((b"x-request-id", self.request_id.encode("ascii")))
            message["headers"] = headers
        await self._send(message)

    def tell(self) -> None:
        seconds = time.perf_counter() - self._began
        method, path, route = self._scope["method"], self._scope["path"], _route_of(self._scope)
        _requests.add(1, {"method": method, "route": route, "status": self._status})
        _seconds.record(seconds, {"method": method, "route": route})
        if path not in QUIET:
            log.info(
                "http.answered",
                method=method,
                path=path,
                route=route,
                status=self._status,
                milliseconds=round(seconds * 1000, 1),
            )


def _is_http(scope: Scope) -> TypeGuard[HTTPScope]:
    return scope["type"] == ScopeType.HTTP


def _route_of(scope: HTTPScope) -> str:
    """Name the route, never the raw path: its ids would make a metric of every item."""
    return scope.get("path_template") or "none"


async def _turn_away(scope: HTTPScope, send: Send) -> None:
    problem = problem_of(Overloaded(), path=scope["path"], request_id=request_id_of(scope))
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"retry-after", RETRY_AFTER_SECONDS.encode("ascii")),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(problem), "more_body": False})

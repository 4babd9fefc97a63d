"""The door: every request passes here, gets its id, its hardening headers and one line in the log.

Theory: one plain ASGI middleware, outermost, so that also what the framework refuses by itself carries the
headers. It counts who is inside; beyond the bound it answers 503 at once, because a queue that nobody can
work off in time only makes everybody late. It answers HEAD as the GET it stands for, without the body.
"""

import asyncio
from collections.abc import Iterator
from typing import Final, TypeGuard

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from ledger.api.arrival import wrong_head
from ledger.api.deprecation import deprecation_headers
from ledger.api.lasting import HEAD, HOUSE, MOST_BODY_BYTES, House
from ledger.api.problems import Stopping, headers_of, problem_of
from ledger.api.quota import quota_headers
from ledger.api.request_id import request_id_of
from ledger.api.traces import RequestTrail
from ledger.domain.errors import LedgerError, Overloaded
from ledger.measures import Counter, Histogram
from ledger.tracing import Tracing, enter, leave

log = structlog.get_logger()

HARDENING: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
HARDENED: Final = frozenset(name for name, _ in HARDENING)
QUIET: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Asked all the time by machines: not worth a line in the log or a trace, and answered however full the house is."""

UNTRACED: Final = Tracing()

_requests = Counter(
    "ledger_http_requests", "Requests answered, by route and status", ["method", "route", "status"]
)
_seconds = Histogram(
    "ledger_http_request_duration",
    "Time to answer, by route",
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    labels=["method", "route"],
    unit="seconds",
)


class Door:
    """Wraps the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_in_flight: int,
        most_body_bytes: int = MOST_BODY_BYTES,
        tracing: Tracing = UNTRACED,
    ) -> None:
        """Let at most ``max_in_flight`` requests into ``app`` at once, and record those that ``tracing`` chooses."""
        self._app = app
        self._tracing = tracing
        self._log = log.bind()  # put together once: for every line it would take as long as writing it
        self._house = House(max_in_flight, most_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if not _is_http(scope):
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})[HOUSE] = self._house
        visit = _Visit(scope, send, self._tracing)
        token = enter(visit.trail)
        try:
            refusal = self._refusal(scope)
            if refusal is None:
                await self._let_in(visit, receive)
            else:
                await visit.refuse(refusal)
            visit.tell(self._log)
        finally:
            leave(token)

    def _refusal(self, scope: HTTPScope) -> LedgerError | None:
        if self._house.is_full() and scope["path"] not in QUIET:
            return Overloaded()
        return wrong_head(scope)

    async def _let_in(self, visit: "_Visit", receive: Receive) -> None:
        with self._house.inside(visit.scope["state"]):
            try:
                await self._app(visit.scope, receive, visit.send)
            except asyncio.CancelledError:  # only a stop that has waited long enough cancels requests
                await visit.refuse(Stopping())


class _Visit:
    """One request's way out: its headers, its status, its duration."""

    def __init__(self, scope: HTTPScope, send: Send, tracing: Tracing) -> None:
        self._method = scope["method"]
        self._send = send
        self._status = 0
        self.request_id = request_id_of(scope)
        self.trail = RequestTrail(
            UNTRACED if scope["path"] in QUIET else tracing, self._method, self.request_id
        )
        self.scope: HTTPScope = scope
        if self._method == "HEAD":
            self.scope = {**scope, "method": "GET", "state": {**scope["state"], HEAD: True}}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = list(message["headers"])
            present = {name.lower() for name, _ in headers}
            if HARDENED.isdisjoint(present):
                headers += HARDENING
            else:
                headers += [(name, value) for name, value in HARDENING if name not in present]
            headers += quota_headers(self.scope)
            headers += deprecation_headers(self.scope)
            headers.append((b"x-request-id", self.request_id.encode("ascii")))
            message["headers"] = headers
        elif message["type"] == "http.response.body" and self._method == "HEAD":
            message["body"] = b""
        await self._send(message)

    async def refuse(self, error: LedgerError) -> None:
        """Answer with a problem document, unless another answer has begun."""
        if self._status:
            return
        status, headers, body = refusal_of(error, path=self.scope["path"], request_id=self.request_id)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def tell(self, log: FilteringBoundLogger) -> None:
        seconds = self.trail.seconds()
        method, path, route = self._method, self.scope["path"], _route_of(self.scope)
        _requests.add((method, route, str(self._status)))
        _seconds.record(seconds, (method, route))
        self.trail.close(route, self._status)
        if path not in QUIET:
            log.info(
                "http.answered",
                method=method,
                path=path,
                route=route,
                status=self._status,
                milliseconds=round(seconds * 1000, 1),
            )


def refusal_of(
    error: LedgerError, *, path: str, request_id: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Write a refusal where no framework does it: its status, its headers, its body."""
    problem = problem_of(error, path=path, request_id=request_id)
    body = msgspec.json.encode(problem)
    return problem.status, list(_headers(error, len(body))), body


def _headers(error: LedgerError, length: int) -> Iterator[tuple[bytes, bytes]]:
    yield b"content-type", b"application/problem+json"
    yield b"content-length", str(length).encode("ascii")
    for name, value in headers_of(error).items():
        yield name.lower().encode("ascii"), value.encode("ascii")


def _is_http(scope: Scope) -> TypeGuard[HTTPScope]:
    return scope["type"] == ScopeType.HTTP


def _route_of(scope: HTTPScope) -> str:
    """Name the route, never the raw path: its ids would make a metric of every item."""
    return scope.get("path_template") or "none"

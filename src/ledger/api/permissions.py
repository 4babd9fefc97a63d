"""Who may call what: one line for every route there is, and no route without a line."""

from collections.abc import Iterator, Mapping
from typing import Final

from litestar import Litestar
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute

from ledger.api.auth import bearer_of, header_of, services_of
from ledger.api.quota import spend_as, spend_from_address
from ledger.api.traces import request_trail
from ledger.api.types import AnyConnection, HttpConnection
from ledger.domain.account.events import Scope
from ledger.domain.authority import ADMINS, AdminRequired, InsufficientPermissions, Role
from ledger.domain.errors import LedgerError, Unauthenticated
from ledger.identity.sessions import Principal, authenticate

EVERYBODY: Final = frozenset(Role)
SUBMITTERS: Final = frozenset({Role.ADMIN, Role.ANALYST, Role.SERVICE})
QUEUE_READERS: Final = frozenset({Role.ADMIN, Role.ANALYST, Role.AUDITOR})
SIMULATORS: Final = SUBMITTERS | QUEUE_READERS
DECIDERS: Final = frozenset({Role.ADMIN, Role.ANALYST})
OVERSEERS: Final = frozenset({Role.ADMIN, Role.AUDITOR})
"""They read how the service fares; only administrators change it."""

WEBSOCKET: Final = "WS"
PUBLIC: Final = None
"""Answers without a session; where it needs a token of another kind, the handler reads that itself."""

PERMISSIONS: Final[Mapping[str, frozenset[Role] | None]] = {
    "GET /health": PUBLIC,
    "GET /health/live": PUBLIC,
    "GET /health/ready": PUBLIC,
    "GET /health/database": ADMINS,
    "GET /metrics": PUBLIC,
    "GET /openapi.json": PUBLIC,
    "GET /api/docs": PUBLIC,
    "GET /api/docs/{asset}": PUBLIC,
    "GET /api/status": EVERYBODY,
    "POST /api/auth/register": ADMINS,
    "POST /api/auth/login": PUBLIC,
    "POST /api/auth/refresh": PUBLIC,
    "POST /api/auth/logout": EVERYBODY,
    "GET /api/auth/me": EVERYBODY,
    "POST /api/auth/2fa/setup": PUBLIC,
    "POST /api/auth/2fa/verify": PUBLIC,
    "POST /api/auth/2fa/backup-codes": EVERYBODY,
    "POST /api/auth/2fa/disable": EVERYBODY,
    "GET /api/auth/2fa/required": OVERSEERS,
    "POST /api/auth/2fa/required": ADMINS,
    "POST /api/auth/step-up": EVERYBODY,
    "POST /api/auth/users/{username}/2fa/disable": ADMINS,
    "POST /api/auth/users/{username}/deactivate": ADMINS,
    "POST /api/auth/users/{username}/reactivate": ADMINS,
    "POST /api/auth/users/{username}/role": ADMINS,
    "POST /api/auth/users/{username}/password": EVERYBODY,
    "POST /api/auth/users/{username}/groups": ADMINS,
    "POST /api/auth/users/{username}/lead": ADMINS,
    "GET /api/auth/users": OVERSEERS,
    "GET /api/auth/groups": QUEUE_READERS,
    "GET /api/sessions": EVERYBODY,
    "GET /api/sessions/current": EVERYBODY,
    "POST /api/sessions/current/pause": EVERYBODY,
    "POST /api/sessions/current/resume": EVERYBODY,
    "POST /api/sessions/{session_id}/revoke": EVERYBODY,
    "POST /api/keys": ADMINS,
    "GET /api/keys": OVERSEERS,
    "DELETE /api/keys/{key_id}": ADMINS,
    "POST /api/decisions/submit": SUBMITTERS,
    "GET /api/decisions/pending": QUEUE_READERS,
    "GET /api/decisions/stats/summary": EVERYBODY,
    "GET /api/decisions/stats/detail": EVERYBODY,
    "GET /api/decisions/{analysis_id}": EVERYBODY,
    "GET /api/decisions/{analysis_id}/response": EVERYBODY,
    "GET /api/stream": EVERYBODY,
    "WS /ws/{username}": PUBLIC,
    "GET /api/ws/stats": EVERYBODY,
    "POST /api/decisions/next": DECIDERS,
    "POST /api/decisions/{analysis_id}/claim": DECIDERS,
    "POST /api/decisions/{analysis_id}/renew": DECIDERS,
    "POST /api/decisions/{analysis_id}/release": DECIDERS,
    "POST /api/decisions/{analysis_id}/hand-over": DECIDERS,
    "POST /api/decisions/{analysis_id}/accept": DECIDERS,
    "POST /api/decisions/{analysis_id}/assign": DECIDERS,
    "POST /api/decisions/{analysis_id}/reprioritise": DECIDERS,
    "POST /api/decisions/{analysis_id}/decide": DECIDERS,
    "POST /api/decisions/{analysis_id}/escalate": DECIDERS,
    "POST /api/decisions/bulk/preview": DECIDERS,
    "POST /api/decisions/bulk/decide": DECIDERS,
    "POST /api/decisions/bulk/assign": DECIDERS,
    "POST /api/decisions/{analysis_id}/withdraw": SUBMITTERS,
    "POST /api/decisions/{analysis_id}/supersede": SUBMITTERS,
    "POST /api/decisions/{analysis_id}/cancel": ADMINS,
    "POST /api/decisions/{analysis_id}/override": ADMINS,
    "POST /api/decisions/{analysis_id}/countersign": ADMINS,
    "POST /api/decisions/{analysis_id}/comment": SUBMITTERS,
    "GET /api/decisions/{analysis_id}/comments": EVERYBODY,
    "POST /api/decisions/{analysis_id}/evidence": SUBMITTERS,
    "GET /api/decisions/{analysis_id}/evidence": EVERYBODY,
    "GET /api/decisions/{analysis_id}/evidence/{evidence_id}": EVERYBODY,
    "POST /api/decisions/{analysis_id}/request-information": DECIDERS,
    "POST /api/decisions/{analysis_id}/provide-information": SUBMITTERS,
    "POST /api/decisions/{analysis_id}/redeem": SUBMITTERS,
    "POST /api/decisions/{analysis_id}/outcome": SUBMITTERS,
    "POST /api/kinds": ADMINS,
    "GET /api/kinds": EVERYBODY,
    "GET /api/kinds/{name}": EVERYBODY,
    "POST /api/kinds/{name}/revise": ADMINS,
    "POST /api/kinds/{name}/retire": ADMINS,
    "POST /api/policies": ADMINS,
    "GET /api/policies": QUEUE_READERS,
    "GET /api/policies/{kind}": QUEUE_READERS,
    "POST /api/policies/simulate": SIMULATORS,
    "POST /api/policies/{kind}/{version}/publish": ADMINS,
    "POST /api/policies/{kind}/{version}/withdraw": ADMINS,
    "POST /api/policies/{kind}/{version}/retire": ADMINS,
    "GET /admin/notary/status": OVERSEERS,
    "GET /tlog/checkpoint": PUBLIC,
    "GET /tlog/checkpoints": PUBLIC,
    "GET /tlog/timestamps": PUBLIC,
    "GET /tlog/tile/{path}": PUBLIC,
    "GET /tlog/tile/entries/{path}": OVERSEERS,
    "GET /tlog/proof/{leaf_index}": OVERSEERS,
    "GET /api/audit/events/{event_id}/proof": EVERYBODY,
    "GET /admin/projections/status": ADMINS,
    "POST /admin/projections/{name}/reset": ADMINS,
    "POST /admin/projections/{name}/rebuild": ADMINS,
    "GET /admin/projections/{name}/rebuild": OVERSEERS,
    "POST /admin/projections/{name}/rebuild/cancel": ADMINS,
    "POST /admin/projections/{name}/rebuild/rollback": ADMINS,
    "GET /admin/projections/{name}/verify": OVERSEERS,
    "POST /admin/projections/{name}/pause": ADMINS,
    "POST /admin/projections/{name}/resume": ADMINS,
    "POST /admin/projections/{name}/replay": ADMINS,
    "POST /admin/projections/failures/{failure_id}/resolve": ADMINS,
    "POST /api/webhooks": ADMINS,
    "GET /api/webhooks": OVERSEERS,
    "GET /api/webhooks/{webhook_id}": OVERSEERS,
    "POST /api/webhooks/{webhook_id}/change": ADMINS,
    "POST /api/webhooks/{webhook_id}/pause": ADMINS,
    "POST /api/webhooks/{webhook_id}/resume": ADMINS,
    "POST /api/webhooks/{webhook_id}/rotate-secret": ADMINS,
    "POST /api/webhooks/{webhook_id}/ping": ADMINS,
    "DELETE /api/webhooks/{webhook_id}": ADMINS,
    "GET /api/webhooks/{webhook_id}/deliveries": OVERSEERS,
    "GET /api/webhooks/{webhook_id}/dead-letters": OVERSEERS,
    "POST /api/webhooks/{webhook_id}/replay": ADMINS,
    "POST /api/audit/exports": OVERSEERS,
    "GET /api/audit/exports/{export_id}/payloads": OVERSEERS,
    "GET /api/audit/exports/{export_id}/people": OVERSEERS,
    "GET /api/audit/events": OVERSEERS,
    "GET /api/audit/decisions/{analysis_id}/timeline": OVERSEERS,
    "GET /api/subjects/erasures": OVERSEERS,
    "GET /api/subjects/holds": OVERSEERS,
    "GET /api/subjects/{kind}/{subject}": OVERSEERS,
    "POST /api/subjects/{kind}/{subject}/erasure": ADMINS,
    "POST /api/subjects/{kind}/{subject}/erasure/approve": ADMINS,
    "POST /api/subjects/{kind}/{subject}/erasure/withdraw": ADMINS,
    "POST /api/subjects/{kind}/{subject}/erasure/refuse": ADMINS,
    "POST /api/subjects/{kind}/{subject}/holds": ADMINS,
    "POST /api/subjects/{kind}/{subject}/holds/{hold_id}/lift": ADMINS,
    "GET /api/audit/decisions/{analysis_id}/state": OVERSEERS,
    "GET /api/audit/decisions/{analysis_id}/chain": OVERSEERS,
    "GET /api/audit/correlations/{trace_id}": OVERSEERS,
    "GET /api/audit/queue": OVERSEERS,
    "GET /api/audit/exports/{export_id}/keys": OVERSEERS,
    "GET /health/projections": OVERSEERS,
    "GET /health/projections/{name}": OVERSEERS,
    "GET /health/projections/{name}/checkpoint": OVERSEERS,
    "GET /health/projections/{name}/failures": OVERSEERS,
}


OPEN_WHERE_PUBLIC: Final = frozenset({"GET /tlog/tile/entries/{path}", "GET /tlog/proof/{leaf_index}"})
"""What answers everybody, without a session, where LEDGER_TLOG_PUBLIC says that the log is public."""

SCOPES: Final[Mapping[str, Scope]] = {
    "POST /api/decisions/submit": Scope.SUBMIT,
    "GET /api/decisions/{analysis_id}": Scope.READ,
    "GET /api/decisions/{analysis_id}/response": Scope.READ,
    "GET /api/stream": Scope.READ,
    "GET /api/decisions/{analysis_id}/comments": Scope.READ,
    "POST /api/decisions/{analysis_id}/evidence": Scope.SUBMIT,
    "GET /api/decisions/{analysis_id}/evidence": Scope.READ,
    "GET /api/decisions/{analysis_id}/evidence/{evidence_id}": Scope.READ,
    "POST /api/decisions/{analysis_id}/withdraw": Scope.SUBMIT,
    "POST /api/decisions/{analysis_id}/supersede": Scope.SUBMIT,
    "POST /api/decisions/{analysis_id}/comment": Scope.SUBMIT,
    "POST /api/decisions/{analysis_id}/provide-information": Scope.SUBMIT,
    "POST /api/decisions/{analysis_id}/redeem": Scope.SUBMIT,
    "POST /api/decisions/{analysis_id}/outcome": Scope.SUBMIT,
    "GET /api/decisions/stats/summary": Scope.READ,
    "GET /api/decisions/stats/detail": Scope.READ,
    "GET /api/kinds": Scope.SUBMIT,
    "GET /api/kinds/{name}": Scope.SUBMIT,
    "POST /api/policies/simulate": Scope.SUBMIT,
    "GET /api/status": Scope.READ,
    "GET /api/audit/events/{event_id}/proof": Scope.SUBMIT,
}
"""What an API key can call, and the scope it needs for it; everything else is for people who have logged in."""


class KeyNotForThis(InsufficientPermissions):
    """Insufficient permissions: this API key is not good for this call."""

    code = "key-not-for-this"
    advice = "Issue a key with the scope it needs; what has none needs a login."


class RoutesAndPermissionsDiffer(LedgerError):
    """Routes and the table of permissions differ."""

    code = "routes-and-permissions-differ"
    advice = "Give every route its line in api/permissions.py, and no line to a route that is gone."


async def guard(connection: HttpConnection, _handler: BaseRouteHandler) -> None:
    """As ``permit``, for routes of WebSockets."""
    await permit(connection)


async def permit(connection: AnyConnection) -> None:
    """Let in who may call this route, and tell the handler who it is.

    Raises:
        Unauthenticated: there is no token, or no good one.
        InsufficientPermissions: the role is not among those of the route, or the API key is not good for it.
        TooManyRequests: the caller asks too often.
    """
    if connection.scope.get("method") == "OPTIONS":  # tells which methods there are, to anybody
        return
    call = call_of(connection)
    roles = PERMISSIONS[call]
    if roles is PUBLIC or (call in OPEN_WHERE_PUBLIC and services_of(connection.app).tlog_public):
        await spend_from_address(connection)
        _on_trail(connection, None)
        return
    try:
        principal = await authenticate(services_of(connection.app).identity, bearer_of(connection))
    except Unauthenticated:
        await spend_from_address(connection)
        raise
    _on_trail(connection, principal)
    await spend_as(connection, principal.person)
    if principal.role not in roles:
        raise (AdminRequired if roles == ADMINS else InsufficientPermissions)(role=principal.role.value)
    if principal.key is not None and SCOPES.get(call) not in principal.key.scopes:
        raise KeyNotForThis(scopes=", ".join(principal.key.scopes))
    connection.scope["user"] = principal


def _on_trail(connection: AnyConnection, principal: Principal | None) -> None:
    """Let the request's trail begin its span, in the caller's trace if it is known who that is."""
    trail = request_trail()
    if trail is None:
        return
    if principal is not None:
        trail.known(principal, header_of(connection, b"traceparent"))
    trail.open(connection.scope["path_template"])


def call_of(connection: AnyConnection) -> str:
    """Name the route that a request has come to, as the table does: ``GET /api/status``."""
    return f"{connection.scope.get('method', WEBSOCKET)} {connection.scope['path_template']}"


def check_permissions(app: Litestar, *, elsewhere: frozenset[str] = frozenset()) -> None:
    """Refuse to serve a route that the table does not know, and a table that names what is neither here nor elsewhere.

    Raises:
        RoutesAndPermissionsDiffer: naming them.
    """
    routes = set(calls_of(app))
    differing = sorted(routes ^ (set(PERMISSIONS) - elsewhere))
    if differing:
        raise RoutesAndPermissionsDiffer(differing=", ".join(differing))


def calls_of(app: Litestar) -> Iterator[str]:
    """Name every route; OPTIONS tells nothing but methods and has no line."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from (
                f"{method} {route.path_format}" for method in route.route_handler_map if method != "OPTIONS"
            )
        else:
            yield f"{WEBSOCKET} {route.path_format}"

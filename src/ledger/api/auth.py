"""Who is calling, and whether their role may call this at all."""

from collections.abc import Awaitable, Callable
from typing import Final

from litestar import Litestar
from litestar.handlers import BaseRouteHandler

from ledger.api.services import Services
from ledger.api.types import HttpConnection, HttpRequest
from ledger.domain.authority import AdminRequired, InsufficientPermissions, Role
from ledger.domain.errors import Unauthenticated
from ledger.identity.session_rows import Client
from ledger.identity.sessions import authenticate

EVERYBODY: Final = frozenset(Role)
SUBMITTERS: Final = frozenset({Role.ADMIN, Role.ANALYST, Role.SERVICE})
QUEUE_READERS: Final = frozenset({Role.ADMIN, Role.ANALYST, Role.AUDITOR})
DECIDERS: Final = frozenset({Role.ADMIN, Role.ANALYST})
ADMINS: Final = frozenset({Role.ADMIN})

Guard = Callable[[HttpConnection, BaseRouteHandler], Awaitable[None]]


def allow(roles: frozenset[Role]) -> Guard:
    """Make a guard that lets in live sessions of ``roles``, and tells the handler who it is.

    The guard raises ``Unauthenticated`` without a good token and ``InsufficientPermissions`` for another role.
    """

    async def guard(connection: HttpConnection, _handler: BaseRouteHandler) -> None:
        services = services_of(connection.app)
        principal = await authenticate(services.identity, bearer_of(connection))
        if principal.role not in roles:
            raise (AdminRequired if roles == ADMINS else InsufficientPermissions)(role=principal.role.value)
        connection.scope["user"] = principal

    return guard


def services_of(app: Litestar) -> Services:
    """Give the services the application was made with."""
    services = app.state["services"]
    if not isinstance(services, Services):
        raise TypeError(type(services))
    return services


def bearer_of(connection: HttpConnection | HttpRequest) -> str:
    """Read the bearer token (RFC 6750, section 2.1).

    Raises:
        Unauthenticated: there is none.
    """
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    return token


def client_of(request: HttpRequest) -> Client:
    """Say from where and with what somebody logs in; kept beside the log, never in it."""
    address = request.client.host if request.client else ""
    return Client.of(address, request.headers.get("user-agent", ""))

"""What goes before every handler: who may call, and whether the request can be read."""

from collections.abc import Iterator

from litestar import Litestar, Response
from litestar.routes import HTTPRoute, WebSocketRoute

from ledger.api.arrival import check_arrival
from ledger.api.permissions import WEBSOCKET, guard, permit
from ledger.api.types import HttpRequest
from ledger.domain.errors import LedgerError


class RoutesWithoutAdmission(LedgerError):
    """At some routes nobody is asked who they are."""

    code = "routes-without-admission"
    advice = "Let no route have a before_request of its own, and give a WebSocket its guard."


async def admit(request: HttpRequest) -> Response[None] | None:
    """Let in who may call this route, with a request that can be read; goes before every route of HTTP.

    What it answers itself no handler sees.

    Not as a guard: the framework makes a copy of the whole handler for each guard of each request.

    Raises:
        LedgerError: as ``permit`` and ``check_arrival``.
    """
    await permit(request)
    return await check_arrival(request)


def check_admission(app: Litestar) -> None:
    """Refuse to serve a route that has something else in the place of ``admit`` or ``guard``.

    Raises:
        RoutesWithoutAdmission: naming them.
    """
    careless = sorted(_careless(app))
    if careless:
        raise RoutesWithoutAdmission(routes=", ".join(careless))


def _careless(app: Litestar) -> Iterator[str]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            yield from (
                f"{method} {route.path_format}"
                for method, (handler, _) in route.route_handler_map.items()
                if handler.resolve_before_request() is not admit
            )
        elif not isinstance(route, WebSocketRoute):  # one that is an application itself asks nobody
            yield f"ASGI {route.path_format}"
        elif guard not in route.route_handler.resolve_guards():
            yield f"{WEBSOCKET} {route.path_format}"

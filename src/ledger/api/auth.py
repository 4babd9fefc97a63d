"""What a request says of its caller: a token, and where it comes from."""

from litestar import Litestar

from ledger.api.services import Services
from ledger.api.types import AnyConnection, HttpRequest
from ledger.domain.errors import Unauthenticated
from ledger.identity.session_rows import Client


def services_of(app: Litestar) -> Services:
    """Give the services the application was made with."""
    services = app.state["services"]
    if not isinstance(services, Services):
        raise TypeError(type(services))
    return services


def header_of(connection: AnyConnection, wanted: bytes) -> str | None:
    """Read a header that nearly every request is asked for; the framework would take all of them apart for it."""
    for name, value in connection.scope["headers"]:
        if name == wanted:
            return value.decode("latin-1")
    return None


def bearer_of(connection: AnyConnection) -> str:
    """Read the bearer token (RFC 6750, section 2.1).

    Raises:
        Unauthenticated: there is none.
    """
    scheme, _, token = (header_of(connection, b"authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    return token


def client_of(request: HttpRequest) -> Client:
    """Say from where and with what somebody logs in; kept beside the log, never in it."""
    address = request.client.host if request.client else ""
    return Client.of(address, request.headers.get("user-agent", ""))

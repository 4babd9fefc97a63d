"""The framework's types, named once with their parameters."""

from typing import TypeAlias

from litestar import Request, WebSocket
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from ledger.identity.sessions import Principal

HttpRequest: TypeAlias = Request[Principal, None, State]
Socket: TypeAlias = WebSocket[Principal, None, State]
HttpConnection: TypeAlias = ASGIConnection[BaseRouteHandler, Principal, None, State]
AnyConnection: TypeAlias = HttpConnection | HttpRequest

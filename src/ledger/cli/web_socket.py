"""One WebSocket: uvicorn's, with a line by which whoever serves it hangs up and hears of its end.

What is refused before it is one is told as everywhere else: the library would answer in plain text, and keep for ever
a connection whose handshake it cannot read.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import structlog
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from ledger.api.door import HARDENING, refusal_of
from ledger.api.lasting import LINE, Line
from ledger.api.problems import HeadTooLarge, MethodNotAllowed, NoHandshake, NoWebSocketHere, Unforeseen
from ledger.api.request_id import chosen_id
from ledger.domain.errors import LedgerError

log = structlog.get_logger()

REFUSALS: Final[Mapping[int, type[LedgerError]]] = {
    HTTPStatus.BAD_REQUEST: NoHandshake,
    HTTPStatus.FORBIDDEN: NoWebSocketHere,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
    HTTPStatus.REQUEST_URI_TOO_LONG: HeadTooLarge,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: HeadTooLarge,
    HTTPStatus.INTERNAL_SERVER_ERROR: Unforeseen,
}
"""What is said of a handshake that the library refuses with a status."""


class WebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that can be hung up on."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Wait for the handshake; the connection before it makes one of these when it is asked to."""
        super().__init__(config, server_state, app_state, _loop)
        self.conn = _Handshake(max_size=config.ws_max_size, logger=self.conn.logger)
        self._line = Line(hang_up=self._hang_up)

    def data_received(self, data: bytes) -> None:
        """Take what came; the first is the whole head of the request, which the connection before has read."""
        super().data_received(data)
        if not self.handshake_initiated:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        self._line.lost()
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Begin to serve, and lay the line before the application runs."""
        super().handle_connect(event)
        if hasattr(self, "scope"):  # not where the handshake was refused
            self.scope["state"][LINE] = self._line

    def _hang_up(self) -> None:
        self.transport.abort()


class _Handshake(ServerProtocol):
    """The library's side of a connection; it refuses with problem documents."""

    _path = "/"
    _request_id = ""

    def accept(self, request: Request) -> Response:
        """Note who asks for what, before it is looked at."""
        self._path = request.path.partition("?")[0]
        named = [
            (name.lower().encode(), text.encode(errors="replace"))
            for name, text in request.headers.raw_items()
        ]
        self._request_id = chosen_id(named)
        return super().accept(request)

    def reject(self, status: HTTPStatus | int, text: str) -> Response:
        """Say why, in our words; ``text`` is the library's."""
        del text
        error = REFUSALS.get(status, NoHandshake)()
        request_id = self._request_id or chosen_id(())
        code, headers, body = refusal_of(error, path=self._path, request_id=request_id)
        log.info("http.refused", code=error.code, status=code, request_id=request_id)
        told = Headers(Connection="close")
        for name, value in [*headers, *HARDENING, (b"x-request-id", request_id.encode("ascii"))]:
            told[name.decode("ascii")] = value.decode("ascii")
        return Response(code, HTTPStatus(code).phrase, told, body)

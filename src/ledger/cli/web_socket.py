"""One WebSocket: uvicorn's, with a line by which whoever serves it hangs up and hears of its end."""

import asyncio

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request

from ledger.api.lasting import LINE, Line


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
        self._line = Line(hang_up=self._hang_up)

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

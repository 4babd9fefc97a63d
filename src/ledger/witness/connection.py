"""One connection: uvicorn's, with a bound on how long a request may be on its way in; uvicorn has none."""

import asyncio
from asyncio import TimerHandle
from typing import ClassVar, Final

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

ARRIVED: Final = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)


class Connection(H11Protocol):
    """A connection that does not wait for ever."""

    request_seconds: ClassVar[float] = 30.0
    """From the connection, or the first byte of a later request, to the end of its body."""

    _deadline: TimerHandle | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Wait for the first request; uvicorn makes one of these for every connection."""
        super().__init__(config, server_state, app_state, _loop)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Take what came, and expect the rest of it in time."""
        super().data_received(data)
        if self._has_arrived():
            self._nothing_is_due()
        elif self._deadline is None:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        self._nothing_is_due()
        super().connection_lost(exc)

    def _has_arrived(self) -> bool:
        state = self.conn.their_state
        return state in ARRIVED or (state is h11.IDLE and not self.conn.trailing_data[0])

    def _expect(self) -> None:
        self._deadline = self.loop.call_later(self.request_seconds, self._is_late)

    def _is_late(self) -> None:
        self.transport.close()

    def _nothing_is_due(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

"""One connection: uvicorn's, with bounds on how long and how large a request may be on its way in.

uvicorn itself bounds neither, and answers what it cannot parse in plain text. What is bounded here holds for
everybody, before anybody is known; a proxy in front may be stricter.
"""

import asyncio
from asyncio import TimerHandle
from collections.abc import Callable
from typing import ClassVar, Final
from uuid import uuid4

import structlog
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from ledger.api.door import HARDENING, refusal_of
from ledger.api.lasting import LINE, Line
from ledger.api.problems import HeadTooLarge, MalformedHttp, RequestTimeout
from ledger.domain.errors import LedgerError

log = structlog.get_logger()

MAX_HEAD_BYTES: Final = 64 * 1024
LINGER_SECONDS: Final = 2.0
LEAST_READ: Final = 16 * 1024


class Connection(HttpToolsProtocol):
    """A connection that does not wait for ever."""

    head_seconds: ClassVar[float] = 30.0
    """From the connection, or the first byte of a later request, to the end of its headers."""
    body_seconds: ClassVar[float] = 60.0
    """From there to the end of its body. The application asks for more haste and answers properly; this also
    ends bodies that nobody reads any more."""

    unread_seconds: ClassVar[float] = 70.0
    """How long a client may take for the next ``LEAST_READ`` bytes of what it was sent: longer than what lasts allows itself."""

    _deadline: TimerHandle | None = None
    _patience: TimerHandle | None = None
    _has_begun = False
    _is_in_head = True
    _head_bytes = 0
    _idle_bytes = 0
    """What came since the head, or since the last of the body, and is neither: trailers, or what describes chunks."""
    _has_moved = False
    _has_passed_a_head = False
    _answering: RequestResponseCycle | None = None
    """What is answered now; of requests that came together ``cycle`` is the last."""
    _owed: tuple[RequestResponseCycle, ASGI3Application] | None = None
    """What is to be answered next, once the client has read of what it was sent."""
    _is_over = False

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Wait for the first request; uvicorn makes one of these for every connection."""
        super().__init__(config, server_state, app_state, _loop)
        self._line = Line(hang_up=self._hang_up)
        self._due_in(self.head_seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        self._nothing_is_due()
        self._is_read()
        self._line.lost()
        super().connection_lost(exc)
        self._nobody_listens()

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it comes after the end."""
        if self._is_over:
            return
        self._has_moved = self._has_passed_a_head = False
        super().data_received(data)
        if (
            self._is_in_head and self._has_begun and not self._has_passed_a_head
        ):  # else much of it was not this one's
            self._head_bytes += len(data)
        self._idle_bytes = 0 if self._has_moved else self._idle_bytes + len(data)
        if max(self._head_bytes, self._idle_bytes) > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge())

    def pause_writing(self) -> None:
        """Hold answers back until the client reads, and watch whether it does."""
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        """Go on, with the next answer where one is owed."""
        self._is_read()
        super().resume_writing()
        if self._owed is not None:
            owed, self._owed = self._owed, None
            self._start_asgi_task(*owed)

    def on_message_begin(self) -> None:
        """Expect the head of a request."""
        self._has_begun, self._is_in_head, self._head_bytes, self._has_moved = True, True, 0, True
        self._due_in(self.head_seconds, self._head_is_late)
        super().on_message_begin()
        self.scope["state"][LINE] = self._line

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind the body is none (RFC 9110, section 6.5.1), and nobody here wants it."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._has_moved = True
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Expect the body, and have the request answered meanwhile."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge())
            raise HeadTooLarge  # so that the parser goes no further
        self._is_in_head, self._head_bytes = False, 0
        self._has_moved = self._has_passed_a_head = True
        self._due_in(self.body_seconds, self._body_is_late)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect nothing more of this request."""
        self._nothing_is_due()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser could not read; ``msg`` only ever says that it could not."""
        del msg
        self._refuse(MalformedHttp())

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection, and all that is due, to the WebSocket; an answer must not come in between."""
        if not self._is_between():
            self._refuse(MalformedHttp())
            return
        self._nothing_is_due()
        super().handle_websocket_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if self.flow.write_paused:  # what waits inside for somebody to read keeps others outside
            self._owed = (cycle, app)
            return
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _watch_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._patience = self.loop.call_later(self.unread_seconds, self._look_again, unread)

    def _look_again(self, unread: int) -> None:
        if self.transport.get_write_buffer_size() > unread - LEAST_READ:
            log.info("http.not_read", seconds=self.unread_seconds)
            self._hang_up()
        else:
            self._watch_reading()

    def _is_read(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _hang_up(self) -> None:
        self.transport.abort()

    def _head_is_late(self) -> None:
        if self._has_begun:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def _body_is_late(self) -> None:
        self.transport.close()

    def _due_in(self, seconds: float, otherwise: Callable[[], None]) -> None:
        self._nothing_is_due()
        self._deadline = self.loop.call_later(seconds, otherwise)

    def _nothing_is_due(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, error: LedgerError) -> None:
        """Say why and listen no more; closing at once could take the answer away from who is still sending."""
        if self._is_over or self.transport.is_closing():
            return
        self._is_over = True
        if self._may_write():
            self.transport.write(_written(error))
        self._nobody_listens()
        self.transport.write_eof()
        self._due_in(LINGER_SECONDS, self.transport.close)

    def _may_write(self) -> bool:
        """Say whether a refusal would not stand in the middle of another answer."""
        has_begun = self._answering is not None and self._answering.response_started
        return self._is_between() or not (has_begun or self.pipeline)

    def _is_between(self) -> bool:
        """Say whether nothing is being answered."""
        is_owed = self._owed is not None or bool(self.pipeline)
        return self._answering is None or (self._answering.response_complete and not is_owed)

    def _nobody_listens(self) -> None:
        """Let whatever is answered find out; what was to be answered after it is forgotten."""
        self.pipeline.clear()
        self._owed = None
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()


def _written(error: LedgerError) -> bytes:
    request_id = uuid4().hex
    status, headers, body = refusal_of(error, path="/", request_id=request_id)
    log.info("http.refused", code=error.code, status=status, request_id=request_id)
    lines = [*headers, *HARDENING, (b"x-request-id", request_id.encode("ascii"))]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
    return STATUS_LINE[status] + head + b"\r\n" + body

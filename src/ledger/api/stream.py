"""Server-sent events: everything that happens to decisions, from any position on, without loss or doubling.

Theory. A stream is a position and a loop: take what lies behind the position, make sure that the caller may still see
it, send it, go on. ``id`` is that position, so whoever reconnects says where they were (Last-Event-ID). Sending waits
for the client; one that does not read for 20 seconds is cut off, and reads on from where it was when it comes back.
"""

import asyncio
import re
from typing import Annotated, Final

import msgspec
import structlog
from litestar import get
from litestar.params import QueryParameter
from litestar.types import ASGIApp, Receive, Scope, Send

from ledger.api.call import Call, own_only
from ledger.api.lasting import Stay, house_of, is_head, line_of
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.types import HttpRequest
from ledger.delivery.live import Live
from ledger.delivery.news import AGAIN_SECONDS, Ear
from ledger.delivery.notices import Told
from ledger.domain.errors import Unauthenticated, Unavailable
from ledger.domain.ids import Position
from ledger.identity.identity import Identity
from ledger.identity.sessions import Principal
from ledger.personal.opening import opened_json

log = structlog.get_logger()

BIGGEST: Final = 2**63 - 1
ID: Final = re.compile(r"\d{1,18}")
BEAT_SECONDS: Final = 15.0
SEND_SECONDS: Final = 20.0
"""How long a client may take to read what it was sent."""
HEAD: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # a proxy that collects answers would hold events back
)
RECONNECT: Final = b"retry: 2000\n\n"
STOPPING: Final = b'event: goodbye\ndata: {"reason":"stopping"}\n\n'
ENDED: Final = b'event: goodbye\ndata: {"reason":"session-ended"}\n\n'


@get("/api/stream", tags=["Decisions"], opt={"answer": Told, "media": "text/event-stream"})
async def stream(
    request: HttpRequest, after: Annotated[int | None, QueryParameter(ge=0, le=BIGGEST)] = None
) -> ASGIApp:
    """Follow what happens to decisions, as server-sent events behind a position, or from now on."""
    call = Call(request)
    head = await call.services.ledger.head()
    position = _resumed(request, after)
    if position is not None and position > head:
        raise InvalidRequest(FieldError("after", f"lies behind the end of the ledger, {head}"))
    return EventStream(
        call.services.live,
        call.services.identity,
        call.principal,
        head if position is None else position,
    )


def _resumed(request: HttpRequest, after: int | None) -> Position | None:
    """Take the id of the last event that a client saw: what it says on reconnecting counts more than its address."""
    last = request.headers.get("last-event-id")
    if last is None:
        return None if after is None else Position(after)
    if not ID.fullmatch(last):
        raise InvalidRequest(FieldError("Last-Event-ID", "is the id of an event of this stream"))
    return Position(int(last))


class EventStream:
    """One client's stream, as the application that answers with it."""

    def __init__(self, live: Live, identity: Identity, principal: Principal, after: Position) -> None:
        """Begin behind ``after``."""
        self._live, self._news, self._identity = live, live.news, identity
        self._stay = Stay(identity, live.news, principal)
        self._position = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client leaves, the session ends or the service stops."""
        del receive
        state = scope["state"]
        line, out = line_of(state), _Out(send)
        with (
            self._news.listening() as ear,
            line.watched(ear.lose),
            self._live.staying(line.hang_up),
            house_of(state).aside(),
        ):
            try:
                await out.begin()
                if not is_head(state):
                    await self._follow(ear, out)
                await out.end()
            except TimeoutError:
                log.info("stream.too_slow", position=self._position)
                line.hang_up()

    async def _follow(self, ear: Ear, out: "_Out") -> None:
        """Send until there is a reason to end; what keeps the ledger from being read is waited for."""
        await out.send(RECONNECT)
        while not ear.is_lost:
            try:
                await self._tell(ear, out)
            except Unauthenticated:
                await out.send(ENDED)
                return
            except Unavailable:
                await ear.listen(AGAIN_SECONDS)
            if self._news.is_over:
                await out.send(STOPPING)
                return

    async def _tell(self, ear: Ear, out: "_Out") -> None:
        """Send what there is; where that is all, wait for more."""
        page = await self._news.after(self._position, submitted_by=own_only(self._stay.principal))
        await self._stay.check(anyway=bool(page.notices))
        if page.notices:
            frames = b"".join(_frame(notice.told) for notice in page.notices)
            await out.send(await opened_json(self._identity, frames))
        self._position = page.after
        if page.is_last and not self._news.is_over and not await ear.listen(BEAT_SECONDS):
            await self._stay.check(anyway=True)
            await out.send(b": still here\nid: %d\n\n" % self._position)


class _Out:
    """The way to the client; it takes so much at a time and no more."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def begin(self) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": list(HEAD)})

    async def send(self, body: bytes) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _frame(told: Told) -> bytes:
    """Write a notice as an event (HTML, section 9.2.5)."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        told.position,
        told.type.encode("ascii"),
        msgspec.json.encode(told),
    )

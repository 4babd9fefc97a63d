"""Lines of JSON of any number, page by page, at the pace of whoever takes them.

One page is in memory, and no connection to the database is held while it is sent. What goes wrong on the way breaks the
line to the client: an answer that came to its end is whole.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import structlog
from litestar.types import Receive, Scope, Send

from ledger.api.call import Call
from ledger.api.lasting import Stay, house_of, is_head, line_of
from ledger.domain.errors import LedgerError

log = structlog.get_logger()

MEDIA: Final = "application/x-ndjson"
SEND_SECONDS: Final = 60.0
"""How long a client may take to read a page."""


class Lines:
    """One answer, as the application that sends it."""

    def __init__(self, call: Call, pages: AsyncIterator[bytes]) -> None:
        """Prepare to send ``pages`` to whoever calls, while their session lives."""
        self._services, self._pages = call.services, pages
        self._stay = Stay(call.services.identity, call.services.live.news, call.principal)
        self._is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until all is sent, or the client leaves."""
        del receive
        state = scope["state"]
        connection = line_of(state)
        with (
            self._services.file_places.one(),
            connection.watched(self._leave),
            self._services.live.staying(connection.hang_up),
            house_of(state).aside(),
        ):
            await _begin(send)
            try:
                is_whole = is_head(state) or await self._write(send)
            except (TimeoutError, LedgerError) as broken:
                log.warning("export.broken", reason=type(broken).__name__)
                is_whole = False
            if is_whole:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                connection.hang_up()

    def _leave(self) -> None:
        self._is_gone = True

    async def _write(self, send: Send) -> bool:
        """Send page after page; ``False``: the client has left, or the service stops."""
        async for page in self._pages:
            await self._stay.check(anyway=True)
            if self._is_gone or self._services.live.news.is_over:
                return False
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": page, "more_body": True})
        return True


async def _begin(send: Send) -> None:
    headers = [(b"content-type", MEDIA.encode("ascii")), (b"x-accel-buffering", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})

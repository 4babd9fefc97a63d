"""The history as a file of any size: NDJSON or CSV, page by page, at the pace of whoever takes it.

Theory. A file is a position and a loop: read a page, write it, send it, go on behind it. No transaction and no
connection is held between two pages; one page is in memory. A file ends at the position that was the ledger's last when
it began. What goes wrong on the way is its last line: a file without such a line, and that was transferred whole, is
complete.
"""

import asyncio
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
import structlog
from litestar.types import Receive, Scope, Send

from ledger.api.call import Call
from ledger.api.history.opening import opened
from ledger.api.history.wire import EventTold, Form, line
from ledger.api.lasting import Stay, house_of, is_head, line_of
from ledger.domain.errors import LedgerError, Unavailable
from ledger.domain.ids import Position
from ledger.domain.reading.events import Query
from ledger.history.naming import persons_in
from ledger.history.readings import extent_of
from ledger.identity.sessions import own_session
from ledger.store.findings import Aim, find_page
from ledger.store.streams import Stored

log = structlog.get_logger()

PAGE: Final = 500
SEND_SECONDS: Final = 60.0
"""How long a client may take to read what it was sent."""
RISKY: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet may take for a formula."""
COLUMNS: Final = (
    *(
        "position",
        "recorded_at",
        "stream",
        "version",
        "type",
        "schema_version",
        "event_id",
        "actor",
        "actor_name",
    ),
    *("command_id", "causation_id", "correlation_id", "payload", "envelope", "leaf_hash", "current"),
)


class FileType(StrEnum):
    """As what the history is given out; values of ``format``."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


MEDIA: Final[Mapping[FileType, str]] = {
    FileType.NDJSON: "application/x-ndjson",
    FileType.CSV: "text/csv",
}


class Stopped(Unavailable):
    """The service stops: the file ends here."""

    code = "stopping"
    advice = "Ask for the rest behind the last position, when the service is back."


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which file: of what, behind which position, at most so many events (``None``: all)."""

    aim: Aim
    query: Query
    behind: Position | None
    limit: int | None
    type: FileType
    form: Form


class HistoryFile:
    """One file, as the application that answers with it."""

    def __init__(self, call: Call, wanted: Wanted) -> None:
        """Prepare to write it for whoever calls."""
        self._call, self._wanted = call, wanted
        self._services = call.services
        self._stay = Stay(self._services.identity, self._services.live.news, call.principal)
        self._behind, self._left = wanted.behind, wanted.limit
        self._is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until all is sent, or the client leaves."""
        del receive
        state = scope["state"]
        connection, out = line_of(state), _Out(send, self._wanted.type)
        with (
            self._services.file_places.one(),
            connection.watched(self._leave),
            self._services.live.staying(connection.hang_up),
            house_of(state).aside(),
        ):
            try:
                await out.begin()
                if not is_head(state):
                    await self._write(out)
                await out.end()
            except TimeoutError:
                log.info("history.file.too_slow", position=self._behind)
                connection.hang_up()

    def _leave(self) -> None:
        self._is_gone = True

    async def _write(self, out: "_Out") -> None:
        try:
            while not self._is_gone:
                if self._services.live.news.is_over:
                    raise Stopped
                if not await self._page(out):
                    return
        except LedgerError as broken:
            log.warning("history.file.broken", code=broken.code, position=self._behind)
            await out.send(_broken(broken, self._behind, self._wanted.type))

    async def _page(self, out: "_Out") -> bool:
        """Send the next page; ``False``: it was the last one."""
        await self._stay.check(anyway=True)
        limit = PAGE if self._left is None else min(PAGE, self._left)
        page = await self._services.read(
            (), lambda ledger: find_page(ledger, self._wanted.aim, behind=self._behind, limit=limit)
        )
        names = await self._call.names(list(persons_in(page.events)))
        lines = [line(event, self._wanted.form, names) for event in page.events]
        written = _written(await opened(self._call, lines, self._wanted.form), self._wanted.type)
        self._count(page.events)  # before: what breaks off on its way may have been read
        await out.send(written)
        self._behind = page.next
        if self._left is not None:
            self._left -= len(page.events)
        return page.next is not None and self._left != 0

    def _count(self, events: Sequence[Stored]) -> None:
        positions = [one.position for one in events]
        self._services.readings.count(
            own_session(self._call.principal),
            self._wanted.query,
            self._call.principal.person,
            extent_of(positions, reads=0),
            self._services.clock(),
        )


class _Out:
    """The way to the client; it takes a page at a time and no more."""

    def __init__(self, send: Send, file_type: FileType) -> None:
        self._send, self._type = send, file_type

    async def begin(self) -> None:
        name = f"history.{self._type.value}"
        media = f"{MEDIA[self._type]}; charset=utf-8"
        headers = [
            (b"content-type", media.encode("ascii")),
            (b"content-disposition", f'attachment; filename="{name}"'.encode("ascii")),
            (b"x-accel-buffering", b"no"),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        if self._type is FileType.CSV:
            await self.send(_rows([COLUMNS]))

    async def send(self, body: bytes) -> None:
        if body:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _written(lines: Sequence[EventTold], file_type: FileType) -> bytes:
    if file_type is FileType.CSV:
        return _rows(map(_cells, lines))
    return b"".join(msgspec.json.encode(one) + b"\n" for one in lines)


def _cells(told: EventTold) -> Iterator[str]:
    people = {} if told.people is msgspec.UNSET else told.people
    yield from (str(told.position), told.recorded_at, told.stream, str(told.version), told.type)
    yield from (str(told.schema_version), str(told.event_id), told.actor, people.get(told.actor, ""))
    yield from (str(told.command_id), str(told.causation_id or ""), told.correlation_id)
    yield "" if told.payload is msgspec.UNSET else bytes(told.payload).decode(errors="replace")
    yield from (told.envelope, told.leaf_hash)
    yield "" if told.current is msgspec.UNSET else msgspec.json.encode(told.current).decode()


def _rows(rows: Iterable[Iterable[str]]) -> bytes:
    """Write rows of a CSV file (RFC 4180); no cell begins as a formula does."""
    out = io.StringIO()
    csv.writer(out).writerows([_harmless(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


def _harmless(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would work out, and before an apostrophe, so that it can be undone."""
    return f"'{cell}" if cell.startswith((*RISKY, "'")) else cell


def _broken(error: LedgerError, behind: Position | None, file_type: FileType) -> bytes:
    """Write the last line of a file that could not be completed."""
    if file_type is FileType.CSV:
        return _rows([["error", error.code, error.title(), f"complete up to {behind or 0}"]])
    told = {"error": {"code": error.code, "title": error.title(), "complete_up_to": behind or 0}}
    return msgspec.json.encode(told) + b"\n"

"""The history over HTTP, for auditors and administrators: events as they are stored, and what they mean."""

from typing import Final

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from litestar.types import ASGIApp

from ledger.api.call import Call
from ledger.api.history.asked import KNOWN, REPEATED, Asked, asked_of
from ledger.api.history.file import MEDIA, FileType, HistoryFile, Wanted
from ledger.api.history.opening import opened
from ledger.api.history.query import query_of, refuse_unknown, sought
from ledger.api.history.record import record
from ledger.api.history.wire import (
    EventPage,
    EventTold,
    Timeline,
    entry_told,
    people_told,
    told,
)
from ledger.api.json_answer import json_response
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.types import HttpRequest
from ledger.api.wire import decision_id
from ledger.domain.decision.state import DecisionNotFound
from ledger.domain.ids import Position
from ledger.domain.reading.events import Filter, Query
from ledger.history.naming import persons_in
from ledger.history.readings import extent_of
from ledger.history.timeline import timeline
from ledger.store.findings import Aim, Sought, aim, find_page
from ledger.store.ledger import Ledger

PAGE: Final = 100
BIGGEST_PAGE: Final = 1_000


class HistoryController(Controller):
    """What is in the ledger."""

    path = "/api/audit"
    tags = ("History",)

    @get(
        "/events",
        opt={
            "answer": EventPage,
            "files": {MEDIA[FileType.NDJSON]: EventTold, MEDIA[FileType.CSV]: str},
            "repeated": REPEATED,
        },
        dependencies={"asked": Provide(asked_of, sync_to_thread=False)},
    )
    async def events(self, request: HttpRequest, asked: NamedDependency[Asked]) -> ASGIApp:
        """Look events up: page by page as JSON, or all of them as a file (NDJSON or CSV, by Accept or 'format')."""
        refuse_unknown(request, KNOWN)
        call = Call(request)
        search = await sought(call, asked.filters)
        aimed = await call.services.read((), lambda source: _aimed(source, search))
        wanted = Wanted(
            aim=aimed.aim,
            query=query_of(call.services.ledger, search),
            behind=asked.behind,
            limit=asked.limit,
            type=_type_of(request, asked.file_type),
            form=asked.form,
        )
        if wanted.type is not FileType.JSON:
            return await _file(call, wanted)
        page = await _page(call, wanted, aimed.head)
        return page.to_asgi_response(None, request)

    @get("/decisions/{analysis_id:str}/timeline", opt={"answer": Timeline})
    async def decision_timeline(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Tell in words everything that happened to a decision."""
        refuse_unknown(request, frozenset())
        call = Call(request)
        ledger, wanted = call.services.ledger, decision_id(analysis_id)
        entries = await call.services.read((), lambda source: timeline(source, wanted))
        if not entries:
            raise DecisionNotFound
        stream = ledger.decision_stream(wanted)
        query = Query(call="timeline", filters=(Filter("stream", stream),))
        await record(call, query, extent_of([entry.position for entry in entries]))
        body = Timeline(
            decision_id=wanted,
            stream=stream,
            version=entries[-1].version,
            entries=tuple(map(entry_told, entries)),
        )
        return await call.shown(body)


class _Aimed(msgspec.Struct, frozen=True):
    """Where to look, of a ledger that ended at ``head``."""

    aim: Aim
    head: Position


async def _aimed(ledger: Ledger, search: Sought) -> _Aimed:
    head = await ledger.head()
    return _Aimed(await aim(ledger, search, head), head)


def _type_of(request: HttpRequest, asked: str | None) -> FileType:
    """Choose by ``format``, else by Accept, else JSON."""
    if asked is not None:
        if asked not in set(FileType):
            raise InvalidRequest(FieldError("format", f"is one of {', '.join(FileType)}"))
        return FileType(asked)
    accepted = request.headers.get("accept", "").lower()
    return next((file_type for file_type, media in MEDIA.items() if media in accepted), FileType.JSON)


async def _page(call: Call, wanted: Wanted, head: Position) -> Response[bytes]:
    limit = PAGE if wanted.limit is None else wanted.limit
    if limit > BIGGEST_PAGE:
        raise InvalidRequest(FieldError("limit", f"is at most {BIGGEST_PAGE:,} for a page; ask for a file"))
    found = await call.services.read(
        (), lambda source: find_page(source, wanted.aim, behind=wanted.behind, limit=limit)
    )
    persons = persons_in(found.events)
    names = await call.names(list(persons)) if persons else {}
    await record(call, wanted.query, extent_of([one.position for one in found.events]))
    return json_response(
        EventPage(
            events=tuple(await opened(call, [told(one, wanted.form) for one in found.events], wanted.form)),
            next=found.next,
            head=head,
            people=people_told(persons, names),
        )
    )


async def _file(call: Call, wanted: Wanted) -> ASGIApp:
    call.services.file_places.check()
    await record(call, wanted.query, extent_of([]))
    return HistoryFile(call, wanted)

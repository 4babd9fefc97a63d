"""Kinds of items over HTTP: administrators register them, whoever submits reads them."""

from typing import Annotated, Final

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api import kind_wire as wire
from ledger.api.bodies import text_of
from ledger.api.call import STALE, Call, staleness
from ledger.api.conditional import etag
from ledger.api.json_answer import json_response
from ledger.api.paging import next_page
from ledger.api.types import HttpRequest
from ledger.command_handling.answering import Handled
from ledger.command_handling.facts import Build, Facts
from ledger.domain.ids import NO_EVENTS, Version
from ledger.domain.kind.commands import KindCommand, RegisterKind, RetireKind, ReviseKind
from ledger.domain.kind.decide import KIND
from ledger.domain.kind.events import KindEvent, KindRetired
from ledger.domain.kind.state import KindNotFound
from ledger.domain.terms import BUILT_IN_KIND
from ledger.identity.sessions import authority
from ledger.payloads.checking import check_schema
from ledger.projections import kind_rows
from ledger.store.pool import reading
from ledger.store.streams import read_stream, recorded

FEEDS: Final = ("kinds",)


class KindController(Controller):
    """What sorts of items people decide on."""

    path = "/api/kinds"
    tags = ("Kinds and policies",)

    @post(
        "/",
        status_code=200,
        opt={"body": wire.NewKind, "answer": wire.KindChanged, "keyed": True, "tagged": True},
    )
    async def register_kind(self, request: HttpRequest) -> Response[bytes]:
        """Let items of a new kind be submitted (administrators)."""
        call = Call(request)
        given = await call.json(wire.NewKind)
        schema = text_of(given.schema, "schema")
        check_schema(schema)

        def build(facts: Facts) -> KindCommand:
            return RegisterKind(
                now=facts.now,
                by=authority(facts, call.principal),
                name=given.name,
                title=given.title,
                schema=schema,
                reason=given.reason,
            )

        return await _changed(call, given.name, "Kind registered", await _handle(call, given.name, build))

    @post(
        "/{name:str}/revise",
        status_code=200,
        opt={"body": wire.KindRevision, "answer": wire.KindChanged, "keyed": True, "tagged": True},
    )
    async def revise_kind(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Give later items of a kind another shape; those submitted before keep theirs (administrators)."""
        call = Call(request)
        given = await call.json(wire.KindRevision)
        schema = text_of(given.schema, "schema")
        check_schema(schema)

        def build(facts: Facts) -> KindCommand:
            return ReviseKind(
                now=facts.now,
                by=authority(facts, call.principal),
                name=name,
                title=given.title,
                schema=schema,
                reason=given.reason,
            )

        return await _changed(call, name, "Kind revised", await _handle(call, name, build))

    @post(
        "/{name:str}/retire",
        status_code=200,
        opt={"body": wire.Reason, "answer": wire.KindChanged, "keyed": True, "tagged": True},
    )
    async def retire_kind(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Take no more items of a kind, for good (administrators)."""
        call = Call(request)
        given = await call.json(wire.Reason)

        def build(facts: Facts) -> KindCommand:
            return RetireKind(
                now=facts.now, by=authority(facts, call.principal), name=name, reason=given.reason
            )

        return await _changed(call, name, "Kind retired", await _handle(call, name, build))

    @get("/", opt={"answer": list[wire.KindShown], "tells": ("Link", STALE)})
    async def kinds(
        self,
        request: HttpRequest,
        limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
        after: Annotated[str, QueryParameter(max_length=50)] = "",
    ) -> Response[bytes]:
        """List the kinds there are and were, by name."""
        services = Call(request).services
        async with reading(services.ledger.pool) as conn:
            rows = await kind_rows.page(conn, services.ledger.ledger_id, after=after, limit=limit + 1)
        built_in = [wire.built_in_shown()] if after < BUILT_IN_KIND else []
        found = sorted([*built_in, *map(wire.shown, rows)], key=lambda kind: kind.kind)
        headers = staleness(services, *FEEDS)
        if len(found) > limit:
            headers |= next_page("/api/kinds", {"limit": limit, "after": found[limit - 1].kind})
        return json_response(found[:limit], headers=headers)

    @get("/{name:str}", opt={"answer": wire.KindTold, "tagged": True})
    async def kind(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Show a kind with all its versions."""
        if name == BUILT_IN_KIND:
            return json_response(wire.built_in_told(), headers={"ETag": etag(NO_EVENTS)})
        call = Call(request)
        events, version = await _history(call, name)
        if not events:
            raise KindNotFound(kind=name)
        names = await call.names([event.by for event in events])
        return json_response(wire.told(events, names), headers={"ETag": etag(version)})


async def _handle(call: Call, name: str, build: Build[KindCommand]) -> Handled[KindEvent]:
    return await call.handle(KIND, call.services.ledger.kind_stream(name), build)


async def _changed(call: Call, name: str, message: str, handled: Handled[KindEvent]) -> Response[bytes]:
    """Answer with the version that the command itself led to: the same whenever it is sent again."""
    done = [one.event for one in handled.events] or (await _history(call, name))[0]
    versions = [wire.version_of(event) for event in done if not isinstance(event, KindRetired)]
    body = wire.KindChanged(message=message, kind=name, kind_version=versions[-1] if versions else None)
    return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)


async def _history(call: Call, name: str) -> tuple[list[KindEvent], Version]:
    """Read all that happened to a kind, exactly."""
    ledger = call.services.ledger
    stream = await read_stream(ledger, ledger.kind_stream(name))
    return [recorded(stored, KIND.event_types).event for stored in stream.events], stream.version()

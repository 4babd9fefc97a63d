"""Rebuilding and verifying read models over HTTP."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api import rebuild_wire as wire
from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.types import HttpRequest
from ledger.command_handling.answering import Handled
from ledger.domain.operations.events import OperationsEvent
from ledger.operations import rebuilding
from ledger.projections import rebuilds
from ledger.projections.rebuilds import Kind
from ledger.projections.reports import named
from ledger.projections.verifying import SAMPLE, verify
from ledger.store.pool import reading


class RebuildController(Controller):
    """Making projections anew, and proving them."""

    path = "/admin/projections/{name:str}"
    tags = ("Projections",)

    @post(
        "/reset",
        status_code=200,
        opt={"body": wire.ResetAsked, "may_be_empty": True, "answer": wire.Reset, "keyed": True},
    )
    async def reset_projection(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Make a projection anew without looking back; its rows serve until the new ones are level."""
        call = Call(request)
        given = await call.json_if_any(wire.ResetAsked)
        handled = await _ask(call, name, Kind.RESET, given.reason, accept_failures=given.accept_failures)
        body = wire.Reset(
            status="reset",
            message="The new rows are being made; the old ones serve until these are level",
            projection_name=name,
            reset_at=handled.events[-1].event.at,
        )
        return await call.answer(body, handled=handled)

    @post(
        "/rebuild",
        status_code=200,
        opt={"body": wire.RebuildAsked, "may_be_empty": True, "answer": wire.RebuildBegun, "keyed": True},
    )
    async def rebuild_projection(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Make a projection anew beside its rows, compare, and switch."""
        return await _begin(request, name, Kind.REBUILD, "rebuilding")

    @post(
        "/rebuild/rollback",
        status_code=200,
        opt={"body": wire.RebuildAsked, "may_be_empty": True, "answer": wire.RebuildBegun, "keyed": True},
    )
    async def roll_back_projection(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Bring the rows of before the last rebuild level, and let them serve again."""
        return await _begin(request, name, Kind.ROLLBACK, "rolling_back")

    @post(
        "/rebuild/cancel",
        status_code=200,
        opt={
            "body": wire.CancelAsked,
            "may_be_empty": True,
            "answer": wire.RebuildCancelledAnswer,
            "keyed": True,
        },
    )
    async def cancel_rebuild(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Stop what is under way; the rows that serve go on serving."""
        call, feed = Call(request), named(name)
        given = await call.json_if_any(wire.CancelAsked)
        handled = await rebuilding.cancel(call.services.ledger, feed, await call.actor(), reason=given.reason)
        body = wire.RebuildCancelledAnswer(
            status="cancelled",
            message="The rows that served go on serving",
            projection_name=name,
            cancelled_at=handled.events[-1].event.at,
        )
        return await call.answer(body, handled=handled)

    @get("/rebuild", opt={"answer": wire.RebuildState})
    async def rebuild_progress(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Tell how far the latest rebuild has come, and what differed."""
        feed, ledger = named(name), Call(request).services.ledger
        async with reading(ledger.pool) as conn:
            found = await rebuilds.find(conn, ledger.ledger_id, feed)
            failures = await rebuilds.failures_in(conn, ledger.ledger_id, feed, found)
        if found is None:
            raise rebuilding.NeverRebuilt(projection=name)
        return json_response(wire.progress_of(name, found, failures))

    @get("/verify", opt={"answer": wire.Verified})
    async def verify_projection(
        self,
        request: HttpRequest,
        name: FromPath[str],
        *,
        all_rows: Annotated[bool, QueryParameter(name="all")] = False,
    ) -> Response[bytes]:
        """Recount its accounts and compare its rows with a fresh fold of a sample of the streams, or of all."""
        feed, ledger = named(name), Call(request).services.ledger
        sample = None if all_rows else SAMPLE
        return json_response(wire.verified(await verify(ledger.url, ledger.ledger_id, feed, sample=sample)))


async def _begin(request: HttpRequest, name: str, kind: Kind, status: str) -> Response[bytes]:
    call = Call(request)
    given = await call.json_if_any(wire.RebuildAsked)
    handled = await _ask(call, name, kind, given.reason, accept_failures=given.accept_failures)
    body = wire.RebuildBegun(
        status=status,
        message="The old rows serve until the new ones are level",
        projection_name=name,
        started_at=handled.events[-1].event.at,
    )
    return await call.answer(body, handled=handled)


async def _ask(
    call: Call, name: str, kind: Kind, reason: str, *, accept_failures: bool
) -> Handled[OperationsEvent]:
    return await rebuilding.ask(
        call.services.ledger,
        named(name),
        await call.actor(),
        kind,
        reason=reason,
        accept_failures=accept_failures,
    )

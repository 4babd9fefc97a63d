"""Read models over HTTP: how they are doing, and what administrators do about it."""

from typing import Annotated

from litestar import Controller, Response, get
from litestar.params import FromPath, QueryParameter

from ledger.api import projection_wire as wire
from ledger.api.call import Call, json_response
from ledger.api.types import HttpRequest
from ledger.projections import failures
from ledger.projections.reports import Report, named, report
from ledger.store.pool import reading


class ProjectionAdminController(Controller):
    """What administrators do to projections."""

    path = "/admin/projections"
    tags = ("Projections",)

    @get("/status", opt={"answer": wire.ProjectionsStatus})
    async def projections_status(self, request: HttpRequest) -> Response[bytes]:
        """Sum up how all projections are doing."""
        call = Call(request)
        return json_response(wire.status_of(await _reports(call), call.services.clock()))


class ProjectionHealthController(Controller):
    """How projections are doing."""

    path = "/health/projections"
    tags = ("Projections",)

    @get("/", opt={"answer": list[wire.ProjectionState]})
    async def projections_health(self, request: HttpRequest) -> Response[bytes]:
        """Tell how each projection is doing."""
        return json_response([wire.state_of(one) for one in await _reports(Call(request))])

    @get("/{name:str}", opt={"answer": wire.ProjectionState})
    async def projection_health(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Tell how one projection is doing."""
        (found,) = await _reports(Call(request), name)
        return json_response(wire.state_of(found))

    @get("/{name:str}/checkpoint", opt={"answer": wire.CheckpointState})
    async def checkpoint(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Tell how far one projection has come."""
        (found,) = await _reports(Call(request), name)
        return json_response(wire.checkpoint_of(found))

    @get("/{name:str}/failures", opt={"answer": list[wire.FailureState]})
    async def failures(
        self,
        request: HttpRequest,
        name: FromPath[str],
        *,
        include_resolved: Annotated[bool, QueryParameter()] = False,
    ) -> Response[bytes]:
        """List the events that one projection could not apply."""
        feed, ledger = named(name), Call(request).services.ledger
        async with reading(ledger.pool) as conn:
            found = await failures.list_of(conn, ledger.ledger_id, feed, with_resolved=include_resolved)
        return json_response([wire.failure_of(one) for one in found])


async def _reports(call: Call, name: str | None = None) -> tuple[Report, ...]:
    """Report on one projection, or on all (``None``)."""
    ledger = call.services.ledger
    async with reading(ledger.pool) as conn:
        if name is None:
            return await report(conn, ledger.ledger_id)
        return await report(conn, ledger.ledger_id, [named(name)])

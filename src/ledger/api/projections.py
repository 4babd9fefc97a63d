"""Read models over HTTP: how they are doing, and what administrators do about it."""

from typing import Annotated, Final

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api import mending_wire
from ledger.api import projection_wire as wire
from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.path_ids import id_in
from ledger.api.types import HttpRequest
from ledger.domain.ids import FailureId
from ledger.operations import mending, pausing, replaying
from ledger.projections import failures
from ledger.projections.reports import Report, named, report
from ledger.projections.retries import FailureNotFound
from ledger.store.pool import reading

_SWITCHED: Final[dict[str, object]] = {
    "body": mending_wire.OptionalReason,
    "answer": mending_wire.Switched,
    "keyed": True,
    "may_be_empty": True,
}


class ProjectionAdminController(Controller):
    """What administrators do to projections."""

    path = "/admin/projections"
    tags = ("Projections",)

    @get("/status", opt={"answer": wire.ProjectionsStatus})
    async def projections_status(self, request: HttpRequest) -> Response[bytes]:
        """Sum up how all projections are doing."""
        call = Call(request)
        return json_response(wire.status_of(await _reports(call), call.services.clock()))

    @post("/{name:str}/pause", status_code=200, opt=_SWITCHED)
    async def pause_projection(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Let a projection stand where it is."""
        call, feed = Call(request), named(name)
        given = await call.json_if_any(mending_wire.OptionalReason)
        ledger = call.services.ledger
        handled = await pausing.pause(ledger, feed, reason=given.reason, actor=await call.actor())
        body = mending_wire.Switched(status="paused", message="Projection paused", projection_name=name)
        return await call.answer(body, handled=handled)

    @post("/{name:str}/resume", status_code=200, opt=_SWITCHED)
    async def resume_projection(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Let a projection go on."""
        call, feed = Call(request), named(name)
        given = await call.json_if_any(mending_wire.OptionalReason)
        ledger = call.services.ledger
        handled = await pausing.resume(ledger, feed, reason=given.reason, actor=await call.actor())
        body = mending_wire.Switched(status="running", message="Projection resumed", projection_name=name)
        return await call.answer(body, handled=handled)

    @post(
        "/{name:str}/replay",
        status_code=200,
        opt={
            "body": mending_wire.ReplayAsked,
            "answer": mending_wire.Replayed,
            "keyed": True,
            "may_be_empty": True,
        },
    )
    async def replay_projection(self, request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        """Fold anew whatever has events in a range; with dry_run, only show what would change."""
        call, feed = Call(request), named(name)
        given, ledger = await call.json_if_any(mending_wire.ReplayAsked), call.services.ledger
        asked, head = await replaying.range_of(
            ledger, first=given.from_sequence, last=given.to_sequence, skip_failed=given.skip_failed
        )
        if given.dry_run:
            began = call.services.clock()
            tried = await replaying.rehearse_replay(ledger, feed, asked)
            ended = call.services.clock()
            return json_response(mending_wire.would_replay(name, tried, started_at=began, completed_at=ended))
        actor = await call.actor()
        done = await replaying.replay_range(ledger, feed, asked, head=head, reason=given.reason, actor=actor)
        return await call.answer(mending_wire.replayed(done), handled=done.handled)

    @post(
        "/failures/{failure_id:str}/resolve",
        status_code=200,
        opt={"body": mending_wire.ResolutionAsked, "answer": mending_wire.Resolved, "keyed": True},
    )
    async def resolve_failure(self, request: HttpRequest, failure_id: FromPath[str]) -> Response[bytes]:
        """Try a parked event again, skip it, or take it as mended by hand; with dry_run, only show it."""
        call = Call(request)
        given, ledger = await call.json(mending_wire.ResolutionAsked), call.services.ledger
        wish = mending.Wish(
            failure=FailureId(id_in(failure_id, FailureNotFound(failure=failure_id))),
            way=mending.WAYS[given.compensation_strategy],
            reason=given.reason,
        )
        if given.dry_run:
            return json_response(mending_wire.would_resolve(wish, await mending.rehearse_mend(ledger, wish)))
        done = await mending.mend(ledger, wish, await call.actor())
        return await call.answer(mending_wire.resolved(done), handled=done.handled)


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

"""Policies over HTTP: one administrator drafts, another publishes; whoever decides reads them."""

import re
from typing import Annotated, Final

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter

from ledger.api import policy_wire as wire
from ledger.api import simulating
from ledger.api.call import STALE, Call, staleness
from ledger.api.conditional import etag
from ledger.api.json_answer import json_response
from ledger.api.kind_wire import Reason
from ledger.api.paging import next_page
from ledger.api.types import HttpRequest
from ledger.command_handling.answering import Handled
from ledger.command_handling.facts import Build, Facts
from ledger.domain.ids import StreamName
from ledger.domain.kind.decide import KIND
from ledger.domain.kind.state import KindNotFound, Registered, known
from ledger.domain.policy.commands import (
    DraftPolicy,
    PolicyCommand,
    PublishPolicy,
    RetirePolicy,
    WithdrawPolicy,
)
from ledger.domain.policy.decide import POLICY, PolicyNotFound
from ledger.domain.policy.events import PolicyEvent
from ledger.domain.policy.state import draft_of
from ledger.domain.terms import BUILT_IN_KIND, DEFAULT_VERSION, Policy
from ledger.identity.sessions import authority
from ledger.payloads.places import must_be_places
from ledger.projections import policy_rows
from ledger.store.pool import reading
from ledger.store.streams import read_streams, recorded

FEEDS: Final = ("kinds",)
VERSION: Final = re.compile(r"[0-9]{1,9}")


class PolicyController(Controller):
    """Under which terms people decide."""

    path = "/api/policies"
    tags = ("Kinds and policies",)

    @post(
        "/",
        status_code=200,
        opt={
            "body": wire.NewDraft,
            "answer": wire.PolicyChanged,
            "keyed": True,
            "tagged": True,
            "also": {404: "No such kind"},
        },
    )
    async def draft_policy(self, request: HttpRequest) -> Response[bytes]:
        """Propose other terms for a kind; they hold once another administrator has published them."""
        call = Call(request)
        given = await call.json(wire.NewDraft)
        kind_stream = call.services.ledger.kind_stream(given.kind)

        def build(facts: Facts) -> PolicyCommand:
            by = authority(facts, call.principal)
            if given.kind != BUILT_IN_KIND:
                known(facts.state(KIND, kind_stream))
            return DraftPolicy(
                now=facts.now,
                by=by,
                kind=given.kind,
                terms=given.terms.policy(given.kind, DEFAULT_VERSION),
                reason=given.reason,
            )

        handled = await _handle(call, given.kind, build, reads=(kind_stream,))
        return await _changed(call, given.kind, "Policy drafted", handled)

    @post(
        "/{kind:str}/{version:str}/publish",
        status_code=200,
        opt={
            "body": wire.Publication,
            "may_be_empty": True,
            "answer": wire.PolicyChanged,
            "keyed": True,
            "tagged": True,
        },
    )
    async def publish_policy(
        self, request: HttpRequest, kind: FromPath[str], version: FromPath[str]
    ) -> Response[bytes]:
        """Let a draft hold for what is submitted from now on; another person than its drafter does this."""
        call, wanted = Call(request), _version(kind, version)
        given, ledger = await call.json_if_any(wire.Publication), call.services.ledger
        policies, kinds = ledger.policy_stream(kind), ledger.kind_stream(kind)

        def build(facts: Facts) -> PolicyCommand:
            by, draft = authority(facts, call.principal), draft_of(facts.state(POLICY, policies), wanted)
            state = facts.state(KIND, kinds)
            if draft is not None and isinstance(state, Registered) and not given.ahead_of_kind:
                must_be_places(state.schema, _personal_places(draft.terms))
            return PublishPolicy(now=facts.now, by=by, kind=kind, version=wanted, reason=given.reason)

        return await _changed(
            call, kind, "Policy published", await _handle(call, kind, build, reads=(kinds,))
        )

    @post(
        "/{kind:str}/{version:str}/withdraw",
        status_code=200,
        opt={"body": Reason, "answer": wire.PolicyChanged, "keyed": True, "tagged": True},
    )
    async def withdraw_policy(
        self, request: HttpRequest, kind: FromPath[str], version: FromPath[str]
    ) -> Response[bytes]:
        """Give a draft up."""
        call, wanted = Call(request), _version(kind, version)
        given = await call.json(Reason)

        def build(facts: Facts) -> PolicyCommand:
            by = authority(facts, call.principal)
            return WithdrawPolicy(now=facts.now, by=by, kind=kind, version=wanted, reason=given.reason)

        return await _changed(call, kind, "Draft withdrawn", await _handle(call, kind, build))

    @post(
        "/{kind:str}/{version:str}/retire",
        status_code=200,
        opt={"body": Reason, "answer": wire.PolicyChanged, "keyed": True, "tagged": True},
    )
    async def retire_policy(
        self, request: HttpRequest, kind: FromPath[str], version: FromPath[str]
    ) -> Response[bytes]:
        """Let the default hold again in place of what is published."""
        call, wanted = Call(request), _version(kind, version)
        given = await call.json(Reason)

        def build(facts: Facts) -> PolicyCommand:
            by = authority(facts, call.principal)
            return RetirePolicy(now=facts.now, by=by, kind=kind, version=wanted, reason=given.reason)

        return await _changed(call, kind, "Policy retired", await _handle(call, kind, build))

    @get("/", opt={"answer": list[wire.PolicyShown], "tells": ("Link", STALE)})
    async def policies(
        self,
        request: HttpRequest,
        limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
        after: Annotated[str, QueryParameter(max_length=50)] = "",
    ) -> Response[bytes]:
        """List every kind with the policy that holds for it."""
        call = Call(request)
        services = call.services
        async with reading(services.ledger.pool) as conn:
            found = await policy_rows.page(conn, services.ledger.ledger_id, after=after, limit=limit + 1)
        page = found[:limit]
        names = await call.names([row.publication.by for _, row in page if row and row.publication])
        headers = staleness(services, *FEEDS)
        if len(found) > limit:
            headers |= next_page("/api/policies", {"limit": limit, "after": page[-1][0]})
        return json_response([wire.shown(kind, row, names) for kind, row in page], headers=headers)

    @get("/{kind:str}", opt={"answer": wire.PolicyTold, "tagged": True})
    async def policy(self, request: HttpRequest, kind: FromPath[str]) -> Response[bytes]:
        """Show the policies of a kind: what holds, what was proposed, what held before, and who said so."""
        call, ledger = Call(request), Call(request).services.ledger
        policies, kinds = ledger.policy_stream(kind), ledger.kind_stream(kind)
        streams = await read_streams(ledger, [policies, kinds])
        if kind != BUILT_IN_KIND and not streams[kinds].events:
            raise KindNotFound(kind=kind)
        events = [recorded(stored, POLICY.event_types).event for stored in streams[policies].events]
        names = await call.names([event.by for event in events])
        headers = {"ETag": etag(streams[policies].version())}
        return json_response(wire.told(kind, events, names), headers=headers)

    @post(
        "/simulate",
        status_code=200,
        opt={"body": simulating.Question, "answer": simulating.Simulation},
    )
    async def simulate_policy(self, request: HttpRequest) -> Response[bytes]:
        """Tell what a policy would ask of a payload; nothing is written."""
        call = Call(request)
        question = await call.json(simulating.Question)
        return json_response(await simulating.simulate(call.services, question))


def _personal_places(terms: Policy) -> tuple[str, ...]:
    """Name the places in the payload that a policy says are personal, or say whom it is about."""
    subject = () if terms.subject is None else (terms.subject,)
    return (*(mark for mark in terms.personal if mark.startswith("/")), *subject)


def _version(kind: str, text: str) -> int:
    """Read a version of a policy; what is none names nothing."""
    if not VERSION.fullmatch(text):
        raise PolicyNotFound(kind=kind, version=text)
    return int(text)


async def _handle(
    call: Call, kind: str, build: Build[PolicyCommand], *, reads: tuple[StreamName, ...] = ()
) -> Handled[PolicyEvent]:
    return await call.handle(POLICY, call.services.ledger.policy_stream(kind), build, reads=reads)


async def _changed(call: Call, kind: str, message: str, handled: Handled[PolicyEvent]) -> Response[bytes]:
    version = handled.events[-1].event.version
    body = wire.PolicyChanged(message=message, kind=kind, policy_version=version)
    return await call.answer(body, handled=handled, feeds=FEEDS, is_tagged=True)

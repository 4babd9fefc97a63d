"""The past over HTTP: what a decision and the queue were at a moment, and what hangs together."""

from typing import Annotated, Final

import msgspec
from litestar import Controller, Response, get
from litestar.params import FromPath, QueryParameter

from ledger.api import wire
from ledger.api.call import Call
from ledger.api.decision_wire import for_people, people_in, written
from ledger.api.desk import named
from ledger.api.history.query import moment, refuse_unknown
from ledger.api.history.record import record
from ledger.api.history.then_wire import (
    ChainTold,
    DecisionThenTold,
    MomentTold,
    QueueThenTold,
    link_told,
    reviewer_told,
)
from ledger.api.history.wire import people_told
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.queue import cursor_of, shown
from ledger.api.types import HttpRequest
from ledger.api.wire import decision_id
from ledger.domain.decision.state import DecisionNotFound, answer_of, case_of, status_of
from ledger.domain.ids import DecisionId
from ledger.domain.reading.events import Extent, Filter, Query
from ledger.history import chains
from ledger.history.chains import Chain
from ledger.history.moments import At, AtTime, AtVersion, Moment, moment_in, moment_of, place
from ledger.history.naming import persons_in
from ledger.history.queues import QueueThen, queue_at
from ledger.history.readings import extent_of
from ledger.history.states import DecisionThen, decision_at, reviewers_at
from ledger.store.envelope import timestamp
from ledger.store.ledger import Ledger
from ledger.webhooks import deliveries

AT: Final = "is version:N, position:N, or a time like 2026-11-30T09:00:00Z"
AtText = Annotated[
    str | None, QueryParameter(max_length=60, description="version:N, position:N or a time (RFC 3339)")
]


class PastController(Controller):
    """What was."""

    path = "/api/audit"
    tags = ("History",)

    @get("/decisions/{analysis_id:str}/state", opt={"answer": DecisionThenTold})
    async def decision_then(
        self, request: HttpRequest, analysis_id: FromPath[str], at: AtText = None
    ) -> Response[bytes]:
        """Tell what a decision was at a moment: its item, votes, lease and terms, and who could have decided it."""
        refuse_unknown(request, frozenset({"at"}))
        call, wanted = Call(request), decision_id(analysis_id)
        stream = call.services.ledger.decision_stream(wanted)
        asked, now = _at(at), call.services.clock()

        async def look(source: Ledger) -> tuple[Moment, DecisionThen]:
            when = await moment_in(source, stream, asked, now)
            return when, await decision_at(source, stream, when)

        when, then = await call.services.read((), look)
        body = await _decision_told(call, wanted, then, when)
        extent = Extent(reads=1, events=then.version, first=then.first, last=then.last)
        await record(call, _query("state", stream, at, when), extent)
        return await call.shown(body)

    @get("/queue", opt={"answer": QueueThenTold})
    async def queue_then(
        self,
        request: HttpRequest,
        at: AtText = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100)] = 50,
        cursor: Annotated[str | None, QueryParameter(max_length=32)] = None,
    ) -> Response[bytes]:
        """Tell what was on the queue at a moment, as it was shown then; this walks over the log up to there."""
        refuse_unknown(request, frozenset({"at", "limit", "cursor"}))
        call, asked = Call(request), _at(at)
        if isinstance(asked, AtVersion):
            raise InvalidRequest(FieldError("at", "is position:N, or a time: the queue has no versions"))
        after, now = cursor_of(cursor), call.services.clock()

        async def look(source: Ledger) -> tuple[Moment, QueueThen]:
            when = await moment_of(source, asked, now)
            return when, await queue_at(source, when, after=after, limit=limit)

        when, found = await call.services.read((), look)
        items = await shown(call, found.items, when.time)
        last = found.items[-1].cursor() if found.has_more else None
        await record(call, _query("queue", None, at, when), extent_of([one.position for one in found.items]))
        return await call.shown(
            QueueThenTold(
                at=MomentTold(position=when.position, time=when.time),
                total=found.total,
                items=tuple(items),
                next=None if last is None else f"{last.rank}.{last.position}",
            )
        )

    @get("/decisions/{analysis_id:str}/chain", opt={"answer": ChainTold})
    async def decision_chain(self, request: HttpRequest, analysis_id: FromPath[str]) -> Response[bytes]:
        """Follow a decision to what it came of and what came of it: by trace, cause and replacement."""
        refuse_unknown(request, frozenset())
        call, wanted = Call(request), decision_id(analysis_id)
        chain = await call.services.read((), lambda source: chains.chain_of_decision(source, wanted))
        if not chain.links:
            raise DecisionNotFound
        stream = call.services.ledger.decision_stream(wanted)
        return await _chain_told(call, chain, Query(call="chain", filters=(Filter("stream", stream),)))

    @get("/correlations/{trace_id:str}", opt={"answer": ChainTold})
    async def correlation(self, request: HttpRequest, trace_id: FromPath[str]) -> Response[bytes]:
        """Tell what happened in one trace: what a request, and whatever it set off, did to the ledger."""
        refuse_unknown(request, frozenset())
        call = Call(request)
        chain = await call.services.read((), lambda source: chains.chain_of_trace(source, trace_id.lower()))
        query = Query(call="correlation", filters=(Filter("correlation", trace_id.lower()),))
        return await _chain_told(call, chain, query)


def _at(text: str | None) -> At | None:
    """Read a moment; a bare number says not of what, and is refused."""
    if text is None:
        return None
    found = place(text)
    if found is not None:
        return found
    try:
        time = moment(text, "at")
    except InvalidRequest as odd:
        raise InvalidRequest(FieldError("at", AT)) from odd
    return None if time is None else AtTime(time)


def _query(name: str, stream: str | None, asked: str | None, when: Moment) -> Query:
    """Say what was asked of the past; without a moment it was the one of the call."""
    of = () if stream is None else (Filter("stream", stream),)
    at = _at(asked)
    told = timestamp(when.time) if isinstance(at, AtTime) else asked
    return Query(call=name, filters=of if told is None else (*of, Filter("at", told)))


async def _decision_told(
    call: Call, wanted: DecisionId, then: DecisionThen, when: Moment
) -> DecisionThenTold:
    row, state = then.row, then.state
    reviewers = await call.services.read((), lambda source: reviewers_at(source, state, when))
    answer = answer_of(state)
    persons = [*people_in(row), *(one.person for one in reviewers.found)]
    names = await named(call, [*persons, None if answer is None else answer.decided_by])
    decided_by = None if answer is None else names.of_any(answer.decided_by)
    return DecisionThenTold(
        decision_id=wanted,
        stream=row.stream,
        at=MomentTold(position=when.position, time=when.time, version=then.version),
        status=status_of(state, when.time),
        decision=msgspec.Raw(written(row, for_people(row, names, when.time))),
        answer=None if answer is None else wire.told(wanted, answer, decided_by),
        policy=case_of(state).policy,
        reviewers=tuple(
            sorted(
                (reviewer_told(one, names.of(one.person)) for one in reviewers.found),
                key=lambda one: (one.hindered_by is not None, one.username),
            )
        ),
        reviewers_complete=reviewers.is_complete,
    )


async def _chain_told(call: Call, chain: Chain, query: Query) -> Response[bytes]:
    events = [link.stored for link in chain.links]
    persons = persons_in(events)
    names = await call.names(list(persons)) if persons else {}
    positions = [event.position for event in events]
    ledger = call.services.ledger
    sent = await deliveries.of_events(ledger.pool, ledger.ledger_id, positions)
    await record(call, query, extent_of(positions))
    return await call.shown(
        ChainTold(
            links=tuple(map(link_told, chain.links)),
            deliveries=sent,
            is_complete=chain.is_complete,
            people=people_told(persons, names),
        )
    )

"""What hangs together: a decision with whatever shares its traces, caused it or came of it, and its replacements."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent, DecisionSubmitted, DecisionSuperseded
from ledger.domain.decision.telling import what
from ledger.domain.errors import Corrupt, NotFound
from ledger.domain.ids import FIRST_VERSION, DecisionId, Position
from ledger.store import relations
from ledger.store.history import read_stream_until
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.store.streams import Recorded, Stored, recorded

MOST: Final = 1_000
"""How many events of one relation are told."""


class Relation(StrEnum):
    """Why an event is in a chain; wire values."""

    OWN = "own"
    SAME_TRACE = "same-trace"
    CAUSE = "cause"
    EFFECT = "effect"
    SUPERSEDED_BY = "superseded-by"
    SUPERSEDES = "supersedes"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """An event and why it is here; ``what`` says it in words where it is of a decision."""

    stored: Stored
    relations: tuple[Relation, ...]
    decision: DecisionId | None
    what: str | None


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Events in the order of the ledger; ``is_complete`` unless there were more than are told."""

    links: tuple[Link, ...]
    is_complete: bool


class TraceNotFound(NotFound):
    """No event is of this trace: it was not found."""

    code = "trace-not-found"


class _Found:
    """Events and why they were found."""

    def __init__(self) -> None:
        self.events: dict[Position, Stored] = {}
        self.is_complete = True
        self._relations: dict[Position, list[Relation]] = {}

    def add(self, relation: Relation, events: Sequence[Stored]) -> None:
        self.is_complete = self.is_complete and len(events) <= MOST
        for event in events[:MOST]:
            self.events[event.position] = event
            known = self._relations.setdefault(event.position, [])
            if Relation.OWN not in known and relation not in known:
                known.append(relation)

    def chain(self, decisions: dict[str, DecisionId]) -> Chain:
        ordered = [self.events[position] for position in sorted(self.events)]
        links = (
            Link(
                stored=event,
                relations=tuple(self._relations[event.position]),
                decision=decisions.get(event.stream),
                what=said(event),
            )
            for event in ordered
        )
        return Chain(links=tuple(links), is_complete=self.is_complete)


async def chain_of_decision(ledger: Ledger, decision: DecisionId) -> Chain:
    """Follow a decision to what it came of and what came of it; no links: it is unknown."""
    found, head = _Found(), await ledger.head()
    own = await _whole_of(ledger, decision)
    found.add(Relation.OWN, own)
    if own:
        traces = sorted({event.correlation_id for event in own} - {""})
        causes = [event.causation_id for event in own if event.causation_id is not None]
        ids = [event.event_id for event in own]
        async with reading(ledger.source) as conn:
            key, upto = ledger.ledger_id, head
            found.add(
                Relation.SAME_TRACE,
                await relations.of_traces(conn, key, traces, upto=upto, limit=MOST + 1),
            )
            found.add(Relation.CAUSE, await relations.named(conn, key, causes))
            found.add(Relation.EFFECT, await relations.caused_by(conn, key, ids, upto=upto, limit=MOST + 1))
            found.add(
                Relation.SUPERSEDES,
                await relations.superseded_by(conn, key, decision, upto=upto, limit=MOST + 1),
            )
        for event in _decoded(own):
            if isinstance(event.event, DecisionSuperseded):
                found.add(Relation.SUPERSEDED_BY, await _whole_of(ledger, event.event.successor))
    return found.chain(await _decisions_of(ledger, found.events.values()))


async def chain_of_trace(ledger: Ledger, trace: str) -> Chain:
    """Give the events of a trace.

    Raises:
        TraceNotFound: there are none.
    """
    found, head = _Found(), await ledger.head()
    async with reading(ledger.source) as conn:
        events = await relations.of_traces(conn, ledger.ledger_id, [trace], upto=head, limit=MOST + 1)
    if not events:
        raise TraceNotFound
    found.add(Relation.SAME_TRACE, events)
    return found.chain(await _decisions_of(ledger, events))


async def _whole_of(ledger: Ledger, decision: DecisionId) -> tuple[Stored, ...]:
    """Read a decision's events with what only the history tells of them."""
    stream = await read_stream_until(ledger, ledger.decision_stream(decision))
    async with reading(ledger.source) as conn:
        return await relations.named(conn, ledger.ledger_id, [event.event_id for event in stream.events])


async def _decisions_of(ledger: Ledger, events: Iterable[Stored]) -> dict[str, DecisionId]:
    """Say of which decisions events are, by stream."""
    streams = sorted({event.stream for event in events if event.stream.startswith(f"{DECISION.category}-")})
    found: dict[str, DecisionId] = {}
    for name in streams:
        first = await read_stream_until(ledger, name, version=FIRST_VERSION)
        for event in _decoded(first.events):
            if isinstance(event.event, DecisionSubmitted):
                found[name] = event.event.decision_id
    return found


def _decoded(events: Iterable[Stored]) -> list[Recorded[DecisionEvent]]:
    return [recorded(event, DECISION.event_types) for event in events]


def said(event: Stored) -> str | None:
    """Say an event of a decision in words; ``None``: it is of something else, or cannot be read."""
    if not event.stream.startswith(f"{DECISION.category}-"):
        return None
    try:
        return what(recorded(event, DECISION.event_types).event)
    except Corrupt:
        return None

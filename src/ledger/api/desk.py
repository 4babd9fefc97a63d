"""Work on one decision: finding it for this caller, carrying out their wish, naming those it tells of."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from ledger.api.call import Call, own_only
from ledger.api.decision_wire import Names
from ledger.command_handling.answering import Handled
from ledger.command_handling.facts import Build, Facts, state_of
from ledger.command_handling.handler import Alongside
from ledger.domain.authority import Authority
from ledger.domain.decision.commands import DecisionCommand
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.decision.state import DecisionNotFound, DecisionState, NotSubmitted, case_of
from ledger.domain.errors import LedgerError, PreconditionFailed
from ledger.domain.ids import DecisionId, PersonId, StreamName
from ledger.identity.sessions import authority
from ledger.personal.covering import Covering
from ledger.projections.decision_row import DecisionRow
from ledger.store.envelope import Provenance
from ledger.store.streams import read_stream

FEEDS: Final = ("queue", "decisions", "statistics")
"""The views that a command on a decision waits for."""

Wish: TypeAlias = Callable[[Facts, Authority, DecisionState], DecisionCommand]
"""Makes the command of what the streams say at the moment of an attempt."""


async def row_of(call: Call, wanted: DecisionId) -> DecisionRow:
    """Find what this caller may see; to a service other people's decisions do not exist.

    Raises:
        DecisionNotFound: it is not there, or not theirs.
    """
    row = await call.services.lookups.decision(call.services.ledger.decision_stream(wanted))
    only = own_only(call.principal)
    if row is None or (only is not None and row.submitted_by != only):
        raise DecisionNotFound
    return row


async def act(
    call: Call,
    wanted: DecisionId,
    wish: Wish,
    *,
    reads: Sequence[StreamName] = (),
    alongside: Alongside | None = None,
    provenance: Provenance | None = None,
) -> Handled[DecisionEvent]:
    """Carry out a wish of this caller; the append relies on ``reads`` too, and commits with ``alongside``.

    Raises:
        DecisionNotFound: it is not there, or not theirs to know of.
        LedgerError: the decider's refusal, or what ``wish`` raises.
    """
    stream = call.services.ledger.decision_stream(wanted)
    async with told_of_its_own(call, stream, DecisionNotFound()):
        return await call.handle(
            DECISION,
            stream,
            _built(call, wanted, wish),
            reads=reads,
            alongside=alongside,
            provenance=provenance,
            cover=Covering(call.services.identity, stream),
        )


async def rehearse(
    call: Call, wanted: DecisionId, wish: Wish, *, reads: Sequence[StreamName] = ()
) -> tuple[DecisionEvent, ...]:
    """Say what ``act`` would do at this moment, or refuse what it would, and do nothing."""
    stream = call.services.ledger.decision_stream(wanted)
    cover = Covering(call.services.identity, stream)
    async with told_of_its_own(call, stream, DecisionNotFound()):
        return await call.rehearse(DECISION, stream, _built(call, wanted, wish), reads=reads, cover=cover)


def _built(call: Call, wanted: DecisionId, wish: Wish) -> Build[DecisionCommand]:
    stream = call.services.ledger.decision_stream(wanted)

    def build(facts: Facts) -> DecisionCommand:
        state = facts.state(DECISION, stream)
        must_see(call, state)
        return wish(facts, authority(facts, call.principal), state)

    return build


def must_see(call: Call, state: DecisionState) -> None:
    """Refuse what is not there, and to a service what is not its own.

    Raises:
        DecisionNotFound: it is one of these.
    """
    only = own_only(call.principal)
    if isinstance(state, NotSubmitted) or (only is not None and case_of(state).submitted_by != only):
        raise DecisionNotFound


@asynccontextmanager
async def told_of_its_own(call: Call, stream: StreamName, unseen: LedgerError) -> AsyncIterator[None]:
    """Tell a service by ``unseen`` what an If-Match would tell it of a decision that is not its own.

    If-Match is compared before anything is decided, and its refusal says how far the stream is and what happened to it.
    """
    try:
        yield
    except PreconditionFailed:
        if own_only(call.principal) is not None:
            state = state_of(DECISION, await read_stream(call.services.ledger, stream))
            try:
                must_see(call, state)
            except DecisionNotFound:
                raise unseen from None
        raise


async def named(call: Call, people: Iterable[PersonId | None]) -> Names:
    """Look up user names."""
    return Names(await call.names(list(people)))

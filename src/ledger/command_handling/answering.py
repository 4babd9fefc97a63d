"""What a command did: now, or when it was sent before."""

from typing import Generic, TypeVar

import msgspec

from ledger.command_handling.context import CommandContext, Recognise
from ledger.command_handling.deciding import Decided
from ledger.domain.decider import Decider
from ledger.domain.errors import KeyReused, LedgerError, OutcomeUnknown, Overloaded, Unavailable
from ledger.domain.event import Event
from ledger.domain.ids import Position, Version
from ledger.store.appends import Appended, Landed
from ledger.store.envelope import Provenance, open_envelope
from ledger.store.landing import as_recorded
from ledger.store.ledger import Ledger
from ledger.store.streams import Recorded, Stored, Stream, event_ids, read_command, recorded

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)


class Handled(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """What a command did.

    ``events`` is empty when there was nothing to do; then ``version`` is the stream's unchanged one and
    ``position`` and ``leaf`` are those of its last event (0 and empty for an empty stream).
    """

    events: tuple[Recorded[E], ...]
    version: Version
    position: Position
    leaf: bytes


def nothing_to_do(stream: Stream) -> Handled[E]:
    """Say of a command that caused no events where its stream stands."""
    return Handled(events=(), version=stream.version(), position=stream.position(), leaf=stream.last_leaf())


async def outcome(
    ledger: Ledger, context: CommandContext[C, S, E], decided: Decided[E], landed: Landed
) -> Handled[E]:
    """Say what a command did that has landed now, or before.

    Raises:
        KeyReused: the key has been used for another request.
    """
    if isinstance(landed, Appended):
        return _handled(
            tuple(
                as_recorded(decided.drafted, landed, number, event)
                for number, event in enumerate(decided.events)
            )
        )
    done = await first_answer(ledger, context)
    if done is None:
        raise OutcomeUnknown
    return done


async def done_or_refused(
    ledger: Ledger, context: CommandContext[C, S, E], refusal: LedgerError
) -> Handled[E]:
    """Answer a refused command by what it did: sent to two processes at once, the later one meets rows of the earlier.

    Raises:
        LedgerError: the refusal; it has done nothing.
    """
    is_refused = not isinstance(refusal, Overloaded | Unavailable)
    asks = is_refused and context.provenance.is_keyed
    done = await first_answer(ledger, context) if asks else None
    if done is None:
        raise refusal
    return done


async def first_answer(ledger: Ledger, context: CommandContext[C, S, E]) -> Handled[E] | None:
    """Find what a command did when it was carried out before; ``None``: it has not happened.

    Raises:
        KeyReused: the key has been used for another request.
    """
    return await done_before(ledger, context.decider, context.provenance, context.recognise)


async def done_before(
    ledger: Ledger, decider: Decider[C, S, E], provenance: Provenance, recognise: Recognise | None = None
) -> Handled[E] | None:
    """As ``first_answer``, for those who only want to know whether the request with this key has been here.

    Raises:
        KeyReused: the key has been used for another request.
    """
    stored = await read_command(ledger, event_ids(provenance, 1)[0])
    if not stored:
        return None
    request = _request_of(stored[0])
    is_same = request == provenance.request
    if not is_same and (recognise is None or not await recognise(request, provenance.request)):
        raise KeyReused
    return _handled(tuple(recorded(one, decider.event_types) for one in stored))


def _request_of(stored: Stored) -> str:
    return open_envelope(stored.envelope or b"").request


def _handled(events: tuple[Recorded[E], ...]) -> Handled[E]:
    last = events[-1]
    return Handled(events=events, version=last.version, position=last.position, leaf=last.leaf)

"""The step between loading and appending: what a command causes, by what was loaded."""

from collections.abc import Mapping
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Build, Facts
from ledger.domain.event import Event
from ledger.domain.ids import StreamName
from ledger.store.appends import Append
from ledger.store.streams import Stream, draft

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)


class Decided(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """What a command causes: its events (none: nothing to do), and how they are to be appended."""

    events: tuple[E, ...]
    drafted: Append


async def decide(
    context: CommandContext[C, S, E], build: Build[C], streams: Mapping[StreamName, Stream], now: datetime
) -> Decided[E]:
    """Build the command, cover it, decide; the append will rely on exactly what was loaded.

    Raises:
        LedgerError: the decider's refusal, or what ``build`` or the cover raises.
    """
    facts = Facts(now, streams, context.target)
    command, state = build(facts), facts.state(context.decider, context.target)
    provenance = context.provenance
    if context.cover is not None:
        command, provenance = await context.cover(state, command, provenance)
    events = context.decider.decide(command, state)
    reads = [streams[name] for name in context.reads]
    return Decided(events=events, drafted=draft(streams[context.target], events, provenance, reads))

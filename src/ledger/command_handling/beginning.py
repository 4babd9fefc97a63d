"""Handle a command that begins a stream without reading first: by what its read streams said lately.

Theory. Nobody looks whether a stream is there before beginning it, because the append says so anyway: it checks that
the stream is new, and that every stream the command relied on is still at the version it was decided by. So what is
appended is exactly what ``handle`` would have appended. Whatever else comes of the attempt may be of yesterday: then
nothing has been written, and ``handle`` says by a fresh look what is to be said.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from ledger.command_handling.answering import Handled, outcome
from ledger.command_handling.context import CommandContext
from ledger.command_handling.deciding import decide
from ledger.command_handling.facts import Build, Facts
from ledger.domain.errors import LedgerError, VersionConflict
from ledger.domain.event import Event
from ledger.domain.ids import StreamName
from ledger.store.gauges import Command
from ledger.store.lately import Lately
from ledger.store.ledger import Ledger
from ledger.store.streams import Stream, append, load_streams

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)


class Unread(msgspec.Struct, Generic[C], frozen=True):
    """What may be begun without reading first: commands that ``may``, by what ``lately`` holds of their reads."""

    lately: Lately
    may: Callable[[C], bool]


async def begin(
    ledger: Ledger, context: CommandContext[C, S, E], build: Build[C], unread: Unread[C]
) -> Handled[E] | None:
    """Carry out a command on a target that is taken to be new; ``None``: nothing was written, ``handle`` it.

    Raises:
        KeyReused: the key of a keyed command has been used for another request.
        Overloaded, Unavailable, OutcomeUnknown: as ``Appender.append``.
    """
    known, now = await _known(ledger, unread.lately, context.reads), context.clock()
    streams = {**known, context.target: Stream(name=context.target, events=())}
    try:
        wish = build(Facts(now, streams, context.target))
        if not unread.may(wish):
            return None
        decided = await decide(context, lambda _: wish, streams, now)
    except LedgerError:
        return None
    if not decided.events:
        return None
    async with Command(context.decider.category, context.target) as command:
        try:
            landed = await append(ledger, decided.drafted)
        except VersionConflict:
            unread.lately.forget(context.reads)
            command.give_way()
            return None
        return await outcome(ledger, context, decided, landed)


async def _known(ledger: Ledger, lately: Lately, names: Sequence[StreamName]) -> dict[StreamName, Stream]:
    known = lately.all_of(names)
    if known is None:
        times_cleared = lately.times_cleared
        known = await load_streams(ledger, names)
        if lately.times_cleared == times_cleared:
            lately.note(known.values())
    return known

"""Handle a command that begins a stream without reading first: by what its read streams said lately.

Theory. Nobody looks whether a stream is there before beginning it, because the append says so anyway: it checks that
the stream is new, and that every stream the command relied on is still at the version it was decided by. So what is
appended is exactly what ``handle`` would have appended. Whatever else comes of the attempt may be of yesterday: then
nothing has been written, and ``handle`` says by a fresh look what is to be said.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from ledger.command_handler import Build, Cover, Facts, Handled, Recognise, decided, outcome
from ledger.domain.decider import Decider
from ledger.domain.errors import LedgerError, VersionConflict
from ledger.domain.event import Event
from ledger.domain.ids import StreamName
from ledger.store.envelope import Provenance
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
    ledger: Ledger,
    decider: Decider[C, S, E],
    target: StreamName,
    build: Build[C],
    unread: Unread[C],
    *,
    clock: Callable[[], datetime],
    provenance: Provenance,
    reads: Sequence[StreamName] = (),
    cover: Cover[S, C] | None = None,
    recognise: Recognise | None = None,
) -> Handled[E] | None:
    """Carry out a command on ``target``, taken to be new; ``None``: nothing was written, ``handle`` it.

    Raises:
        KeyReused: the key of a keyed command has been used for another request.
        Overloaded, Unavailable, OutcomeUnknown: as ``Appender.append``.
    """
    known, now = await _known(ledger, unread.lately, reads), clock()
    streams = {**known, target: Stream(name=target, events=())}
    try:
        wish = build(Facts(now, streams, target))
        if not unread.may(wish):
            return None
        drafted, events = await decided(
            decider, streams, target, lambda _: wish, cover, now=now, provenance=provenance, reads=reads
        )
    except LedgerError:
        return None
    if not events:
        return None
    async with Command(decider.category, target) as command:
        try:
            landed = await append(ledger, drafted)
        except VersionConflict:
            unread.lately.forget(reads)
            command.give_way()
            return None
        return await outcome(
            ledger, decider, drafted, events, landed, provenance=provenance, recognise=recognise
        )


async def _known(ledger: Ledger, lately: Lately, names: Sequence[StreamName]) -> dict[StreamName, Stream]:
    known = lately.all_of(names)
    if known is None:
        times_cleared = lately.times_cleared
        known = await load_streams(ledger, names)
        if lately.times_cleared == times_cleared:
            lately.note(known.values())
    return known

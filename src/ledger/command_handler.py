"""Handle a command: load, decide, append; again on conflict. The one place where calls turn round."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, Generic, TypeAlias, TypeVar

import asyncpg
import msgspec

from ledger.domain.decider import Decider, fold
from ledger.domain.errors import (
    KeyReused,
    LedgerError,
    OutcomeUnknown,
    Overloaded,
    PreconditionFailed,
    Unavailable,
    VersionConflict,
)
from ledger.domain.event import Event
from ledger.domain.ids import NO_EVENTS, Position, StreamName, Version
from ledger.store.appends import Append, Appended, Landed
from ledger.store.envelope import Provenance, open_envelope
from ledger.store.gauges import Command
from ledger.store.landing import RunAgain, as_recorded, land, landed_in, one_transaction
from ledger.store.lately import is_short
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection
from ledger.store.snapshots import Snapshot, freeze, thaw
from ledger.store.streams import (
    Recorded,
    Stored,
    Stream,
    draft,
    event_ids,
    load_streams,
    new_command_id,
    read_command,
    read_stream,
    recorded,
)

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)
T = TypeVar("T")

MAX_ATTEMPTS: Final = 3
CONFLICT_WAIT: Final = 0.02
"""Seconds, times the attempt, times a random share: so that those who collided do not meet again."""


class Facts:
    """What the target and the read streams said when this attempt began."""

    def __init__(self, now: datetime, streams: Mapping[StreamName, Stream], target: StreamName) -> None:
        """Take the streams as they were read, and the moment of the attempt."""
        self.now = now
        self._streams, self._target = streams, target

    def state(self, decider: Decider[C, S, E], name: StreamName) -> S:
        """Fold one of the streams that were read.

        Raises:
            Corrupt: this release cannot read one of its events.
        """
        if name == self._target:
            return state_of(decider, self._streams[name])
        return state_asked_often(decider, self._streams[name])


Build: TypeAlias = Callable[[Facts], C]
Alongside: TypeAlias = Callable[[Connection], Awaitable[None]]
"""Writes the rows that must commit together with the events; may be called again after a rollback."""
Cover: TypeAlias = Callable[[S, C, Provenance], Awaitable[tuple[C, Provenance]]]
"""Makes of a command on a state, and of where it comes from, what is to be stored; may refuse, once an attempt."""
Recognise: TypeAlias = Callable[[str, str], Awaitable[bool]]
"""Says whether the digest that a stored command carries may be that of this request, though it is not the same."""


class Handled(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """What a command did.

    ``events`` is empty when there was nothing to do; then ``version`` is the stream's unchanged one and
    ``position`` and ``leaf`` are those of its last event (0 and empty for an empty stream).
    """

    events: tuple[Recorded[E], ...]
    version: Version
    position: Position
    leaf: bytes


def state_of(decider: Decider[C, S, E], stream: Stream) -> S:
    """Fold a stream, from its snapshot if it was loaded with one.

    Raises:
        Corrupt: this release cannot read one of its events.
    """
    start = None if stream.snapshot is None else thaw(decider, stream.snapshot)
    return fold(decider, (recorded(stored, decider.event_types).event for stored in stream.events), start)


def state_asked_often(decider: Decider[C, S, E], stream: Stream) -> S:
    """As ``state_of``, for callers and policies: the same few streams for one command after the other.

    Raises:
        Corrupt: this release cannot read one of its events.
    """
    if not is_short(stream):
        return state_of(decider, stream)
    state: S = _remembered(decider, stream)
    return state


@lru_cache(maxsize=2048)
def _remembered(decider: Decider[C, S, E], stream: Stream) -> S:
    """Remember a state by all that it was folded from: the same events give the same state."""
    return state_of(decider, stream)


async def handle(
    ledger: Ledger,
    decider: Decider[C, S, E],
    target: StreamName,
    build: Build[C],
    *,
    clock: Callable[[], datetime],
    provenance: Provenance,
    reads: Sequence[StreamName] = (),
    if_match: Version | None = None,
    alongside: Alongside | None = None,
    cover: Cover[S, C] | None = None,
    recognise: Recognise | None = None,
) -> Handled[E]:
    """Carry out one command on ``target``.

    1. Load the target and the ``reads`` in one round trip.
    2. A keyed command that has happened before answers from its stored events.
    3. ``build`` makes the command of what was loaded, ``cover`` what is stored of it; decide. A refusal is raised and
       never retried.
    4. Append after exactly what was loaded: through the process's appender, or, with ``alongside``, in one
       transaction with the rows it writes.
    5. On a conflict begin again with fresh facts and a fresh moment: three attempts in all, a random wait of
       up to 20 and 40 milliseconds between them. With ``if_match`` a conflict on the target is final.

    Commands of one process on one target take turns, first come, first served: they would only collide.

    Raises:
        LedgerError: the decider's refusal.
        VersionConflict: three attempts met other writers.
        PreconditionFailed: the target is not at ``if_match``.
        KeyReused: the key of a keyed command has been used for another request.
        Overloaded, Unavailable, OutcomeUnknown: as ``Appender.append``.
    """
    async with Command(decider.category, target), ledger.turns.on(target):
        for attempt in range(1, MAX_ATTEMPTS + 1):
            streams = await load_streams(ledger, [target, *reads])
            # After the load, or what was loaded may hold its own effect.
            if provenance.is_keyed or attempt > 1:
                done = await done_before(ledger, decider, provenance, recognise)
                if done is not None:
                    return done
            # What does not exist is first of all not found: the decider says so.
            if streams[target].version():
                await _check_precondition(ledger, streams[target], if_match)
            drafted, events = await decided(
                decider, streams, target, build, cover, now=clock(), provenance=provenance, reads=reads
            )
            await _check_precondition(ledger, streams[target], if_match)
            if not events:
                return _nothing_to_do(streams[target])
            try:
                landed = await land(ledger, drafted, alongside)
            except (VersionConflict, RunAgain) as unsettled:
                if attempt == MAX_ATTEMPTS:
                    raise _final(unsettled) from unsettled.__cause__
                await asyncio.sleep(CONFLICT_WAIT * attempt * random.random())  # noqa: S311 - spreads retries
            except LedgerError as refusal:
                return await _done_or(refusal, ledger, decider, provenance, recognise)
            else:
                handled = await outcome(
                    ledger, decider, drafted, events, landed, provenance=provenance, recognise=recognise
                )
                _take_snapshot(ledger, decider, streams[target], handled)
                return handled
    raise AssertionError  # the loop above returns or raises


async def rehearse(
    ledger: Ledger,
    decider: Decider[C, S, E],
    target: StreamName,
    build: Build[C],
    *,
    clock: Callable[[], datetime],
    reads: Sequence[StreamName] = (),
    if_match: Version | None = None,
    cover: Cover[S, C] | None = None,
) -> tuple[E, ...]:
    """Say what ``handle`` would do at this moment; nothing is written, and nothing is promised.

    Raises:
        LedgerError: the decider's refusal.
        PreconditionFailed: the target is not at ``if_match``.
    """
    streams = await load_streams(ledger, [target, *reads])
    nobody = Provenance(actor="", command_id=new_command_id())
    _, events = await decided(
        decider, streams, target, build, cover, now=clock(), provenance=nobody, reads=()
    )
    await _check_precondition(ledger, streams[target], if_match)
    return events


async def handle_after(
    ledger: Ledger,
    decider: Decider[C, S, E],
    target: StreamName,
    effect: Callable[[Connection], Awaitable[T]],
    build: Callable[[Facts, T], C],
    *,
    clock: Callable[[], datetime],
    provenance: Provenance,
    reads: Sequence[StreamName] = (),
) -> Handled[E]:
    """Carry out one command that tells what ``effect`` has done, in one transaction with it.

    As ``handle``, but the command is made once the effect has happened; a refusal, a conflict or a lost connection
    rolls the effect back. It may be called again, and is not when a keyed command has happened before.

    Raises:
        LedgerError: as ``handle``; whatever else ``effect`` raises is raised as it is.
    """
    async with Command(decider.category, target), ledger.turns.on(target):
        for attempt in range(1, MAX_ATTEMPTS + 1):
            if provenance.is_keyed or attempt > 1:
                done = await done_before(ledger, decider, provenance)
                if done is not None:
                    return done
            streams = await load_streams(ledger, [target, *reads])
            try:
                async with one_transaction(ledger) as conn:
                    facts = Facts(clock(), streams, target)
                    command = build(facts, await effect(conn))
                    events = decider.decide(command, facts.state(decider, target))
                    drafted = draft(streams[target], events, provenance, [streams[name] for name in reads])
                    landed = await landed_in(conn, ledger, drafted)
            except (VersionConflict, RunAgain) as unsettled:
                if attempt == MAX_ATTEMPTS:
                    raise _final(unsettled) from unsettled.__cause__
                await asyncio.sleep(CONFLICT_WAIT * attempt * random.random())  # noqa: S311 - spreads retries
            except LedgerError as refusal:
                return await _done_or(refusal, ledger, decider, provenance)
            else:
                return await outcome(ledger, decider, drafted, events, landed, provenance=provenance)
    raise AssertionError  # the loop above returns or raises


async def _done_or(
    refusal: LedgerError,
    ledger: Ledger,
    decider: Decider[C, S, E],
    provenance: Provenance,
    recognise: Recognise | None = None,
) -> Handled[E]:
    """Answer a refused command by what it did: sent to two processes at once, the later one meets rows of the earlier.

    Raises:
        LedgerError: the refusal; it has done nothing.
    """
    is_refused = not isinstance(refusal, Overloaded | Unavailable)
    asks = is_refused and provenance.is_keyed
    done = await done_before(ledger, decider, provenance, recognise) if asks else None
    if done is None:
        raise refusal
    return done


def _final(unsettled: VersionConflict | RunAgain) -> Exception:
    if isinstance(unsettled, VersionConflict):
        return unsettled
    cause = unsettled.__cause__
    return cause if isinstance(cause, asyncpg.UniqueViolationError) else OutcomeUnknown()


async def decided(
    decider: Decider[C, S, E],
    streams: Mapping[StreamName, Stream],
    target: StreamName,
    build: Build[C],
    cover: Cover[S, C] | None,
    *,
    now: datetime,
    provenance: Provenance,
    reads: Sequence[StreamName],
) -> tuple[Append, tuple[E, ...]]:
    """Decide by what was loaded; what to append, and its events.

    Raises:
        LedgerError: the decider's refusal, or what ``build`` or ``cover`` raises.
    """
    facts = Facts(now, streams, target)
    command, state = build(facts), facts.state(decider, target)
    if cover is not None:
        command, provenance = await cover(state, command, provenance)
    events = decider.decide(command, state)
    return draft(streams[target], events, provenance, [streams[name] for name in reads]), events


async def _check_precondition(ledger: Ledger, stream: Stream, if_match: Version | None) -> None:
    """Compare with If-Match."""
    if if_match is None or stream.version() == if_match:
        return
    whole = await read_stream(ledger, stream.name)
    since = ", ".join(stored.type for stored in whole.events if stored.version > if_match)
    raise PreconditionFailed(expected=if_match, actual=stream.version(), since=since)


def _take_snapshot(ledger: Ledger, decider: Decider[C, S, E], loaded: Stream, handled: Handled[E]) -> None:
    """Offer the state after a command, when the stream has grown long enough since its last snapshot."""
    since = NO_EVENTS if loaded.snapshot is None else loaded.snapshot.version
    follows = handled.version == loaded.version() + len(handled.events)
    if not (follows and ledger.snapshots.is_due(handled.version, since)):
        return
    state = fold(decider, (one.event for one in handled.events), state_of(decider, loaded))
    ledger.snapshots.offer(
        Snapshot(
            stream=loaded.name,
            version=handled.version,
            position=handled.position,
            leaf=handled.leaf,
            state=freeze(state),
        )
    )


async def done_before(
    ledger: Ledger, decider: Decider[C, S, E], provenance: Provenance, recognise: Recognise | None = None
) -> Handled[E] | None:
    """Find what a keyed command did when it was sent before; ``None``: it has not happened.

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
    events = tuple(recorded(one, decider.event_types) for one in stored)
    return _handled(events)


def _request_of(stored: Stored) -> str:
    return open_envelope(stored.envelope or b"").request


async def outcome(
    ledger: Ledger,
    decider: Decider[C, S, E],
    drafted: Append,
    events: Sequence[E],
    landed: Landed,
    *,
    provenance: Provenance,
    recognise: Recognise | None = None,
) -> Handled[E]:
    """Say what a command did that has landed now, or before.

    Raises:
        KeyReused: the key has been used for another request.
    """
    if isinstance(landed, Appended):
        return _handled(
            tuple(as_recorded(drafted, landed, number, event) for number, event in enumerate(events))
        )
    done = await done_before(ledger, decider, provenance, recognise)
    if done is None:
        raise OutcomeUnknown
    return done


def _handled(events: tuple[Recorded[E], ...]) -> Handled[E]:
    last = events[-1]
    return Handled(events=events, version=last.version, position=last.position, leaf=last.leaf)


def _nothing_to_do(stream: Stream) -> Handled[E]:
    return Handled(events=(), version=stream.version(), position=stream.position(), leaf=stream.last_leaf())

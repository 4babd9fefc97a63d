"""Handle a command: load, decide, append, answer; again on conflict.

One way round is a function of its own (``_carry_out``, ``_carry_out_after``), which a reader can follow from the first
line to the last; ``_until_settled`` sends it round, and ``answering`` knows what a repeated request did the first time.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias, TypeVar

import asyncpg

from ledger.command_handling.answering import (
    Handled,
    done_or_refused,
    first_answer,
    nothing_to_do,
    outcome,
)
from ledger.command_handling.context import CommandContext
from ledger.command_handling.deciding import Decided, decide
from ledger.command_handling.facts import Build, Facts, state_of
from ledger.domain.decider import Decider, fold
from ledger.domain.errors import LedgerError, OutcomeUnknown, PreconditionFailed, VersionConflict
from ledger.domain.event import Event
from ledger.domain.ids import NO_EVENTS, StreamName, Version
from ledger.store.envelope import Provenance
from ledger.store.gauges import Command
from ledger.store.landing import NothingToLand, RunAgain, land, landed_in, one_transaction
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection
from ledger.store.snapshots import Snapshot, freeze
from ledger.store.streams import Stream, load_streams, new_command_id, read_stream

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)
T = TypeVar("T")

MAX_ATTEMPTS: Final = 3
CONFLICT_WAIT: Final = 0.02
"""Seconds, times the attempt, times a random share: so that those who collided do not meet again."""

Alongside: TypeAlias = Callable[[Connection], Awaitable[None]]
"""Writes the rows that must commit together with the events; may be called again after a rollback."""
Streams: TypeAlias = Mapping[StreamName, Stream]
"""The target and the read streams, as they were loaded for one attempt."""


async def handle(
    ledger: Ledger, context: CommandContext[C, S, E], build: Build[C], *, alongside: Alongside | None = None
) -> Handled[E]:
    """Carry out one command on its target.

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
    return await _until_settled(ledger, context, partial(_carry_out, ledger, context, build, alongside))


async def _carry_out(
    ledger: Ledger,
    context: CommandContext[C, S, E],
    build: Build[C],
    alongside: Alongside | None,
    loaded: Streams,
) -> Handled[E]:
    target = loaded[context.target]
    await _check_existing(ledger, context, target)
    decided = await _decide_if_match(ledger, context, build, loaded, context.clock())
    if not decided.events:
        return nothing_to_do(target)
    try:
        landed = await land(ledger, decided.drafted, alongside)
    except VersionConflict as conflict:
        raise RunAgain from conflict
    except LedgerError as refusal:
        return await done_or_refused(ledger, context, refusal)
    handled = await outcome(ledger, context, decided, landed)
    _take_snapshot(ledger, context.decider, target, handled)
    return handled


async def handle_after(
    ledger: Ledger,
    context: CommandContext[C, S, E],
    effect: Callable[[Connection], Awaitable[T]],
    build: Callable[[Facts, T], C],
) -> Handled[E]:
    """Carry out one command that tells what ``effect`` has done, in one transaction with it.

    As ``handle``, but the command is made once the effect has happened; a refusal, a conflict, a lost connection, or
    that there is nothing to do, rolls the effect back. It may be called again, and is not when a keyed command has
    happened before, or the target is not at ``if_match``.

    Raises:
        LedgerError: as ``handle``; whatever else ``effect`` raises is raised as it is.
    """
    return await _until_settled(ledger, context, partial(_carry_out_after, ledger, context, effect, build))


async def _carry_out_after(
    ledger: Ledger,
    context: CommandContext[C, S, E],
    effect: Callable[[Connection], Awaitable[T]],
    build: Callable[[Facts, T], C],
    loaded: Streams,
) -> Handled[E]:
    await _check_existing(ledger, context, loaded[context.target])
    try:
        async with one_transaction(ledger) as conn:
            now, done = context.clock(), await effect(conn)
            decided = await _decide_if_match(ledger, context, lambda facts: build(facts, done), loaded, now)
            landed = await landed_in(conn, ledger, decided.drafted)
    except NothingToLand:
        return nothing_to_do(loaded[context.target])
    except VersionConflict as conflict:
        raise RunAgain from conflict
    except LedgerError as refusal:
        return await done_or_refused(ledger, context, refusal)
    return await outcome(ledger, context, decided, landed)


async def rehearse(ledger: Ledger, context: CommandContext[C, S, E], build: Build[C]) -> tuple[E, ...]:
    """Say what ``handle`` would do at this moment; nothing is written, and nothing is promised.

    Raises:
        LedgerError: the decider's refusal.
        PreconditionFailed: the target is not at ``if_match``.
    """
    loaded = await load_streams(ledger, [context.target, *context.reads])
    await _check_existing(ledger, context, loaded[context.target])
    return (await _decide_if_match(ledger, context, build, loaded, context.clock())).events


def of_nobody() -> Provenance:
    """Say where a command comes from that is only rehearsed."""
    return Provenance(actor="", command_id=new_command_id())


async def _until_settled(
    ledger: Ledger,
    context: CommandContext[C, S, E],
    attempt: Callable[[Streams], Awaitable[Handled[E]]],
) -> Handled[E]:
    """Load and attempt, in turn with others on the target; again as ``handle`` says, unless it is found to be done.

    Raises:
        LedgerError: as ``handle``, and whatever else the attempt raises but ``RunAgain``.
    """
    cause: BaseException | None = None
    async with Command(context.decider.category, context.target), ledger.turns.on(context.target):
        for number in range(MAX_ATTEMPTS):
            if number > 0:
                await asyncio.sleep(CONFLICT_WAIT * number * random.random())  # noqa: S311 - spreads retries
            loaded = await load_streams(ledger, [context.target, *context.reads])
            # After the load, or what was loaded may hold its own effect.
            if context.provenance.is_keyed or number > 0:
                done = await first_answer(ledger, context)
                if done is not None:
                    return done
            try:
                return await attempt(loaded)
            except RunAgain as unsettled:
                cause = unsettled.__cause__
        if isinstance(cause, VersionConflict | asyncpg.UniqueViolationError):
            raise cause
        raise OutcomeUnknown from cause


async def _check_existing(ledger: Ledger, context: CommandContext[C, S, E], target: Stream) -> None:
    """Compare with If-Match before anything is done; what does not exist is first of all not found, as the decider says."""
    if target.version():
        await _check_precondition(ledger, target, context.if_match)


async def _decide_if_match(
    ledger: Ledger, context: CommandContext[C, S, E], build: Build[C], loaded: Streams, now: datetime
) -> Decided[E]:
    decided = await decide(context, build, loaded, now)
    await _check_precondition(ledger, loaded[context.target], context.if_match)
    return decided


async def _check_precondition(ledger: Ledger, stream: Stream, if_match: Version | None) -> None:
    """Compare with If-Match."""
    if if_match is None or stream.version() == if_match:
        return
    events = (await read_stream(ledger, stream.name)).events if stream.version() else ()
    since = ", ".join(stored.type for stored in events if stored.version > if_match)
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

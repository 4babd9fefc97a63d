"""What a finished session held goes back to the queue: its leases are released, whoever ended it and on whichever instance.

Any number of processes may do this at once, and any of them may die at any time. A position says up to where the log
has been seen to; it moves once everything before it is written. What is written has ids made of the event that ended
the session and the decision, so that doing it again writes nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog

from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import handle
from ledger.domain.decision.commands import ReleaseClaim
from ledger.domain.decision.decide import DECISION
from ledger.domain.errors import Corrupt, LedgerError
from ledger.domain.event import type_name
from ledger.domain.ids import START, LeaseId, Position, SessionId, StreamName
from ledger.domain.session.events import SessionEnded, SessionExpired, SessionRevoked
from ledger.identity.identity import SYSTEM
from ledger.projections import picking
from ledger.projections.checkpoints import read_position
from ledger.projections.views.queue import QUEUE
from ledger.store.envelope import Provenance
from ledger.store.history import read_page
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.store.signals import APPENDED_CHANNEL
from ledger.store.streams import Stored, keyed_command_id

log = structlog.get_logger()

REACTION: Final = "releases"
ENDINGS: Final = tuple(type_name(each) for each in (SessionEnded, SessionExpired, SessionRevoked))
PAGE: Final = 5_000
LOOK_EVERY: Final = 0.5
"""Seconds: how long it waits before it looks for itself, whatever it has heard."""
PAUSE: Final = 0.1
"""Seconds between two looks, so that a busy log does not make a busy reaction."""
AT_ONCE: Final = 20
"""How many leases are released at the same time; their appends travel as one batch."""

# $1 ledger, $2 reaction
POSITION: Final = "select position from work.reactions where ledger_id = $1 and reaction = $2"
# $1 ledger, $2 reaction, $3 position; it never moves back
MOVE: Final = """
insert into work.reactions as r (ledger_id, reaction, position) values ($1, $2, $3)
on conflict on constraint reactions_pkey do update set position = excluded.position
where r.position < excluded.position
"""
# $1 ledger, $2 sessions
HELD: Final = """
select stream, session, lease_id from views.queue_v2
where ledger_id = $1 and session = any($2::uuid[])
order by session, stream
"""


class _Held(msgspec.Struct, frozen=True):
    """A lease of a session that has ended, and the event that ended it."""

    stream: StreamName
    lease_id: LeaseId
    ended_by: Stored


async def run_forever(ledger: Ledger, clock: Callable[[], datetime]) -> None:
    """Release until cancelled; what cannot be released now is released later."""
    after: Position | None = None
    missed = known = 0

    def heard(payload: str | None) -> None:
        nonlocal missed
        missed += payload is None

    ledger.signals.on(APPENDED_CHANNEL, heard)
    while True:
        rings, now = ledger.appended.rings(), missed
        if now != known:
            after = None  # another server may answer now, whose log ends earlier
        try:
            after = await release_on(ledger, clock, await _position(ledger) if after is None else after)
            known = now
            await picking.forget(ledger.pool, ledger.ledger_id)
        except LedgerError as failed:
            log.warning("releases.failed", code=failed.code)
        await ledger.appended.wait_past(rings, LOOK_EVERY)
        await asyncio.sleep(PAUSE)


async def release_on(
    ledger: Ledger, clock: Callable[[], datetime], after: Position, *, limit: int = PAGE
) -> Position:
    """See to the log behind ``after``; return up to where it has been seen to.

    That is its end, or where the queue does not yet show all claims. It is written down where something was to be
    done, and for every page.

    Raises:
        Unavailable, Overloaded, VersionConflict: not all could be released; the same page comes again.
    """
    while True:
        page = await read_page(ledger, after=after, types=ENDINGS, limit=limit)
        if page.events and not await _shows(ledger, page.after):
            return after
        if page.events:
            await _release_all(ledger, clock, await _held(ledger, page.events))
        if page.events or not page.is_last:
            await _move(ledger, page.after)
        after = page.after
        if page.is_last:
            return after


async def _position(ledger: Ledger) -> Position:
    async with reading(ledger.pool) as conn:
        found = await conn.fetchval(POSITION, ledger.ledger_id, REACTION)
    return START if found is None else Position(found)


async def _shows(ledger: Ledger, position: Position) -> bool:
    """Say whether the queue shows every claim that was made up to ``position``."""
    async with reading(ledger.pool) as conn:
        return await read_position(conn, ledger.ledger_id, QUEUE) >= position


async def _held(ledger: Ledger, endings: Sequence[Stored]) -> list[_Held]:
    """Find what the sessions hold that these events ended; a session's own stream names it."""
    ended_by = {_session(stored.stream): stored for stored in endings}
    async with reading(ledger.pool) as conn:
        rows = await conn.fetch(HELD, ledger.ledger_id, list(ended_by))
    return [_Held(row["stream"], row["lease_id"], ended_by[row["session"]]) for row in rows]


def _session(stream: StreamName) -> SessionId:
    return SessionId(UUID(stream.partition("-")[2]))


async def _release_all(ledger: Ledger, clock: Callable[[], datetime], held: Sequence[_Held]) -> None:
    for first in range(0, len(held), AT_ONCE):
        await asyncio.gather(*(_release(ledger, clock, one) for one in held[first : first + AT_ONCE]))


async def _release(ledger: Ledger, clock: Callable[[], datetime], held: _Held) -> None:
    def build(facts: Facts) -> ReleaseClaim:
        return ReleaseClaim(now=facts.now, by=None, lease_id=held.lease_id)

    provenance = Provenance(
        actor=SYSTEM,
        command_id=keyed_command_id(held.ended_by.event_id, f"{REACTION} {held.stream}"),
        is_keyed=True,
        causation_id=held.ended_by.event_id,
        correlation_id=held.ended_by.correlation_id,
    )
    try:
        with ledger.tracing.following(held.ended_by.parent(), f"react {REACTION}"):
            handled = await handle(
                ledger,
                CommandContext(decider=DECISION, target=held.stream, clock=clock, provenance=provenance),
                build,
            )
    except Corrupt as broken:  # one unreadable decision must not keep the others held
        log.warning("claim.release.failed", stream=held.stream, code=broken.code)
        return
    if handled.events:
        log.info("claim.released", stream=held.stream, position=handled.position)


async def _move(ledger: Ledger, position: Position) -> None:
    async with reading(ledger.pool) as conn:
        await conn.execute(MOVE, ledger.ledger_id, REACTION, position)

"""Who reads the history, on its way into the log: the first time at once, then at most one sum a minute.

What is read for the first time, or for the first time after a minute in which it was not, is recorded before it is
given out; if that cannot be written, nothing is given. What more of the same query is read in the session is added up
here and told behind the answers (``ledger.reactions.readings``). A process that is killed loses a minute's sums at
most, never that something was read. Several processes sum up each for itself.
"""

from datetime import datetime
from typing import Final

import msgspec

from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import handle
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId, Position, SessionId
from ledger.domain.reading.commands import ReadHistory, SumUpReading
from ledger.domain.reading.decide import READING, TOLD_EVERY
from ledger.domain.reading.events import Extent, Query
from ledger.identity.identity import SYSTEM, Identity
from ledger.identity.sessions import Principal, authority, own_session, reads_of
from ledger.store.envelope import Provenance
from ledger.store.ledger import reading_stream
from ledger.store.streams import new_command_id

MOST_TALLIES: Final = 10_000
NOTHING: Final = Extent(reads=0, events=0, first=None, last=None)


class _Tally(msgspec.Struct, kw_only=True):
    """What was read from ``since`` to ``until``; its sum is not told before ``due``."""

    person: PersonId
    since: datetime
    until: datetime
    due: datetime
    extent: Extent = NOTHING


class Readings:
    """Adds up what is read until it is told."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._tallies: dict[tuple[SessionId, Query], _Tally] = {}

    def add(self, session: SessionId, query: Query, extent: Extent, now: datetime) -> bool:
        """Add to what was read of the same query; ``False``: that is the first time, and is to be recorded at once."""
        tally = self._tallies.get((session, query))
        if tally is None:
            return False
        tally.extent = _sum(tally.extent, extent)
        tally.until = max(tally.until, now)
        return True

    def count(
        self, session: SessionId, query: Query, person: PersonId, extent: Extent, now: datetime
    ) -> None:
        """Add to what was read of something that has been recorded, however long ago."""
        self.begin(session, query, person, now)
        self.add(session, query, extent, now)

    def begin(self, session: SessionId, query: Query, person: PersonId, now: datetime) -> None:
        """Add up from now on; where there are too many already, each reading is recorded at once."""
        if len(self._tallies) < MOST_TALLIES:
            tally = _Tally(person=person, since=now, until=now, due=now + TOLD_EVERY)
            self._tallies.setdefault((session, query), tally)

    def take(self, now: datetime, *, anyway: bool = False) -> tuple[SumUpReading, ...]:
        """Take what is to be told now, or all there is (``anyway``); what has not been read any more is forgotten."""
        taken = list[SumUpReading]()
        for (session, query), tally in tuple(self._tallies.items()):
            if not anyway and now < tally.due:
                continue
            del self._tallies[session, query]
            if tally.extent != NOTHING:
                taken.append(_told(session, query, tally, now))
                if not anyway:
                    self.begin(session, query, tally.person, now)
        return tuple(taken)

    def give_back(self, command: SumUpReading) -> None:
        """Keep what could not be told, for the next time."""
        key = (command.session, command.query)
        since = self._tallies.get(key)
        self.begin(command.session, command.query, command.person, command.now)
        tally = self._tallies.get(key)
        if tally is not None:
            tally.since = command.since
            tally.until = command.until if since is None else max(since.until, command.until)
            tally.extent = _sum(command.extent, tally.extent)


def extent_of(positions: list[Position], *, reads: int = 1) -> Extent:
    """Say how much was given, by the positions of its events."""
    return Extent(
        reads=reads,
        events=len(positions),
        first=min(positions, default=None),
        last=max(positions, default=None),
    )


async def record(
    identity: Identity,
    readings: Readings,
    principal: Principal,
    query: Query,
    extent: Extent,
    *,
    trace: str,
) -> None:
    """Record that something is read, before it is given out.

    Raises:
        InsufficientPermissions: they may not read it, or it is no person who reads.
        Unauthenticated: their session has ended.
        Unavailable, Overloaded: it could not be written down: nothing may be given.
    """
    session, now = own_session(principal), identity.clock()
    if readings.add(session, query, extent, now):
        return

    def build(facts: Facts) -> ReadHistory:
        return ReadHistory(now=facts.now, by=authority(facts, principal), query=query, extent=extent)

    await handle(
        identity.ledger,
        CommandContext(
            decider=READING,
            target=reading_stream(session),
            clock=identity.clock,
            provenance=Provenance(
                actor=str(principal.person), command_id=new_command_id(), correlation_id=trace
            ),
            reads=reads_of(principal),
        ),
        build,
    )
    readings.begin(session, query, principal.person, now)


async def tell(identity: Identity, command: SumUpReading) -> None:
    """Write a sum down.

    Raises:
        LedgerError: it could not be.
    """
    await handle(
        identity.ledger,
        CommandContext(
            decider=READING,
            target=reading_stream(command.session),
            clock=identity.clock,
            provenance=Provenance(actor=SYSTEM, command_id=new_command_id()),
        ),
        lambda _facts: command,
    )


def _told(session: SessionId, query: Query, tally: _Tally, now: Utc) -> SumUpReading:
    return SumUpReading(
        now=now,
        person=tally.person,
        session=session,
        query=query,
        extent=tally.extent,
        since=tally.since,
        until=tally.until,
    )


def _sum(one: Extent, other: Extent) -> Extent:
    firsts = [first for first in (one.first, other.first) if first is not None]
    lasts = [last for last in (one.last, other.last) if last is not None]
    return Extent(
        reads=one.reads + other.reads,
        events=one.events + other.events,
        first=min(firsts, default=None),
        last=max(lasts, default=None),
    )

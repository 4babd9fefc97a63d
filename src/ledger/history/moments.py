"""A moment of the past: said by a version, a position or a time, and found in the log.

Order is position, never time. So a moment is a position, everything up to which had happened, and a time, by which
leases and deadlines are judged that end without an event.
"""

import re
from datetime import datetime
from typing import Final, TypeAlias

import msgspec

from ledger.domain.errors import Invalid, NotFound
from ledger.domain.event import Utc
from ledger.domain.ids import Position, StreamName, Version
from ledger.store.excerpts import read_positions
from ledger.store.history import position_at, read_stream_until
from ledger.store.ledger import Ledger
from ledger.store.pool import reading

PLACE: Final = re.compile(r"(version|position):([1-9]\d{0,17})")
BEYOND_ALL: Final = Version(2**31 - 1)
"""No stream has so many events, and the database knows no larger version."""


class AtVersion(msgspec.Struct, frozen=True):
    """When a stream had so many events."""

    version: Version


class AtPosition(msgspec.Struct, frozen=True):
    """When the ledger had so many."""

    position: Position


class AtTime(msgspec.Struct, frozen=True):
    """At this time."""

    time: Utc


At: TypeAlias = AtVersion | AtPosition | AtTime


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything up to ``position`` had happened, and it was ``time``."""

    position: Position
    time: Utc


class MomentNotReached(Invalid):
    """The ledger has not reached this moment yet.

    Context: ``head``, its last position.
    """

    code = "moment-not-reached"
    advice = "Ask for a version or a position that is there, or for a time that has passed."


class NoSuchVersion(NotFound):
    """It never had this version: not found.

    Context: ``version``, the last one it has.
    """

    code = "no-such-version"


def place(text: str) -> AtVersion | AtPosition | None:
    """Read ``version:N`` or ``position:N``; ``None``: it is neither, and may be a time."""
    match = PLACE.fullmatch(text)
    if match is None:
        return None
    number = int(match[2])
    return AtVersion(Version(number)) if match[1] == "version" else AtPosition(Position(number))


async def moment_of(ledger: Ledger, at: AtPosition | AtTime | None, now: datetime) -> Moment:
    """Find a moment of the ledger; ``None``: now.

    Raises:
        MomentNotReached: it lies ahead.
    """
    head = await ledger.head()
    if at is None:
        return Moment(position=head, time=now)
    if isinstance(at, AtTime):
        if at.time > now:
            raise MomentNotReached(head=head)
        return Moment(position=await position_at(ledger, at.time), time=at.time)
    async with reading(ledger.source) as conn:
        found = await read_positions(conn, ledger.ledger_id, [at.position])
    if not found:
        raise MomentNotReached(head=head)
    return Moment(position=at.position, time=found[0].recorded_at)


async def moment_in(ledger: Ledger, name: StreamName, at: At | None, now: datetime) -> Moment:
    """Find a moment of one stream.

    Raises:
        MomentNotReached: it lies ahead.
        NoSuchVersion: the stream has fewer events.
    """
    if not isinstance(at, AtVersion):
        return await moment_of(ledger, at, now)
    stream = await read_stream_until(ledger, name, version=min(at.version, BEYOND_ALL))
    if stream.version() != at.version:
        raise NoSuchVersion(version=stream.version())
    last = stream.events[-1]
    return Moment(position=last.position, time=last.recorded_at)

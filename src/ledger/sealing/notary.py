"""The notary as everybody in the service sees it: how it stands, and a bell that rings when something was sealed."""

from datetime import datetime
from typing import Final

import asyncpg
import msgspec
import structlog

from ledger.domain.errors import Unavailable
from ledger.sealing.partners import forked
from ledger.sealing.patrol import Patrol
from ledger.sealing.rows import SEALED_CHANNEL, Sealed, last_checkpoint
from ledger.sealing.sealer import Sealer
from ledger.sealing.standing import Halt, Standing, read_standing
from ledger.sealing.tampering import TAMPERED_CHANNEL, Hearsay
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, Connection, reading
from ledger.store.signals import Bell

log = structlog.get_logger()

LOOK_EVERY: Final = 2.0
"""Seconds after which a process looks how it stands, whatever it has heard."""
LATE_SECONDS: Final = 60.0
"""An event that has waited longer than that is sealed late, as the alert LedgerSealingLate says."""

# A time at which nobody can have recorded it (somebody changed the row, which the patrol finds) says nothing.
# $1 ledger, $2 how many are sealed
UNSEALED: Final = """
select coalesce(max(position), 0) - $2::bigint as lag,
       (select recorded_at from ledger.events where ledger_id = $1 and position = $2::bigint + 1
        and recorded_at >= '0001-01-01 00:00+00' and recorded_at < clock_timestamp() + interval '1 day') as since
from ledger.events where ledger_id = $1
"""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the log is sealed.

    ``sealed`` is the last checkpoint (``None``: none was published); ``lag`` counts the events that came after it, since
    ``unsealed_since``; ``halt`` says why it stands still. ``vkey`` is ``None`` while nobody has a key.
    """

    origin: str
    vkey: str | None
    sealed: Sealed | None
    lag: int
    unsealed_since: datetime | None
    is_held: bool
    halt: Halt | None

    def seal_age(self, now: datetime) -> float:
        """Say for how many seconds the oldest event that is not sealed has waited; 0 where there is none."""
        return seal_age(self.unsealed_since, now)


class Notary:
    """What goes on about sealing, in this process or another; ``sealer`` is ``None`` where this one does not seal."""

    def __init__(self, ledger: Ledger, *, origin: str, sealer: Sealer | None = None) -> None:
        """Prepare to hear of it; make it before the ledger is started."""
        self.sealed = Bell()
        self.origin = origin
        self.sealer = sealer
        self.patrol = None if sealer is None else Patrol(ledger)
        self.halt: Halt | None = None
        """Why nothing is sealed, as it was last heard of; ``None``: all is well, as far as is known."""
        self._unsealed_since: datetime | None = None
        self.forked = frozenset[str]()
        """Which witnesses have seen a history that this database does not hold, by the names of their rows."""
        self._ledger = ledger
        self._hearsay = Hearsay(ledger.ledger_id)
        ledger.signals.on(SEALED_CHANNEL, self.sealed.ring)
        ledger.signals.on(TAMPERED_CHANNEL, self._hearsay.hear)

    async def status(self) -> Status:
        """Ask the database.

        Raises:
            DatabaseUnreachable: it does not answer.
        """
        async with reading(self._ledger.pool) as conn:
            return await status_of(conn, self._ledger.ledger_id, self.origin)

    def is_tampered(self) -> bool:
        """Say whether a patrol, here or in another process, knows of events that are not what was sealed."""
        return bool(self.patrol is not None and self.patrol.findings) or self._hearsay.is_tampered()

    def is_late(self, now: datetime) -> bool:
        """Say whether events wait to be sealed for longer than they should, as was last heard."""
        return seal_age(self._unsealed_since, now) > LATE_SECONDS

    async def run_forever(self) -> None:
        """Keep ``halt``, ``forked`` and what waits as they are, until cancelled; a database that is away delays."""
        while True:
            rings = self.sealed.rings()
            try:
                async with reading(self._ledger.pool) as conn:
                    found = await status_of(conn, self._ledger.ledger_id, self.origin)
                    self.forked = await forked(conn, self._ledger.ledger_id)
            except (*LOST, asyncpg.PostgresError, Unavailable) as lost:
                log.warning("notary.standing.lost", error=type(lost).__name__)
            else:
                self.halt, self._unsealed_since = found.halt, found.unsealed_since
            await self.sealed.wait_past(rings, LOOK_EVERY)


def default_origin(ledger: Ledger) -> str:
    """Name the log of a ledger that was given no name; says nothing about anything in it."""
    return f"ledger.invalid/{ledger.notary_id()}"


def seal_age(since: datetime | None, now: datetime) -> float:
    """Count the seconds from ``since``, the moment of the oldest event that is not sealed; 0 where there is none."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


async def status_of(conn: Connection, ledger_id: int, origin: str) -> Status:
    """Put together how a log stands that is called ``origin`` unless it has been sealed under another name."""
    standing = await read_standing(conn, ledger_id)
    sealed = await last_checkpoint(conn, ledger_id)
    row = await conn.fetchrow(UNSEALED, ledger_id, 0 if sealed is None else sealed.size)
    known = standing or Standing(origin=origin, vkey=None, is_held=False, halt=None)
    return Status(
        origin=known.origin,
        vkey=known.vkey,
        sealed=sealed,
        lag=0 if row is None else row["lag"],
        unsealed_since=None if row is None else row["since"],
        is_held=known.is_held,
        halt=known.halt,
    )

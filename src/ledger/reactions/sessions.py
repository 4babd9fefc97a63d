"""Sessions that nobody ended: past a limit, or left behind by a crash. A sweep writes their end into the log.

Any number of processes may sweep at once: what they write has the same ids, so it is written once.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import handle
from ledger.domain.errors import Corrupt, LedgerError
from ledger.domain.ids import PersonId
from ledger.domain.session.commands import ExpireSession
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import ExpiryCause
from ledger.identity import factor_rows, instance_rows, limited_rows, refresh_rows, session_rows
from ledger.identity.ending import revoke_lapsed, unasked
from ledger.identity.identity import Identity
from ledger.identity.session_rows import OpenRow
from ledger.reactions.sweeping import sweep_forever
from ledger.store.clocks import slower
from ledger.store.ledger import session_stream
from ledger.store.pool import Connection

log = structlog.get_logger()

SWEEP_SECONDS: Final = 30.0
PAGE: Final = 200
AT_MOST: Final = 1_000
"""How many sessions one sweep expires; what is left waits for the next."""
BEFORE_ANYBODY: Final = PersonId(UUID(int=0))


class _UsedMeanwhile(LedgerError):
    """The session was used after it had been found idle."""


async def run_forever(identity: Identity, *, every: float = SWEEP_SECONDS) -> None:
    """Sweep every so many seconds until cancelled.

    What has run out has done so by two clocks: one that leaps ahead must not end what nobody can open again.
    """

    async def once() -> None:
        await sweep(identity, await slower(identity.ledger, identity.clock))

    await sweep_forever(once, every=every, failed="sessions.sweep.failed")


async def sweep(identity: Identity, now: datetime | None = None) -> None:
    """Expire what has run out by ``now``, record what accounts no longer keep, forget rows that are good for nothing,
    and seal second factors anew whose key is a previous one.

    Raises:
        Unavailable: the database cannot be reached.
    """
    ledger, now = identity.ledger, now or identity.clock()
    await _expire_overdue(identity, now)
    await _revoke_lapsed(identity)
    await refresh_rows.forget(ledger.pool, ledger.ledger_id, now)
    await limited_rows.forget(ledger.pool, ledger.ledger_id, now)
    await session_rows.forget(ledger.pool, ledger.ledger_id, now)
    await instance_rows.bury(ledger.pool, ledger.ledger_id)
    unreadable = await factor_rows.reseal(ledger.pool, ledger.ledger_id, identity.factor_keys, PAGE)
    if unreadable:
        log.warning("second_factors.unreadable", count=unreadable)


async def _expire_overdue(identity: Identity, now: datetime) -> None:
    ledger = identity.ledger
    for row in await session_rows.overdue(ledger.pool, ledger.ledger_id, now, AT_MOST):
        try:
            await _expire(identity, row, now)
        except Corrupt as broken:  # one unreadable session must not keep the others open
            log.warning("session.expiry.failed", session=row.session, code=broken.code)


async def _expire(identity: Identity, row: OpenRow, now: datetime) -> None:
    """Expire one session, unless it is used while this happens."""
    ledger = identity.ledger
    cause = ExpiryCause.ABSOLUTE if now >= row.expires_at else ExpiryCause.IDLE

    def build(facts: Facts) -> ExpireSession:
        return ExpireSession(now=facts.now, cause=cause, last_seen=row.last_seen)

    async def close_row(conn: Connection) -> None:
        if not await session_rows.close_unused(
            conn, ledger.ledger_id, row.session, now=now, last_seen=row.last_seen
        ):
            raise _UsedMeanwhile(session=row.session)

    try:
        handled = await handle(
            ledger,
            CommandContext(
                decider=SESSION,
                target=session_stream(row.session),
                clock=lambda: now,
                provenance=unasked(row.session, "expired"),
            ),
            build,
            alongside=close_row,
        )
    except _UsedMeanwhile:
        return
    if not handled.events:  # it ended before, and the row was left open
        await session_rows.close(ledger.pool, ledger.ledger_id, [row.session], now)


async def _revoke_lapsed(identity: Identity) -> None:
    ledger = identity.ledger
    after = BEFORE_ANYBODY
    while people := await session_rows.people_logged_in(
        ledger.pool, ledger.ledger_id, after=after, limit=PAGE
    ):
        await revoke_lapsed(identity, people)
        after = people[-1]

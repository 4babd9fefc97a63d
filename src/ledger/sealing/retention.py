"""Old checkpoints are thinned out: all of the last hour stay, then a few of every minute, after a day of every hour.

Theory. Tiles stay for ever, so a log of any size can still be proven, and any two checkpoints that anybody kept be
compared: what goes are rows that nobody would be shown again. One while (a minute, an hour) is thinned in one
transaction, and what stays is marked. What may still be chosen is not marked, and looked at again when it may not.
"""

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
import structlog
from uuid_utils.compat import uuid7

from ledger.domain.errors import LedgerError
from ledger.identity.identity import writing
from ledger.sealing import partners
from ledger.sealing.rows import FOR_GOOD
from ledger.sealing.thinning import Candidate, Signed, dispensable, signed_by
from ledger.store.clocks import slower
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, Connection, reading

log = structlog.get_logger()

ERRAND: Final = "retention"
SWEEP_SECONDS: Final = 30.0
LEASE_SECONDS: Final = 120.0
WHILES_AT_ONCE: Final = 120
"""Minutes, or hours, that one sweep thins at most: an hour's arrears are gone in half a minute."""
KEPT_WHOLE: Final = timedelta(hours=1)
KEPT_BY_MINUTE: Final = timedelta(days=1)
LATELY: Final = 1_024
"""Cosignatures whose checkpoints stay: more than anybody looks back for a proof (256), or for a quorum (64 a witness)."""
START: Final = datetime(1970, 1, 1, tzinfo=UTC)

# What somebody may choose, or may have chosen within the hour: the checkpoints of the last cosignatures, of every key the
# last one and what came after it, and that which was the last of all at a moment.
# $1 ledger, $2 moment, $3 so many cosignatures
STILL_CHOSEN: Final = """
with recursive witness as (
    (select name, key_id from work.notary_cosignatures where ledger_id = $1 order by name, key_id limit 1)
    union all
    select later.name, later.key_id from witness cross join lateral (
        select s.name, s.key_id from work.notary_cosignatures s
        where s.ledger_id = $1 and (s.name, s.key_id) > (witness.name, witness.key_id)
        order by s.name, s.key_id limit 1
    ) later
), newest as (
    select last.size from witness cross join lateral (
        select s.size from work.notary_cosignatures s
        where s.ledger_id = $1 and s.name = witness.name and s.key_id = witness.key_id
        order by s.size desc limit 1
    ) last
)
select size from newest
union all
select behind.size from newest cross join lateral (
    select c.size from work.notary_checkpoints c
    where c.ledger_id = $1 and c.size > newest.size and c.published_at is not null
    order by c.size limit 1
) behind
union all
(select size from work.notary_cosignatures where ledger_id = $1 order by size desc limit $3)
union all
(select size from work.notary_checkpoints
 where ledger_id = $1 and sealed_at < $2 and published_at is not null order by size desc limit 1)
"""
# $1 ledger, $2 those that were kept of so much, $3 sealed before, $4 but not these sizes
OLDEST: Final = """
select sealed_at from work.notary_checkpoints
where ledger_id = $1 and kept_of = $2 and sealed_at < $3 and published_at is not null and size <> all($4::bigint[])
order by sealed_at limit 1
"""
# $1 ledger, $2 sealed at or after, $3 sealed before
OF_A_WHILE: Final = """
select c.size, c.note, c.kept_of,
       (select count(*) from work.notary_cosignatures s where s.ledger_id = $1 and s.size = c.size) as cosigned,
       exists (select from work.notary_timestamps t where t.ledger_id = $1 and t.size = c.size) as is_stamped
from work.notary_checkpoints c
where c.ledger_id = $1 and c.kept_of = any('{0,1,2}') and c.sealed_at >= $2 and c.sealed_at < $3
  and c.published_at is not null
order by c.size
"""
# $1 ledger, $2 the smallest size of a while, $3 its largest
NEIGHBOURS: Final = """
select (select note from work.notary_checkpoints
        where ledger_id = $1 and size < $2 and published_at is not null order by size desc limit 1) as before,
       (select note from work.notary_checkpoints
        where ledger_id = $1 and size > $3 and published_at is not null order by size limit 1) as after
"""
# Somebody may have marked one meanwhile, to keep it for good.
# $1 ledger, $2 sizes, $3 marked as kept for good
FORGET: Final = """
with gone as (
    delete from work.notary_checkpoints where ledger_id = $1 and size = any($2::bigint[]) and kept_of < $3
    returning size
)
delete from work.notary_cosignatures c using gone where c.ledger_id = $1 and c.size = gone.size
"""
# $1 ledger, $2 sizes, $3 of what they are what is left
MARK: Final = """
update work.notary_checkpoints set kept_of = $3
where ledger_id = $1 and size = any($2::bigint[]) and kept_of < $3
"""


class _Step(msgspec.Struct, frozen=True, kw_only=True):
    """What is older than ``after`` is thinned ``each`` while at a time, and marked as ``kept_of`` so much."""

    kept_of: int
    each: timedelta
    after: timedelta

    def begin_of(self, moment: datetime) -> datetime:
        """Say when the while began that a moment belongs to."""
        return moment - (moment - START) % self.each


STEPS: Final = (
    _Step(kept_of=1, each=timedelta(minutes=1), after=KEPT_WHOLE),
    _Step(kept_of=FOR_GOOD, each=timedelta(hours=1), after=KEPT_BY_MINUTE),
)


async def run_forever(ledger: Ledger, clock: Callable[[], datetime], *, every: float = SWEEP_SECONDS) -> None:
    """Sweep every so many seconds until cancelled, in one process at a time.

    A sweep that fails is logged, and the next one goes on where it ended. What is old is so by two clocks.
    """
    owner: UUID = uuid7()
    try:
        while True:
            try:
                await sweep_in_turn(ledger, owner, await slower(ledger, clock))
            except (*LOST, asyncpg.PostgresError, LedgerError) as failed:
                log.warning("checkpoints.sweep.failed", error=type(failed).__name__)
            await asyncio.sleep(every)
    finally:
        with suppress(*LOST, asyncpg.PostgresError, LedgerError):
            await partners.give_back(ledger.pool, ledger.ledger_id, ERRAND, owner)


async def sweep_in_turn(ledger: Ledger, owner: UUID, now: datetime) -> bool:
    """Sweep, unless it is another process's errand; say whether it was one's own.

    Raises:
        Unavailable: the database cannot be reached.
    """
    if not await partners.claim(ledger.pool, ledger.ledger_id, ERRAND, owner, seconds=LEASE_SECONDS):
        return False
    await sweep(ledger, now)
    return True


async def sweep(
    ledger: Ledger, now: datetime, *, at_once: int = WHILES_AT_ONCE, lately: int = LATELY
) -> bool:
    """Thin out what has become old at ``now``, at most so many whiles; say whether that was all.

    Checkpoints of the last ``lately`` cosignatures stay.

    Raises:
        Unavailable: the database cannot be reached.
    """
    async with reading(ledger.pool) as conn:
        rows = await conn.fetch(STILL_CHOSEN, ledger.ledger_id, now - KEPT_WHOLE, lately)
    chosen = frozenset[int](row["size"] for row in rows)
    for step in STEPS:
        while await _thin_oldest(ledger, step, now, chosen):
            at_once -= 1
            if not at_once:
                return False
    return True


async def _thin_oldest(ledger: Ledger, step: _Step, now: datetime, chosen: AbstractSet[int]) -> bool:
    """Thin the oldest while that has more to it than what is ``chosen``; ``False``: there is none."""
    ledger_id, until = ledger.ledger_id, step.begin_of(now - step.after)
    async with writing(ledger.pool) as conn:
        oldest = await conn.fetchval(OLDEST, ledger_id, step.kept_of - 1, until, list(chosen))
        if oldest is None:
            return False
        begin = step.begin_of(oldest)
        several = await _candidates(conn, ledger_id, begin, begin + step.each, chosen)
        beside = await conn.fetchrow(NEIGHBOURS, ledger_id, several[0].size, several[-1].size)
        before, after = (None, None) if beside is None else (beside["before"], beside["after"])
        goes = dispensable(several, before=_signed(before), after=_signed(after))
        await conn.execute(FORGET, ledger_id, goes, FOR_GOOD)
        await conn.execute(
            MARK, ledger_id, [one.size for one in several if one.size not in chosen], step.kept_of
        )
    return True


async def _candidates(
    conn: Connection, ledger_id: int, begin: datetime, end: datetime, chosen: AbstractSet[int]
) -> list[Candidate]:
    return [
        Candidate(
            size=row["size"],
            signed=signed_by(row["note"]),
            cosigned=row["cosigned"],
            is_held=row["is_stamped"] or row["kept_of"] == FOR_GOOD or row["size"] in chosen,
        )
        for row in await conn.fetch(OF_A_WHILE, ledger_id, begin, end)
    ]


def _signed(note: str | None) -> Signed | None:
    return None if note is None else signed_by(note)

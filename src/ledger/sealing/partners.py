"""Who outside is asked what by which process, and how it goes with each: rows that every process can read."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from ledger.store.pool import Connection, Pool, reading

# A lease that nobody can have taken was left by a clock that leapt, or by somebody's hand.
# $1 ledger, $2 errand, $3 owner, $4 seconds
CLAIM: Final = """
insert into work.notary_errands (ledger_id, errand, owner, leased_until)
values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
on conflict (ledger_id, errand) do update set owner = excluded.owner, leased_until = excluded.leased_until
where notary_errands.owner = excluded.owner or notary_errands.leased_until < clock_timestamp()
   or notary_errands.leased_until > clock_timestamp() + 10 * make_interval(secs => $4)
returning errand
"""
# $1 ledger, $2 errand, $3 owner
GIVE_BACK: Final = """
delete from work.notary_errands where ledger_id = $1 and errand = $2 and owner = $3
"""
# $1 ledger, $2 partner, $3 now
SUCCEEDED: Final = """
insert into work.notary_partners (ledger_id, partner, tried_at, failures) values ($1, $2, $3, 0)
on conflict (ledger_id, partner) do update
set tried_at = excluded.tried_at, failures = 0, problem = null, forked_at = null, forked_size = null
"""
# $1 ledger, $2 partner, $3 now, $4 problem, $5 size of a history that is not ours; null: nothing was said of one
FAILED: Final = """
insert into work.notary_partners as p (ledger_id, partner, tried_at, failures, problem, forked_at, forked_size)
values ($1, $2, $3, 1, $4, case when $5::bigint is not null then $3::timestamptz end, $5)
on conflict (ledger_id, partner) do update
set tried_at = excluded.tried_at, failures = least(p.failures + 1, 1000000), problem = excluded.problem,
    forked_at = coalesce(p.forked_at, excluded.forked_at), forked_size = coalesce(p.forked_size, excluded.forked_size)
"""
# $1 ledger, $2 partners
STANDINGS: Final = """
select partner, tried_at, failures, problem, forked_at, forked_size from work.notary_partners
where ledger_id = $1 and partner = any($2::text[])
"""
# $1 ledger
FORKED: Final = "select partner from work.notary_partners where ledger_id = $1 and forked_at is not null"


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """How it goes with one of them; ``problem``: what went wrong last (``None``: it did as asked).

    ``forked_at`` and ``forked_size``: since when a witness has seen a history that this database does not hold, and how
    long that one was (``None``: it has not).
    """

    partner: str
    tried_at: datetime
    failures: int
    problem: str | None
    forked_at: datetime | None
    forked_size: int | None


async def claim(pool: Pool, ledger_id: int, errand: str, owner: UUID, *, seconds: float) -> bool:
    """Take an errand for so many seconds, or keep it; ``False``: another process has it.

    The lease spares two processes the same work, no more: what both do is the same.
    """
    async with reading(pool) as conn:
        return await conn.fetchval(CLAIM, ledger_id, errand, owner, seconds) is not None


async def give_back(pool: Pool, ledger_id: int, errand: str, owner: UUID) -> None:
    """Let another process have an errand at once."""
    async with reading(pool) as conn:
        await conn.execute(GIVE_BACK, ledger_id, errand, owner)


async def succeeded(conn: Connection, ledger_id: int, partner: str, now: datetime) -> None:
    """Write down that somebody did as asked; nothing stands against them any more."""
    await conn.execute(SUCCEEDED, ledger_id, partner, now)


async def failed(
    pool: Pool, ledger_id: int, partner: str, now: datetime, *, problem: str, forked_size: int | None = None
) -> None:
    """Write down that somebody did not; a fork that was reported stays until they do."""
    async with reading(pool) as conn:
        await conn.execute(FAILED, ledger_id, partner, now, problem, forked_size)


async def standings(conn: Connection, ledger_id: int, names: list[str]) -> dict[str, Partner]:
    """Read how it goes with those who were asked before."""
    rows = await conn.fetch(STANDINGS, ledger_id, names)
    found = (
        Partner(
            partner=row["partner"],
            tried_at=row["tried_at"],
            failures=row["failures"],
            problem=row["problem"],
            forked_at=row["forked_at"],
            forked_size=row["forked_size"],
        )
        for row in rows
    )
    return {partner.partner: partner for partner in found}


async def forked(conn: Connection, ledger_id: int) -> frozenset[str]:
    """Name those who have seen a history that this database does not hold."""
    return frozenset(row["partner"] for row in await conn.fetch(FORKED, ledger_id))

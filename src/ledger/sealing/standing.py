"""Who seals, and how it stands: one row, leased to one process at a time."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from ledger.domain.errors import LedgerError
from ledger.sealing.rows import SEALED_CHANNEL
from ledger.store.pool import Connection

LEASE_SECONDS: Final = 3.0
MOST_CHARACTERS: Final = 1_000

# A lease that nobody can have taken was left by a clock that leapt, or by somebody's hand: it would end sealing without a word.
# $1 ledger, $2 owner, $3 seconds, $4 origin
CLAIM: Final = """
insert into work.notary_standing (ledger_id, owner, until, origin)
values ($1, $2, clock_timestamp() + make_interval(secs => $3), $4)
on conflict (ledger_id) do update
set owner = excluded.owner, until = excluded.until, origin = excluded.origin
where notary_standing.owner = excluded.owner or notary_standing.until < clock_timestamp()
   or notary_standing.until > clock_timestamp() + 10 * make_interval(secs => $3)
returning ledger_id
"""
# $1 ledger, $2 owner, $3 seconds
HOLD: Final = """
update work.notary_standing set until = clock_timestamp() + make_interval(secs => $3)
where ledger_id = $1 and owner = $2
returning ledger_id
"""
# $1 ledger, $2 owner
RELEASE: Final = (
    "update work.notary_standing set until = clock_timestamp() where ledger_id = $1 and owner = $2"
)
# $1 ledger, $2 owner, $3 vkey, $4 code, $5 why, $6 channel
REPORT: Final = """
with reported as (
    update work.notary_standing
    set vkey = $3, halted = $4, halted_because = $5,
        halted_since = case when $4::text is not null then coalesce(halted_since, clock_timestamp()) end
    where ledger_id = $1 and owner = $2
      and (vkey, halted, halted_because) is distinct from ($3::text, $4::text, $5::text)
    returning ledger_id
)
select count(pg_notify($6, ledger_id::text)) from reported
"""
# $1 ledger, $2 seconds of a lease
STANDING: Final = """
select origin, vkey, halted, halted_because, halted_since,
       until between clock_timestamp() and clock_timestamp() + 10 * make_interval(secs => $2) as is_held
from work.notary_standing where ledger_id = $1
"""


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is sealed: the code, the same in words, and since when."""

    code: str
    because: str
    since: datetime


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Under which name the log is sealed, with which key (``None``: without any), and whether somebody does it."""

    origin: str
    vkey: str | None
    is_held: bool
    halt: Halt | None


async def claim(conn: Connection, ledger_id: int, owner: UUID, origin: str) -> bool:
    """Take or renew the lease; ``False``: another process has it."""
    return await conn.fetchval(CLAIM, ledger_id, owner, LEASE_SECONDS, origin) is not None


async def hold(conn: Connection, ledger_id: int, owner: UUID) -> bool:
    """Keep everybody else from sealing until the caller's transaction ends; ``False``: the lease is another's."""
    return await conn.fetchval(HOLD, ledger_id, owner, LEASE_SECONDS) is not None


async def release(conn: Connection, ledger_id: int, owner: UUID) -> None:
    """Let another process take over at once."""
    await conn.execute(RELEASE, ledger_id, owner)


async def report(
    conn: Connection, ledger_id: int, owner: UUID, *, vkey: str | None, halted: LedgerError | None
) -> None:
    """Say with which key the lease's owner signs, or why it does not; whoever waits is told of a change."""
    code = None if halted is None else halted.code
    because = None if halted is None else str(halted)[:MOST_CHARACTERS]
    await conn.execute(REPORT, ledger_id, owner, vkey, code, because, SEALED_CHANNEL)


async def read_standing(conn: Connection, ledger_id: int) -> Standing | None:
    """Read how it stands; ``None``: nobody ever sealed."""
    row = await conn.fetchrow(STANDING, ledger_id, LEASE_SECONDS)
    if row is None:
        return None
    halt = None
    if row["halted"] is not None:
        halt = Halt(code=row["halted"], because=row["halted_because"], since=row["halted_since"])
    return Standing(origin=row["origin"], vkey=row["vkey"], is_held=row["is_held"], halt=halt)

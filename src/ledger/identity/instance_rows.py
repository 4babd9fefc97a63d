"""Which instances are alive, and how far each has followed the log."""

from typing import Final
from uuid import UUID

from ledger.domain.ids import Position
from ledger.store.pool import Connection, Pool, reading

FOLLOWED_CHANNEL: Final = "ledger_followed"
LIVE_SECONDS: Final = 3
"""An instance trusts what it holds for one second after it last wrote its row; beyond three it is not waited for."""
BURY_SECONDS: Final = 3600

# $1 ledger, $2 instance, $3 position, $4 channel
TELL: Final = """
with told as (
    insert into work.instances (ledger_id, instance_id, position, seen_at)
    values ($1, $2, $3, clock_timestamp())
    on conflict (ledger_id, instance_id) do update
    set position = excluded.position, seen_at = excluded.seen_at
    returning ledger_id, instance_id, position
)
select pg_notify($4, format('%s %s %s', ledger_id, instance_id, position)) is not null from told
"""
# $1 ledger, $2 seconds since it was last seen
LIVE: Final = """
select instance_id, position from work.instances
where ledger_id = $1 and seen_at > clock_timestamp() - make_interval(secs => $2)
"""
# $1 ledger, $2 instance
LEAVE: Final = "delete from work.instances where ledger_id = $1 and instance_id = $2"
# $1 ledger, $2 seconds since it was last seen
BURY: Final = """
delete from work.instances where ledger_id = $1 and seen_at < clock_timestamp() - make_interval(secs => $2)
"""


async def tell(conn: Connection, ledger_id: int, instance: UUID, position: Position) -> None:
    """Note that an instance lives and has followed up to ``position``, and tell whoever waits for that."""
    await conn.execute(TELL, ledger_id, instance, position, FOLLOWED_CHANNEL)


async def live(pool: Pool, ledger_id: int) -> dict[UUID, Position]:
    """List the instances that live, and how far each has come."""
    async with reading(pool) as conn:
        rows = await conn.fetch(LIVE, ledger_id, LIVE_SECONDS)
    return {row["instance_id"]: Position(row["position"]) for row in rows}


async def leave(pool: Pool, ledger_id: int, instance: UUID) -> None:
    """Forget an instance that stops."""
    async with reading(pool) as conn:
        await conn.execute(LEAVE, ledger_id, instance)


async def bury(pool: Pool, ledger_id: int) -> None:
    """Forget the instances that died long ago."""
    async with reading(pool) as conn:
        await conn.execute(BURY, ledger_id, BURY_SECONDS)

"""Limited tokens that have completed a login: each does so once."""

from datetime import datetime
from typing import Final

from ledger.identity.identity import writing
from ledger.store.pool import Connection, Pool, reading

# $1 ledger, $2 token id
IS_USED: Final = "select exists (select from work.used_limited_tokens where ledger_id = $1 and token_id = $2)"
# $1 ledger, $2 token id, $3 expires at
USE: Final = """
insert into work.used_limited_tokens (ledger_id, token_id, expires_at) values ($1, $2, $3)
on conflict (ledger_id, token_id) do nothing
returning token_id
"""
# $1 ledger, $2 expired before this moment
FORGET: Final = "delete from work.used_limited_tokens where ledger_id = $1 and expires_at < $2"


async def is_used(pool: Pool, ledger_id: int, token_id: str) -> bool:
    """Tell whether a token has completed a login."""
    async with reading(pool) as conn:
        return bool(await conn.fetchval(IS_USED, ledger_id, token_id))


async def use(conn: Connection, ledger_id: int, token_id: str, expires_at: datetime) -> bool:
    """Use a token up, in the transaction of the login it completes; ``False``: it was used already."""
    return await conn.fetchval(USE, ledger_id, token_id, expires_at) is not None


async def forget(pool: Pool, ledger_id: int, before: datetime) -> None:
    """Forget the tokens that expired before this moment: they are good for nothing anyway."""
    async with writing(pool) as conn:
        await conn.execute(FORGET, ledger_id, before)

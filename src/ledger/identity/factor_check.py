"""Whether the keys at hand still open what was sealed: asked at every start, and by the operator's doctor."""

from collections.abc import Sequence
from typing import Final

from ledger.identity.keys import Keyring
from ledger.store.pool import Connection

FACTOR_PURPOSE: Final = "second-factor"

# $1 ledger
SEALED: Final = """
select key_id, count(*) as factors from work.second_factors
where ledger_id = $1 and enabled_at is not null
group by key_id
"""


async def count_unreadable(conn: Connection, ledger_id: int, secret_keys: Sequence[str]) -> int:
    """Count the enabled second factors that none of ``secret_keys`` opens: their people cannot log in any more."""
    keys = Keyring(secret_keys, FACTOR_PURPOSE)
    rows = await conn.fetch(SEALED, ledger_id)
    return sum(int(row["factors"]) for row in rows if keys.find(row["key_id"]) is None)

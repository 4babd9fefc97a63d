"""What a login can tell about its database: version, rights, clock; for the operator's doctor."""

from datetime import datetime
from typing import Final

import msgspec

from ledger.store.pool import DirectConnection

# no binds
RIGHTS: Final = """
select current_user::text as role,
       (select rolsuper from pg_roles where rolname = current_user) as is_superuser,
       (select pg_has_role(c.relowner, 'member') from pg_class c where c.oid = to_regclass('ledger.events')) as is_owner,
       has_table_privilege('ledger.events', 'insert, update, delete, truncate') as may_write
"""
# no binds
CLOCK: Final = "select clock_timestamp()"
# no binds
VERSION: Final = "show server_version"


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What a login may do to the log beside appending to it."""

    role: str
    is_superuser: bool
    is_owner: bool
    may_write: bool


async def version_of(conn: DirectConnection) -> str:
    """Name the server's version."""
    return str(await conn.fetchval(VERSION))


async def clock_of(conn: DirectConnection) -> datetime:
    """Read the server's clock."""
    there: datetime = await conn.fetchval(CLOCK)
    return there


async def rights_of(conn: DirectConnection) -> Rights | None:
    """Tell what this login may do to the log; ``None``: the server does not say."""
    row = await conn.fetchrow(RIGHTS)
    if row is None:
        return None
    return Rights(
        role=row["role"],
        is_superuser=bool(row["is_superuser"]),
        is_owner=bool(row["is_owner"]),
        may_write=bool(row["may_write"]),
    )

"""User names in messages that wait, or were given up: a person who is erased is named in none of them."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from ledger.delivery.notices import Notice
from ledger.identity import people
from ledger.identity.people import ERASED
from ledger.store.pool import Connection

# $1 ledger, $2 how the name stands in a body, $3 what stands there instead
UNNAME: Final = """
update work.webhook_messages set body = convert_to(replace(convert_from(body, 'UTF8'), $2, $3), 'UTF8')
where ledger_id = $1 and body is not null and position($2 in convert_from(body, 'UTF8')) > 0
"""


async def unname(conn: Connection, ledger_id: int, username: str) -> int:
    """Have every message that is kept say ``erased`` instead of this name; say how many did name it.

    A receiver that had it before keeps what it has.
    """
    done = await conn.execute(UNNAME, ledger_id, _by(username), _by(ERASED))
    return int(done.rpartition(" ")[2])


async def named_still(conn: Connection, ledger_id: int, notices: Sequence[Notice]) -> tuple[Notice, ...]:
    """Leave out the names of those who have been erased since the notices were read; the rest wait to be erased.

    So a name is either written before its person is erased, and found then, or not at all.
    """
    told = sorted({by for notice in notices if (by := notice.told.by) is not None and by != ERASED})
    there = await people.hold_names(conn, ledger_id, told) if told else frozenset[str]()
    return tuple(_named(notice, there) for notice in notices)


def _named(notice: Notice, there: frozenset[str]) -> Notice:
    if notice.told.by is None or notice.told.by in there:
        return notice
    return replace(notice, told=replace(notice.told, by=ERASED))


def _by(name: str) -> str:
    """Write the field as it stands in a body: nowhere else do these quotes come unescaped."""
    return f'"by":{msgspec.json.encode(name).decode()}'

"""The log as the notary reads it: the stored bytes of every event, in order, hashed by itself."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.sealing.halting import LeafDiffers, PositionMissing
from ledger.sealing.tree import leaf_hash
from ledger.store.pool import Connection

# $1 ledger, $2 after this position, $3 at most so many
READ_LEAVES: Final = """
select position, envelope, leaf_hash from ledger.events
where ledger_id = $1 and position > $2
order by position limit $3
"""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event, as it is hashed, and the hash that the database says it has."""

    position: int
    envelope: bytes
    leaf_hash: bytes


async def read_entries(conn: Connection, ledger_id: int, *, after: int, limit: int) -> list[Entry]:
    """Read the next entries behind a position."""
    rows = await conn.fetch(READ_LEAVES, ledger_id, after, limit)
    return [Entry(row["position"], row["envelope"], row["leaf_hash"]) for row in rows]


def leaves_of(entries: Sequence[Entry], *, after: int) -> list[bytes]:
    """Hash entries that follow a position.

    Raises:
        PositionMissing: they do not follow one upon the other.
        LeafDiffers: the database has another hash of one.
    """
    leaves = []
    for expected, entry in enumerate(entries, after + 1):
        if entry.position != expected:
            raise PositionMissing(position=expected, found=entry.position)
        leaf = leaf_hash(entry.envelope)
        if leaf != entry.leaf_hash:
            raise LeafDiffers(position=expected)
        leaves.append(leaf)
    return leaves

"""A log that is sealed at once, up to where it is: what the notary does, in a few lines and by the definition."""

from datetime import UTC, datetime
from typing import Final

from ledger.sealing import rows
from ledger.sealing.notes import Checkpoint, Signer
from ledger.sealing.rows import Sealed
from ledger.sealing.tree import FULL_WIDTH, HASH_BYTES, Tile, fold, root, root_tiles
from ledger.store.ledger import Ledger

ORIGIN: Final = "ledger.example/tests"
SIGNER: Final = Signer(ORIGIN, bytes(range(32)))

# $1 ledger, $2 to this position
LEAVES: Final = """
select string_agg(leaf_hash, ''::bytea order by position) from ledger.events where ledger_id = $1 and position <= $2
"""


async def seal(ledger: Ledger, size: int | None = None) -> Sealed:
    """Seal the log, or its first ``size`` events, and let everybody see it."""
    size = await ledger.head() if size is None else size
    async with ledger.pool.acquire() as conn:
        leaves = await conn.fetchval(LEAVES, ledger.ledger_id, size)
        tiles = tiles_over(leaves)
        await rows.write_tiles(conn, ledger.ledger_id, {(t.level, t.index): h for t, h in tiles.items()})
        found = {tile: tiles[tile] for tile in root_tiles(size)}
        checkpoint = Checkpoint(origin=ORIGIN, size=size, root=root(size, found))
        note = checkpoint.signed_by([SIGNER])
        sealed = Sealed(size=size, root=checkpoint.root, note=note, sealed_at=datetime.now(UTC))
        await rows.write_checkpoint(conn, ledger.ledger_id, sealed)
        await rows.publish(conn, ledger.ledger_id, size, note)
    return sealed


def tiles_over(leaves: bytes) -> dict[Tile, bytes]:
    """Cut leaves into tiles, and put tiles over those, until there is one."""
    found, level, row, wide = dict[Tile, bytes](), 0, leaves, FULL_WIDTH * HASH_BYTES
    while row:
        cut = [row[at : at + wide] for at in range(0, len(row), wide)]
        found |= {Tile(level, index, len(h) // HASH_BYTES): h for index, h in enumerate(cut)}
        row = b"".join(fold(hashes) for hashes in cut if len(hashes) == wide)
        level += 1
    return found

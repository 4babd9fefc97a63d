"""Tiles and checkpoints as they lie in the database.

Readers see what was published: what is sealed and not yet in the guard's hands may turn out to be forgotten (ADR 0025).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from ledger.sealing.tree import HASH_BYTES, Tile, TileMissing, tile_path
from ledger.store.pool import Connection

SEALED_CHANNEL: Final = "ledger_sealed"
"""Told after every checkpoint that was published, and when sealing halts or goes on."""
FOR_GOOD: Final = 2
"""Marks a checkpoint that no sweep ever looks at again."""

# $1 ledger, arrays: $2 levels, $3 indexes
READ_TILES: Final = """
select t.level, t.tile, t.hashes
from unnest($2::smallint[], $3::bigint[]) as asked(level, tile)
join work.notary_tiles t on t.ledger_id = $1 and t.level = asked.level and t.tile = asked.tile
"""
# $1 ledger
LAST_CHECKPOINT: Final = """
select size, root, note, sealed_at from work.notary_checkpoints
where ledger_id = $1 and published_at is not null
order by size desc limit 1
"""
# $1 ledger
LAST_SEALED: Final = """
select size, root, note, sealed_at from work.notary_checkpoints
where ledger_id = $1
order by size desc limit 1
"""
# $1 ledger, $2 size
CHECKPOINT_OF: Final = """
select size, root, note, sealed_at from work.notary_checkpoints
where ledger_id = $1 and size = $2 and published_at is not null
"""
# $1 ledger, $2 this size or the next larger ones, $3 at most so many
CHECKPOINTS_FROM: Final = """
select size, root, note, sealed_at from work.notary_checkpoints
where ledger_id = $1 and size >= $2 and published_at is not null
order by size limit $3
"""
# $1 ledger, arrays: $2 levels, $3 indexes, $4 hashes
WRITE_TILES: Final = """
insert into work.notary_tiles (ledger_id, level, tile, hashes)
select $1, t.level, t.tile, t.hashes
from unnest($2::smallint[], $3::bigint[], $4::bytea[]) as t(level, tile, hashes)
on conflict (ledger_id, level, tile) do update set hashes = excluded.hashes
"""
# $1 ledger, $2 size, $3 root, $4 note, $5 moment
WRITE_CHECKPOINT: Final = """
insert into work.notary_checkpoints (ledger_id, size, root, note, sealed_at) values ($1, $2, $3, $4, $5)
"""
# $1 ledger, $2 size, $3 note
SIGN_ANEW: Final = "update work.notary_checkpoints set note = $3 where ledger_id = $1 and size = $2"
# $1 ledger, $2 size, $3 note, $4 channel
PUBLISH: Final = """
with published as (
    update work.notary_checkpoints set published_at = clock_timestamp(), note = $3
    where ledger_id = $1 and size = $2 and (published_at is null or note <> $3)
    returning size
)
select count(pg_notify($4, $1::integer::text)) from published
"""
# $1 ledger, $2 size, $3 the mark
KEEP_FOR_GOOD: Final = """
update work.notary_checkpoints set kept_of = $3 where ledger_id = $1 and size = $2 and kept_of < $3
"""


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint: the tree of the first ``size`` events, its root, and the note that the log signed over it."""

    size: int
    root: bytes
    note: str
    sealed_at: datetime


async def read_tiles(conn: Connection, ledger_id: int, tiles: Sequence[Tile]) -> dict[Tile, bytes]:
    """Read tiles, each as wide as it is asked for.

    Raises:
        TileMissing: one is not there, or not as wide.
    """
    rows = await conn.fetch(
        READ_TILES, ledger_id, [tile.level for tile in tiles], [tile.index for tile in tiles]
    )
    widest = {(row["level"], row["tile"]): row["hashes"] for row in rows}
    found = {tile: widest.get((tile.level, tile.index), b"")[: tile.width * HASH_BYTES] for tile in tiles}
    for tile, hashes in found.items():
        if len(hashes) != tile.width * HASH_BYTES:
            raise TileMissing(tile=tile_path(tile))
    return found


async def last_checkpoint(conn: Connection, ledger_id: int) -> Sealed | None:
    """Read the latest checkpoint; ``None``: nothing was published yet."""
    return _sealed(await conn.fetchrow(LAST_CHECKPOINT, ledger_id))


async def last_sealed(conn: Connection, ledger_id: int) -> Sealed | None:
    """Read the latest checkpoint that was signed, published or not: for the notary alone."""
    return _sealed(await conn.fetchrow(LAST_SEALED, ledger_id))


async def checkpoint_of(conn: Connection, ledger_id: int, size: int) -> Sealed | None:
    """Read the checkpoint of exactly this size; ``None``: there is none."""
    return _sealed(await conn.fetchrow(CHECKPOINT_OF, ledger_id, size))


async def checkpoints_from(conn: Connection, ledger_id: int, size: int, limit: int) -> tuple[Sealed, ...]:
    """Read checkpoints of at least this size, the smallest first, at most so many."""
    rows = await conn.fetch(CHECKPOINTS_FROM, ledger_id, size, limit)
    return tuple(_of(row) for row in rows)


async def write_tiles(conn: Connection, ledger_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
    """Write tiles, by level and index, over their narrower states."""
    await conn.execute(
        WRITE_TILES,
        ledger_id,
        [level for level, _ in tiles],
        [index for _, index in tiles],
        list(tiles.values()),
    )


async def write_checkpoint(conn: Connection, ledger_id: int, sealed: Sealed) -> None:
    """Write a checkpoint that nobody is told of yet."""
    await conn.execute(WRITE_CHECKPOINT, ledger_id, sealed.size, sealed.root, sealed.note, sealed.sealed_at)


async def sign_anew(conn: Connection, ledger_id: int, size: int, note: str) -> None:
    """Put another note, over the same tree, in the place of a checkpoint's."""
    await conn.execute(SIGN_ANEW, ledger_id, size, note)


async def publish(conn: Connection, ledger_id: int, size: int, note: str) -> None:
    """Let everybody see the checkpoint of this size, under this note, and tell whoever waits; once."""
    await conn.execute(PUBLISH, ledger_id, size, note, SEALED_CHANNEL)


async def keep_for_good(conn: Connection, ledger_id: int, size: int) -> None:
    """Let the checkpoint of this size stay however old it grows: somebody was given it by name."""
    await conn.execute(KEEP_FOR_GOOD, ledger_id, size, FOR_GOOD)


def _sealed(row: asyncpg.Record | None) -> Sealed | None:
    return None if row is None else _of(row)


def _of(row: asyncpg.Record) -> Sealed:
    return Sealed(size=row["size"], root=row["root"], note=row["note"], sealed_at=row["sealed_at"])

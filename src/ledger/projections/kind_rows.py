"""The rows of kinds of items: one each, for the list of what can be submitted; the built-in one has none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, assert_never

import asyncpg
import msgspec
from msgspec.structs import replace

from ledger.domain.ids import StreamName, Version
from ledger.domain.kind.events import KindEvent, KindRegistered, KindRetired, KindRevised
from ledger.projections.projection import fold_rows, load_rows, must_exist
from ledger.store.pool import Connection
from ledger.store.streams import Recorded

# One range of the key at a time, in its order: another index of this ledger looks as good while the table is, or is
# known to be, empty, and would be read whole ever after.
# $1 ledger, $2 streams
LOAD: Final = """
select found.*
from unnest($2::text[]) as asked(stream)
cross join lateral (
    select stream, kind, title, kind_version, is_retired, registered_at, changed_at, version
    from kinds_v1
    where ledger_id = $1 and stream >= asked.stream and stream <= asked.stream
    order by stream
    limit 1
) found
"""
# $1 ledger; arrays, a kind each: $2 stream, $3 kind, $4 title, $5 kind version, $6 is retired, $7 registered at,
# $8 changed at, $9 version
SAVE: Final = """
insert into kinds_v1 (
    ledger_id, stream, kind, title, kind_version, is_retired, registered_at, changed_at, version)
select $1, k.stream, k.kind, k.title, k.kind_version, k.is_retired, k.registered_at, k.changed_at, k.version
from unnest($2::text[], $3::text[], $4::text[], $5::integer[], $6::boolean[], $7::timestamptz[],
            $8::timestamptz[], $9::integer[])
    as k(stream, kind, title, kind_version, is_retired, registered_at, changed_at, version)
on conflict (ledger_id, stream) do update
set title = excluded.title, kind_version = excluded.kind_version, is_retired = excluded.is_retired,
    changed_at = excluded.changed_at, version = excluded.version
"""
# $1 ledger, $2 after this kind (empty: from the first), $3 at most this many
PAGE: Final = """
select stream, kind, title, kind_version, is_retired, registered_at, changed_at, version
from views.kinds_v1
where ledger_id = $1 and kind > $2
order by kind
limit $3
"""


class KindRow(msgspec.Struct, frozen=True, kw_only=True):
    """A kind; ``kind_version`` is the latest, ``version`` that of its stream."""

    stream: StreamName
    kind: str
    title: str
    kind_version: int
    is_retired: bool
    registered_at: datetime
    changed_at: datetime
    version: Version


async def page(conn: Connection, ledger_id: int, *, after: str, limit: int) -> tuple[KindRow, ...]:
    """Read up to ``limit`` kinds by name, after a name or from the first (empty)."""
    return tuple(_row(row) for row in await conn.fetch(PAGE, ledger_id, after, limit))


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[KindEvent]]) -> None:
    """Register, revise and retire what the batch says."""
    loaded = await load_rows(conn, LOAD, ledger_id, batch)
    before = {StreamName(row["stream"]): _row(row) for row in loaded}
    rows = [row for row in fold_rows(before, batch, _evolve).values() if row is not None]
    await conn.execute(
        SAVE,
        ledger_id,
        [row.stream for row in rows],
        [row.kind for row in rows],
        [row.title for row in rows],
        [row.kind_version for row in rows],
        [row.is_retired for row in rows],
        [row.registered_at for row in rows],
        [row.changed_at for row in rows],
        [row.version for row in rows],
    )


def _evolve(row: KindRow | None, item: Recorded[KindEvent]) -> KindRow:
    event = item.event
    if isinstance(event, KindRegistered):
        return _registered(item, event)
    seen = replace(must_exist(row, item), changed_at=event.at, version=item.version)
    match event:
        case KindRevised():
            return replace(seen, title=event.title, kind_version=event.version)
        case KindRetired():
            return replace(seen, is_retired=True)
        case _:
            assert_never(event)


def _registered(item: Recorded[KindEvent], event: KindRegistered) -> KindRow:
    return KindRow(
        stream=item.stream,
        kind=event.name,
        title=event.title,
        kind_version=1,
        is_retired=False,
        registered_at=event.at,
        changed_at=event.at,
        version=item.version,
    )


def _row(row: asyncpg.Record) -> KindRow:
    return KindRow(
        stream=row["stream"],
        kind=row["kind"],
        title=row["title"],
        kind_version=row["kind_version"],
        is_retired=row["is_retired"],
        registered_at=row["registered_at"],
        changed_at=row["changed_at"],
        version=row["version"],
    )

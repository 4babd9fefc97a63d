"""Trying a repair dry: it is carried out in a transaction that is rolled back, and its row changes are shown."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Final, Generic, TypeAlias, TypeVar

import msgspec

from ledger.domain.ids import StreamName
from ledger.projections.isolation import rehearsing
from ledger.projections.projection import Feed
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection, reading

T = TypeVar("T")

MOST_SHOWN: Final = 20

Columns: TypeAlias = dict[
    str, Annotated[object, msgspec.Meta(extra_json_schema={"description": "Any JSON value"})]
]
Rows: TypeAlias = Mapping[tuple[str, str], Columns]
"""(table, stream) → the row's columns."""


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """One row that a repair would change; ``None``: there is no row."""

    table: str
    stream: str
    before: Columns | None
    after: Columns | None


class Rehearsed(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What would be done, and how many rows it would change; ``changes`` holds the first twenty."""

    done: T
    rows_changed: int
    changes: tuple[RowChange, ...]


async def rehearse(
    ledger: Ledger,
    feed: Feed,
    effect: Callable[[Connection], Awaitable[T]],
    streams_of: Callable[[Connection], Awaitable[Sequence[StreamName]]],
) -> Rehearsed[T]:
    """Carry out ``effect`` on the rows of some streams, look what it did, and undo it.

    Raises:
        DatabaseUnreachable: the connection is lost, or what is looked at is locked for too long.
        Exception: whatever ``effect`` raises.
    """
    async with reading(ledger.pool) as conn:
        transaction = conn.transaction()
        await transaction.start()
        try:
            streams = await streams_of(conn)
            before = await _rows(conn, ledger.ledger_id, feed, streams)
            with rehearsing():
                done = await effect(conn)
            after = await _rows(conn, ledger.ledger_id, feed, streams)
        finally:
            await transaction.rollback()
    changes = _changes(before, after)
    return Rehearsed(done=done, rows_changed=len(changes), changes=changes[:MOST_SHOWN])


async def _rows(conn: Connection, ledger_id: int, feed: Feed, streams: Sequence[StreamName]) -> Rows:
    if not feed.is_keyed_by_stream:
        return {}
    rows: dict[tuple[str, str], Columns] = {}
    for table in feed.tables:
        select = (
            f"select stream, to_jsonb(t)::text as columns from views.{table} t "  # noqa: S608 - a name of ours
            "where ledger_id = $1 and stream = any($2)"
        )
        for row in await conn.fetch(select, ledger_id, streams):
            columns = msgspec.json.decode(row["columns"], type=dict[str, object])
            rows[table, row["stream"]] = columns
    return rows


def _changes(before: Rows, after: Rows) -> tuple[RowChange, ...]:
    return tuple(
        RowChange(table=key[0], stream=key[1], before=before.get(key), after=after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    )

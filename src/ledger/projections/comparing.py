"""Comparing the rows of two schemas, table by table: how many there are, which keys differ, and in what."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.domain.errors import Corrupt
from ledger.domain.operations.events import TableDiff
from ledger.projections.projection import Feed
from ledger.store.pool import Connection

SAMPLE: Final = 20
"""How many differences of a table are told one by one."""

# Writes the statements that compare two tables of one shape, with every name quoted by the server. They take
# $1 ledger, $2 streams (null: all), $3 streams to leave out and, the second, $4 at most this many.
# $1 schema before, $2 schema after, $3 tables
STATEMENTS: Final = """
with columns as (
    select c.relname, c.oid, a.attnum, a.attname as name
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'views'::regnamespace and c.relname = any($3)
), keys as (
    select k.relname, array_agg(k.name::text order by k.attnum) as key,
           string_agg(format('a.%1$I = b.%1$I', k.name), ' and ' order by k.attnum) as matching,
           string_agg(format('coalesce(a.%1$I, b.%1$I)::text', k.name), ', ' order by k.attnum) as key_values
    from columns k
    join pg_index x on x.indrelid = k.oid and x.indisprimary and k.attnum = any(x.indkey)
    group by k.relname
), shapes as (
    select c.relname,
           string_agg(format('case when a.%1$I is distinct from b.%1$I then %1$L end', c.name), ', '
                      order by c.attnum) as changes,
           string_agg(format('a.%I', c.name), ', ' order by c.attnum) as before,
           string_agg(format('b.%I', c.name), ', ' order by c.attnum) as after,
           case when bool_or(c.name = 'stream') then '($2::text[] is null or stream = any($2)) and stream <> all($3::text[])'
                else '$2::text[] is null and $3::text[] is not null' end as chosen
    from columns c
    group by c.relname
), parts as (
    select s.relname, k.key, k.key_values, s.changes,
           format('(select * from %I.%I where ledger_id = $1 and %s) a
                   full join (select * from %I.%I where ledger_id = $1 and %s) b on %s',
                  $1::text, s.relname, s.chosen, $2::text, s.relname, s.chosen, k.matching) as joined,
           format('row(%s) is distinct from row(%s)', s.before, s.after) as differs
    from shapes s
    join keys k using (relname)
)
select relname as "table", key,
       format('select count(a.ledger_id) as rows_before, count(b.ledger_id) as rows_after,
                      count(*) filter (where b.ledger_id is null) as only_before,
                      count(*) filter (where a.ledger_id is null) as only_after,
                      count(*) filter (where a.ledger_id is not null and b.ledger_id is not null and %s) as differing
               from %s', differs, joined) as counting,
       format('select case when b.ledger_id is null then ''only before''
                           when a.ledger_id is null then ''only after'' else ''differs'' end as kind,
                      array[%s] as key,
                      case when a.ledger_id is null or b.ledger_id is null then array[]::text[]
                           else array_remove(array[%s], null) end as columns
               from %s where %s order by key limit $4', key_values, changes, joined, differs) as listing
from parts
order by relname
"""


class NoKey(Corrupt):
    """A table has no primary key, or none at all is there: its rows cannot be compared."""

    code = "no-key"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One key that differs; ``columns`` is empty where a row is in one of the two only.

    ``kind`` is ``only before``, ``only after`` or ``differs``.
    """

    table: str
    kind: str
    key: dict[str, str | None]
    columns: tuple[str, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Old rows beside new ones; ``sample`` names at most 20 differences a table."""

    tables: tuple[TableDiff, ...]
    sample: tuple[Difference, ...]

    def is_equal(self) -> bool:
        """Say whether there is no difference."""
        return not any(table.only_before or table.only_after or table.differing for table in self.tables)


async def compare(
    conn: Connection,
    ledger_id: int,
    feed: Feed,
    *,
    before: str,
    after: str,
    streams: Sequence[str] | None = None,
    without: Sequence[str] = (),
) -> Comparison:
    """Compare a projection's tables in two schemas: all rows (``None``) or those of ``streams``, ``without`` some.

    The caller's transaction sees both at one moment. A table whose rows have no stream is only compared as a whole.

    Raises:
        NoKey: a table is not there, or has no primary key.
    """
    tables: list[TableDiff] = []
    sample: list[Difference] = []
    chosen = None if streams is None else list(streams)
    for pair in await conn.fetch(STATEMENTS, before, after, list(feed.tables)):
        counts = await conn.fetchrow(pair["counting"], ledger_id, chosen, list(without))
        table = TableDiff(table=pair["table"], **dict(counts or {}))
        tables.append(table)
        for row in await conn.fetch(pair["listing"], ledger_id, chosen, list(without), SAMPLE):
            key = dict(zip(pair["key"], row["key"], strict=True))
            sample.append(
                Difference(table=table.table, kind=row["kind"], key=key, columns=tuple(row["columns"]))
            )
    if len(tables) != len(feed.tables):
        raise NoKey(projection=feed.name)
    return Comparison(tables=tuple(tables), sample=tuple(sample))

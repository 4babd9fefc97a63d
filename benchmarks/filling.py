"""A long log in a short time: rows that look like appended ones, made by the server itself as the owner."""

import asyncio
from typing import Final

import asyncpg
import msgspec

from benchmarks.server import Database
from ledger.store.ledger import LEDGER_ID

WRITERS: Final = 2
PIECE: Final = 100_000
# What would be kept level row by row is made once, at the end.
DROP: Final = """
alter table ledger.events drop constraint events_pkey;
alter table ledger.events drop constraint events_stream_version_key;
alter table ledger.events drop constraint events_event_id_key;
drop index ledger.events_recorded_at_idx;
"""
MAKE: Final = (
    "alter table ledger.events add constraint events_pkey primary key (ledger_id, position)",
    "alter table ledger.events add constraint events_stream_version_key unique (ledger_id, stream, version)",
    "alter table ledger.events add constraint events_event_id_key unique (ledger_id, event_id)",
    "create index events_recorded_at_idx on ledger.events (ledger_id, recorded_at)",
    "vacuum (analyze, freeze) ledger.events",
)
SESSION: Final = "set synchronous_commit = off; set maintenance_work_mem = '512MB'"
# $1 ledger, $2 first position, $3 last position; arrays, an event of a stream each: $4 types, $5 schema versions,
# $6 payloads, in which % stands for the stream's number. Ids count up as time-ordered ones do.
FILL: Final = """
insert into ledger.events (
    ledger_id, position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id,
    causation_id, correlation_id, envelope, salt, payload)
select
    $1, n, stream, version, ($4::text[])[version], ($5::smallint[])[version], id, recorded_at, actor, id, null,
    md5(n::text),
    convert_to(concat(
        '{"v":1,"event_id":"', id, '","ledger":1,"stream":"', stream, '","version":', version,
        ',"type":"decision-submitted","schema_version":2,"recorded_at":"2026-01-01T00:00:00.000000Z","actor":"',
        actor, '","command_id":"', id, '","causation_id":"","correlation_id":"', md5(n::text),
        '","request":"","data":"', encode(sha256(salt || payload), 'hex'), '","prev":"', md5(actor), md5(n::text),
        '"}'), 'UTF8'),
    salt, payload
from (
    select
        n, decode(md5(n::text), 'hex') as salt,
        convert_to(replace(($6::text[])[(n - 1) % cardinality($4::text[]) + 1], '%', number::text), 'UTF8') as payload,
        concat('decision-', md5(number::text)::uuid) as stream,
        ((n - 1) % cardinality($4::text[]) + 1)::integer as version,
        concat('01980000', right(to_hex(n + 4294967296), 8), '7000', left(md5(n::text), 12))::uuid as id,
        timestamptz '2026-01-01' + n * interval '1 millisecond' as recorded_at,
        md5((n % 1000)::text)::uuid::text as actor
    from (select n, (n - 1) / cardinality($4::text[]) as number from generate_series($2::bigint, $3::bigint) n) counted
) made
"""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """The events of one stream, in order: types, schema versions, payloads with ``%`` for the stream's number."""

    types: tuple[str, ...]
    schema_versions: tuple[int, ...]
    payloads: tuple[str, ...]


LIKE_ANY: Final = Recipe(
    types=("decision-submitted",) * 10,
    schema_versions=(2,) * 10,
    payloads=(
        '{"type":"decision-submitted","at":"2026-01-01T00:00:00Z","text":"% is only here to be there"}',
    )
    * 10,
)
"""Ten events a stream that nobody will decode."""


async def fill(database: Database, events: int, recipe: Recipe = LIKE_ANY) -> None:
    """Give an empty ledger ``events`` events."""
    if not events:
        return
    await database.execute(DROP)
    pieces = iter([(first, min(first + PIECE - 1, events)) for first in range(1, events + 1, PIECE)])

    async def writer() -> None:
        conn = await asyncpg.connect(database.owner_url, command_timeout=600)
        try:
            await conn.execute(SESSION)
            for first, last in pieces:
                made_of = (recipe.types, recipe.schema_versions, recipe.payloads)
                await conn.execute(FILL, LEDGER_ID, first, last, *made_of)
        finally:
            await conn.close()

    await asyncio.gather(*(writer() for _ in range(WRITERS)))
    conn = await asyncpg.connect(database.owner_url, command_timeout=600)
    try:
        await conn.execute(SESSION)
        for statement in MAKE:
            await conn.execute(statement)
    finally:
        await conn.close()

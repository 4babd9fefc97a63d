"""How a batch of appends travels: packed while the one before it is under way, sent in one call (ADR 0035).

Nearly every batch can be taken as it stands, and the server then does no more than judge and store it. One in which an
append collides is sent a second time, to the function that answers each append by itself.

What goes to the server as an array goes as PostgreSQL writes one, in text: the driver would look into each element by
itself, ten times as slow. Bytes go in one piece, with the places where to cut it.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Final
from uuid import UUID

import msgspec

from ledger.domain.errors import Corrupt, VersionConflict
from ledger.domain.ids import Position, Version
from ledger.store.appends import Appended, Landed, SealedAppend, meaning, send_one
from ledger.store.pool import Connection

# $1 ledger, $2 first event ids to look for; a read stream each: $3 stream, $4 version; an event each: $5 stream,
# $6 version, $7 previous leaf, $8 type, $9 schema version, $10 event id, $11 recorded at, $12 actor, $13 command,
# $14 causation, $15 correlation, $16 two numbers: where its envelope and where its payload end in $17.
APPEND_TOGETHER: Final = """
select ledger.append_together(
    $1, $2::text::uuid[], $3::text::text[], $4::text::integer[], $5::text::text[], $6::text::integer[],
    $7::text::bytea[], $8::text::text[], $9::text::smallint[], $10::text::uuid[], $11::text::timestamptz[],
    $12::text::text[], $13::text::uuid[], $14::text::uuid[], $15::text::text[], $16::text::integer[], $17)
"""
# $1 ledger, an append each: $2 streams, $3 expected versions, $4 previous leaves, $5 event counts,
# $6 recorded at, $7 actors, $8 commands, $9 causations, $10 correlations, $11 first event ids;
# a read stream each: $12 append, $13 stream, $14 version; an event each: $15 append, $16 ordinal, $17 type,
# $18 schema version, $19 event id, $20 envelope, $21 salt, $22 payload.
APPEND_BATCH: Final = """
select append, status, first_position, version, stream from ledger.append_batch(
    $1, $2::text::text[], $3::text::integer[], $4::text::bytea[], $5::text::integer[], $6::text::timestamptz[],
    $7::text::text[], $8::text::uuid[], $9::text::uuid[], $10::text::text[], $11::text::uuid[],
    $12::text::integer[], $13::text::text[], $14::text::integer[], $15::text::integer[], $16::text::integer[],
    $17::text::text[], $18::text::smallint[], $19::text::uuid[], $20, $21::text::bytea[], $22)
"""

Answer = Landed | VersionConflict | Corrupt


class Batch(msgspec.Struct, frozen=True, gc=False):
    """A batch ready to be sent: its appends, and what is sent of them beside the ledger and what to look for."""

    appends: Sequence[SealedAppend]
    arguments: tuple[str | bytes, ...]


def pack(appends: Sequence[SealedAppend]) -> Batch:
    """Write a batch of stamped appends, at most one to a stream, as it will be sent."""
    if len(appends) == 1:  # it goes by itself
        return Batch(appends, ())
    return Batch(appends, (*_reads(appends), *_of_each_event(appends), *_bytes_of(appends)))


async def send_batch(conn: Connection, ledger_id: int, batch: Batch, *, again: bool = False) -> list[Answer]:
    """Send a batch; the answers come in its order. ``again`` says that it may be in the log already.

    A command without a key has event ids that nobody has had before, so they are looked for only then.
    """
    appends = batch.appends
    if len(appends) == 1:
        return [await send_one(conn, ledger_id, appends[0])]
    sought = [
        append.events[0].event.event_id for append in appends if again or append.append.provenance.is_keyed
    ]
    head = await conn.fetchval(APPEND_TOGETHER, ledger_id, _literal(sought), *batch.arguments)
    return await _each_answered(conn, ledger_id, appends) if head is None else _landed(appends, head)


def _landed(appends: Sequence[SealedAppend], head: int) -> list[Answer]:
    answers: list[Answer] = []
    for sealed in appends:
        count = len(sealed.events)
        answers.append(
            Appended(
                version=Version(sealed.append.expected + count),
                first_position=Position(head + 1),
                recorded_at=sealed.recorded_at,
                leaves=tuple([item.leaf for item in sealed.events]),
            )
        )
        head += count
    return answers


async def _each_answered(conn: Connection, ledger_id: int, appends: Sequence[SealedAppend]) -> list[Answer]:
    rows = await conn.fetch(
        APPEND_BATCH, ledger_id, *_appends(appends), *_numbered_reads(appends), *_events(appends)
    )
    return [meaning(row, sealed) for row, sealed in zip(rows, appends, strict=True)]


def _literal(values: Sequence[int | UUID | datetime | None]) -> str:
    return "{" + msgspec.json.encode(values).decode()[1:-1] + "}"


def _texts(values: Sequence[str]) -> str:
    whole = '","'.join(values)
    if "\\" in whole or whole.count('"') != 2 * len(values) - 2:
        whole = '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in values])
    return f'{{"{whole}"}}' if values else "{}"


def _hex(values: Sequence[bytes | None]) -> str:
    return "{" + ",".join(["null" if value is None else f'"\\\\x{value.hex()}"' for value in values]) + "}"


def _reads(appends: Sequence[SealedAppend]) -> tuple[str, str]:
    reads = [read for sealed in appends for read in sealed.append.reads]
    return _texts([stream for stream, _ in reads]), _literal([version for _, version in reads])


def _of_each_event(appends: Sequence[SealedAppend]) -> tuple[str, ...]:
    owners = [sealed for sealed in appends for _ in sealed.events]
    items = [item for sealed in appends for item in sealed.events]
    events = [item.event for item in items]
    return (
        _texts([sealed.append.stream for sealed in owners]),
        _literal([item.version for item in items]),
        _hex([item.follows for item in items]),
        _texts([event.type for event in events]),
        _literal([event.schema_version for event in events]),
        _literal([event.event_id for event in events]),
        _literal([sealed.recorded_at for sealed in owners]),
        *_origins(owners),
    )


def _origins(owners: Sequence[SealedAppend]) -> tuple[str, ...]:
    origins = [sealed.append.provenance for sealed in owners]
    return (
        _texts([origin.actor for origin in origins]),
        _literal([origin.command_id for origin in origins]),
        _literal([origin.causation_id for origin in origins]),
        _texts([origin.correlation_id for origin in origins]),
    )


def _bytes_of(appends: Sequence[SealedAppend]) -> tuple[str, bytes]:
    pieces = [
        piece
        for sealed in appends
        for item in sealed.events
        for piece in (item.salt + item.envelope, item.event.payload)
    ]
    return _literal(list(accumulate(map(len, pieces)))), b"".join(pieces)


def _appends(batch: Sequence[SealedAppend]) -> tuple[str, ...]:
    appends = [sealed.append for sealed in batch]
    return (
        _texts([append.stream for append in appends]),
        _literal([append.expected for append in appends]),
        _hex([append.prev for append in appends]),
        _literal([len(append.events) for append in appends]),
        _literal([sealed.recorded_at for sealed in batch]),
        *_origins(batch),
        _literal([append.events[0].event_id for append in appends]),
    )


def _numbered_reads(batch: Sequence[SealedAppend]) -> tuple[str, ...]:
    return (
        _literal([number for number, sealed in enumerate(batch, 1) for _ in sealed.append.reads]),
        *_reads(batch),
    )


def _events(batch: Sequence[SealedAppend]) -> tuple[str | list[bytes], ...]:
    items = [item for sealed in batch for item in sealed.events]
    events = [item.event for item in items]
    return (
        _literal([number for number, sealed in enumerate(batch, 1) for _ in sealed.events]),
        _literal([ordinal for sealed in batch for ordinal, _ in enumerate(sealed.events, 1)]),
        _texts([event.type for event in events]),
        _literal([event.schema_version for event in events]),
        _literal([event.event_id for event in events]),
        [item.envelope for item in items],
        _hex([item.salt for item in items]),
        [event.payload for event in events],
    )

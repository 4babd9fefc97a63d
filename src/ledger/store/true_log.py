"""Reading the log for what is made anew of it: each payload must fit the hash in its envelope.

The rows of a read model may be the last that hold what an event truly said: nothing false is written over them. Following
the log does without it, as nothing true is lost there, and its speed matters.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import asyncpg

from ledger.domain.errors import Corrupt
from ledger.domain.ids import Position
from ledger.store.excerpts import READ_LOG_OF, READ_POSITIONS
from ledger.store.pool import Connection
from ledger.store.streams import MAX_LOG_BYTES, READ_LOG, Stored, stored_in

# As those, with what a wanted payload is held against.
READ_TRUE_LOG: Final = READ_LOG.replace(" payload\nfrom (", " payload, salt, envelope\nfrom (").replace(
    "then payload end as payload",
    "then payload end as payload, case when type = any($3) then salt end as salt,"
    " case when type = any($3) then envelope end as envelope",
)
READ_TRUE_POSITIONS: Final = READ_POSITIONS.replace(" payload\nfrom", " payload, salt, envelope\nfrom")
READ_TRUE_LOG_OF: Final = READ_LOG_OF.replace(" payload\nfrom", " payload, salt, envelope\nfrom")


class PayloadChanged(Corrupt):
    """What an event says was changed after it was recorded: nothing is made anew of it."""

    code = "payload-changed"
    advice = "The rows may be the last that hold what was true; go on by docs/operations/tampered.md."


async def read_true_log(
    conn: Connection, ledger_id: int, *, after: Position, wanted: Sequence[str], limit: int
) -> tuple[Stored, ...]:
    """Read the next positions as ``read_log`` does, their envelopes too.

    Raises:
        PayloadChanged: a wanted payload does not fit the hash in its envelope.
    """
    return _true(await conn.fetch(READ_TRUE_LOG, ledger_id, after, list(wanted), limit, MAX_LOG_BYTES))


async def read_true_log_of(
    conn: Connection, ledger_id: int, streams: Sequence[str], *, upto: Position, wanted: Sequence[str]
) -> tuple[Stored, ...]:
    """Read the ``wanted`` events of some streams as ``read_log_of`` does, their envelopes too.

    Raises:
        PayloadChanged: one does not fit the hash in its envelope.
    """
    return _true(await conn.fetch(READ_TRUE_LOG_OF, ledger_id, list(streams), upto, list(wanted)))


async def read_held_against(
    conn: Connection, ledger_id: int, positions: Sequence[Position]
) -> tuple[tuple[Stored, ...], frozenset[Position]]:
    """Read the events at these positions, in order; beside them, which do not fit the hash in their envelopes."""
    rows = await conn.fetch(READ_TRUE_POSITIONS, ledger_id, list(positions))
    changed = (row["position"] for row in rows if not _fits(row["salt"] + row["payload"], row["envelope"]))
    return tuple(stored_in(row) for row in rows), frozenset(map(Position, changed))


def _true(rows: Sequence[asyncpg.Record]) -> tuple[Stored, ...]:
    for row in rows:
        if row["payload"] is not None and not _fits(row["salt"] + row["payload"], row["envelope"]):
            raise PayloadChanged(position=row["position"], stream=row["stream"])
    return tuple(stored_in(row) for row in rows)


def _fits(opened: bytes, envelope: bytes) -> bool:
    """Look for the hash where envelopes have it; unescaped quotes stand nowhere within their strings."""
    return b'","data":"%b","prev":"' % hashlib.sha256(opened).hexdigest().encode() in envelope

"""Reading the log for what is made anew of it: each payload must fit the hash in its envelope.

The rows of a read model may be the last that hold what an event truly said: nothing false is written over them. Following
the log does without it, as nothing true is lost there, and its speed matters.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from ledger.domain.errors import Corrupt
from ledger.domain.ids import Position
from ledger.store.excerpts import READ_LOG_OF, READ_POSITIONS
from ledger.store.pool import Connection, ImpossibleTime
from ledger.store.streams import MAX_LOG_BYTES, READ_LOG, Stored, stored_in

# As those, with what a wanted payload is held against.
READ_TRUE_LOG: Final = READ_LOG.replace(" payload\nfrom (", " payload, salt, envelope\nfrom (").replace(
    "then payload end as payload",
    "then payload end as payload, case when type = any($3) then salt end as salt,"
    " case when type = any($3) then envelope end as envelope",
)
# What was parked has to be read whatever became of it: a time that no program can hold is put aside.
READ_TRUE_POSITIONS: Final = READ_POSITIONS.replace(
    " payload\nfrom", " payload, salt, envelope\nfrom"
).replace(
    " recorded_at,",
    """ case when recorded_at >= '0001-01-01 00:00+00' and recorded_at < '10000-01-01 00:00+00'
            then recorded_at else 'epoch' end as recorded_at,
       recorded_at >= '0001-01-01 00:00+00' and recorded_at < '10000-01-01 00:00+00' as is_possible,""",
)
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
) -> tuple[tuple[Stored, ...], Mapping[Position, Corrupt]]:
    """Read those of the events at these positions that are there, in order.

    Beside them: what is wrong with those that do not fit the hash in their envelopes (``PayloadChanged``) or whose time
    is none (``ImpossibleTime``; what is given for it means nothing).
    """
    rows = await conn.fetch(READ_TRUE_POSITIONS, ledger_id, list(positions))
    wrong: dict[Position, Corrupt] = {}
    for row in rows:
        if not row["is_possible"]:
            wrong[row["position"]] = ImpossibleTime(position=row["position"], stream=row["stream"])
        elif not _fits(row["salt"] + row["payload"], row["envelope"]):
            wrong[row["position"]] = PayloadChanged(position=row["position"], stream=row["stream"])
    return tuple(stored_in(row) for row in rows), wrong


def _true(rows: Sequence[asyncpg.Record]) -> tuple[Stored, ...]:
    for row in rows:
        if row["payload"] is not None and not _fits(row["salt"] + row["payload"], row["envelope"]):
            raise PayloadChanged(position=row["position"], stream=row["stream"])
    return tuple(stored_in(row) for row in rows)


def _fits(opened: bytes, envelope: bytes) -> bool:
    """Look for the hash where envelopes have it; unescaped quotes stand nowhere within their strings."""
    return b'","data":"%b","prev":"' % hashlib.sha256(opened).hexdigest().encode() in envelope

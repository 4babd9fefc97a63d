"""What every log must be, checked event by event: dense, in each stream's order, chained, and self-consistent."""

import hashlib
from typing import Final
from uuid import UUID

import asyncpg

from ledger.store.envelope import ENVELOPE_FORMAT, Envelope, leaf_hash, open_envelope, timestamp
from ledger.store.pool import Connection

# $1 after this position, $2 at most this many. Naive on purpose: what any reader would write.
TAIL: Final = """
select position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id, causation_id,
       correlation_id, envelope, leaf_hash, salt, payload
from ledger.events where ledger_id = 1 and position > $1 order by position limit $2
"""
PAGE: Final = 2000


class BrokenLog(AssertionError):
    """The log is not what it must be."""


class LogCheck:
    """Takes the events in the order they were read; raises at the first that cannot be."""

    def __init__(self) -> None:
        self.position = 0
        self._last: dict[str, tuple[int, str]] = {}
        self._digest = hashlib.sha256()

    def take(self, row: asyncpg.Record) -> None:
        """Check the next event."""
        if row["position"] != self.position + 1:
            raise BrokenLog(f"position {row['position']} came after {self.position}")
        version, prev = self._last.get(row["stream"], (0, ""))
        if row["version"] != version + 1:
            raise BrokenLog(f"{row['stream']}: version {row['version']} came after {version}")
        leaf = leaf_hash(row["envelope"])
        if row["leaf_hash"] != leaf:
            raise BrokenLog(f"position {row['position']}: the leaf is not the envelope's hash")
        if open_envelope(row["envelope"]) != _envelope_of(row, prev):
            raise BrokenLog(
                f"position {row['position']}: {row['envelope']!r} is not {_envelope_of(row, prev)}"
            )
        self.position = row["position"]
        self._last[row["stream"]] = (row["version"], leaf.hex())
        self._digest.update(leaf)

    def digest(self) -> str:
        """Name everything that was read, and its order."""
        return self._digest.hexdigest()


def _envelope_of(row: asyncpg.Record, prev: str) -> Envelope:
    """The envelope that the columns, the bytes and the stream's past call for."""
    request = open_envelope(row["envelope"]).request  # has no column
    return Envelope(
        v=ENVELOPE_FORMAT,
        event_id=str(row["event_id"]),
        ledger=1,
        stream=row["stream"],
        version=row["version"],
        type=row["type"],
        schema_version=row["schema_version"],
        recorded_at=timestamp(row["recorded_at"]),
        actor=row["actor"],
        command_id=str(row["command_id"]),
        causation_id=str(row["causation_id"] or ""),
        correlation_id=row["correlation_id"],
        request=request,
        data=hashlib.sha256(row["salt"] + row["payload"]).hexdigest(),
        prev=prev,
    )


async def tail(conn: Connection, check: LogCheck) -> dict[UUID, int]:
    """Check everything behind what was checked before; the position of each event, by its id."""
    seen: dict[UUID, int] = {}
    while rows := await conn.fetch(TAIL, check.position, PAGE):
        for row in rows:
            check.take(row)
            seen[row["event_id"]] = row["position"]
    return seen

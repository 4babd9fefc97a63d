"""Whole-state snapshots: written after the append and off its path, ignored when stale.

A snapshot names the shape of its state and the version of the rules that made it by a fingerprint. Another
release has another fingerprint wherever either changed, so it never reads what it would not have written.
"""

import asyncio
import hashlib
from functools import cache
from typing import Final, TypeVar

import asyncpg
import msgspec
import structlog

from ledger.domain.access.decide import ACCESS
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.decider import Decider
from ledger.domain.decision.decide import DECISION
from ledger.domain.errors import Corrupt
from ledger.domain.event import Event
from ledger.domain.export.decide import EXPORT
from ledger.domain.ids import Position, StreamName, Version
from ledger.domain.kind.decide import KIND
from ledger.domain.login.decide import LOGIN
from ledger.domain.notary.decide import NOTARY
from ledger.domain.operations.decide import OPERATIONS
from ledger.domain.policy.decide import POLICY
from ledger.domain.reading.decide import READING
from ledger.domain.session.decide import SESSION
from ledger.domain.subject.decide import SUBJECT
from ledger.domain.webhook.decide import WEBHOOK
from ledger.store.pool import LOST, Pool

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)

log = structlog.get_logger()

SNAPSHOT_EVERY: Final = 100
"""Events of a stream from one snapshot to the next; replaying fewer costs less than reading a state."""

MAX_WAITING: Final = 64
STOP_SECONDS: Final = 5.0

# Only of what is in this log: by the time it is written, a standby may have taken over that had not received it.
# $1 ledger, $2 stream, $3 version, $4 position, $5 leaf hash, $6 fingerprint, $7 state
WRITE: Final = """
insert into work.snapshots as s (ledger_id, stream, version, position, leaf_hash, fingerprint, state)
select $1, $2, $3, $4, $5, $6, $7
where exists (
    select from ledger.events where ledger_id = $1 and position = $4 and stream = $2 and version = $3 and leaf_hash = $5)
on conflict (ledger_id, stream) do update
set version = excluded.version, position = excluded.position, leaf_hash = excluded.leaf_hash,
    fingerprint = excluded.fingerprint, state = excluded.state
where s.version < excluded.version or s.fingerprint <> excluded.fingerprint
"""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A stream's state after ``version`` events, encoded; ``position`` and ``leaf`` are those of the last."""

    stream: StreamName
    version: Version
    position: Position
    leaf: bytes
    state: bytes


def fingerprint(decider: Decider[C, S, E]) -> str:
    """Name the shape of an aggregate's state and the version of its rules."""
    shape = msgspec.json.encode(msgspec.json.schema(decider.state_type), order="sorted")
    return hashlib.sha256(shape + b"%d" % decider.version).hexdigest()


def fingerprint_of(stream: StreamName) -> str:
    """Name what a snapshot of ``stream`` must have been made by; empty for a stream of no aggregate."""
    return _fingerprints().get(stream.partition("-")[0], "")


@cache
def _fingerprints() -> dict[str, str]:
    return {
        DECISION.category: fingerprint(DECISION),
        SESSION.category: fingerprint(SESSION),
        ACCOUNT.category: fingerprint(ACCOUNT),
        LOGIN.category: fingerprint(LOGIN),
        OPERATIONS.category: fingerprint(OPERATIONS),
        ACCESS.category: fingerprint(ACCESS),
        KIND.category: fingerprint(KIND),
        POLICY.category: fingerprint(POLICY),
        SUBJECT.category: fingerprint(SUBJECT),
        WEBHOOK.category: fingerprint(WEBHOOK),
        EXPORT.category: fingerprint(EXPORT),
        READING.category: fingerprint(READING),
        NOTARY.category: fingerprint(NOTARY),
    }


def freeze(state: object) -> bytes:
    """Encode a state."""
    return msgspec.json.encode(state)


def thaw(decider: Decider[C, S, E], snapshot: Snapshot) -> S:
    """Decode the state of a snapshot that has the aggregate's fingerprint.

    Raises:
        Corrupt: it is no such state; somebody else wrote it.
    """
    try:
        state: S = msgspec.json.decode(snapshot.state, type=decider.state_type)
    except msgspec.MsgspecError as unreadable:
        raise Corrupt(stream=snapshot.stream, reason="its snapshot is no state") from unreadable
    return state


class SnapshotWriter:
    """Writes snapshots one after the other, beside the commands; when it cannot keep up, it lets some go."""

    def __init__(self, pool: Pool, ledger_id: int, *, every: int = SNAPSHOT_EVERY) -> None:
        """Prepare to write a snapshot of a stream for ``every`` so many events; 0 writes none."""
        self._pool = pool
        self._ledger_id = ledger_id
        self._every = every
        self._waiting: asyncio.Queue[Snapshot | None] = asyncio.Queue(MAX_WAITING)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="snapshots")

    async def stop(self) -> None:
        """Write what waits, for at most 5 seconds, and stop."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._waiting.put(None)
                await self._task
        except TimeoutError:
            self._task.cancel()

    def is_due(self, version: Version, since: Version) -> bool:
        """Say whether a stream at ``version`` deserves a snapshot when its last one is at ``since``."""
        return 0 < self._every <= version - since

    def offer(self, snapshot: Snapshot) -> None:
        """Have it written some time soon, or not: a state is never lost with its snapshot."""
        if not self._waiting.full():
            self._waiting.put_nowait(snapshot)

    async def _run(self) -> None:
        while (snapshot := await self._waiting.get()) is not None:
            try:
                await self._write(snapshot)
            except (*LOST, asyncpg.PostgresError) as lost:
                log.warning("snapshot.not_written", stream=snapshot.stream, error=type(lost).__name__)

    async def _write(self, snapshot: Snapshot) -> None:
        await self._pool.execute(
            WRITE,
            self._ledger_id,
            snapshot.stream,
            snapshot.version,
            snapshot.position,
            snapshot.leaf,
            fingerprint_of(snapshot.stream),
            snapshot.state,
        )

"""The loop that seals: reads the log, grows the tree, signs, and tells (ADR 0025).

Theory. Three steps, in this order: tiles and checkpoint commit in one transaction; the guard outside the database takes
the checkpoint; then it is published. After a crash between two of them the next round finds the guard behind the
database, or the checkpoint not yet published, and does what is left. Nothing is kept in memory that is not read anew,
and compared, after any error.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
import structlog
from uuid_utils.compat import uuid7

from ledger.domain.errors import LedgerError, VersionConflict
from ledger.sealing import standing
from ledger.sealing.edge import Edge, Grown
from ledger.sealing.examining import Ground, examine, key_lost
from ledger.sealing.guard import Guard, GuardUnreachable
from ledger.sealing.halting import SealingHalted
from ledger.sealing.keyring import Keyring
from ledger.sealing.leaves import Entry, leaves_of, read_entries
from ledger.sealing.notes import Checkpoint, Signer
from ledger.sealing.rows import Sealed, last_sealed, publish, write_checkpoint, write_tiles
from ledger.sealing.tree import NO_LEAVES
from ledger.store.ledger import Ledger
from ledger.store.pool import LOST, Connection, reading

log = structlog.get_logger()

SEAL_EVERY: Final = 0.25
LOOK_EVERY: Final = 1.0
"""Seconds: how often the lease is renewed, and how soon what failed or halted is looked at again."""
RELEASE_SECONDS: Final = 2.0
"""A stop does not wait longer: the lease ends by itself soon after."""
BATCH: Final = 16_384


class LeadLost(VersionConflict):
    """Another process seals now."""

    code = "notary-lead-lost"


class _Head(msgspec.Struct, frozen=True):
    """The tree as it was sealed last, the note that the guard holds of it, and who signed that."""

    edge: Edge
    guarded: str
    signed_by: tuple[Signer, ...]


class Sealer:
    """Seals one ledger, in one of the processes that could."""

    def __init__(
        self,
        ledger: Ledger,
        keyring: Keyring,
        guard: Guard,
        clock: Callable[[], datetime],
        *,
        batch: int = BATCH,
    ) -> None:
        """Prepare to seal at most ``batch`` events at a time."""
        self.owner: UUID = uuid7()
        self._ledger, self._keyring, self._guard, self._clock = ledger, keyring, guard, clock
        self._batch = batch
        self._head: _Head | None = None
        self._halted: str | None = None

    async def run_forever(self) -> None:
        """Seal what is appended, at most every 250 ms once it is level, until cancelled.

        A round that fails is logged, and looked at again after a second; so is one that halts, until its reason is gone.
        """
        clock = asyncio.get_running_loop().time
        try:
            while True:
                rings, began = self._ledger.appended.rings(), clock()
                wait = SEAL_EVERY
                try:
                    if not await self.round():
                        continue
                except SealingHalted as halted:
                    await self._halt(halted)
                    wait, rings = LOOK_EVERY, self._ledger.appended.rings()
                except (*LOST, asyncpg.PostgresError, LedgerError) as failed:
                    log.warning("notary.round.failed", error=type(failed).__name__)
                    wait, rings = LOOK_EVERY, self._ledger.appended.rings()
                await asyncio.sleep(max(0.0, began + wait - clock()))
                await self._ledger.appended.wait_past(rings, LOOK_EVERY - SEAL_EVERY)
        finally:
            await self.release()

    async def vkey(self) -> str | None:
        """Give the public key that signs; makes the key where nothing was ever sealed. ``None``: it is lost, or unknown.

        Raises:
            NotaryKeyUnusable: there is a key, and it must not or cannot be used.
            DatabaseUnreachable: the database does not answer.
        """
        signers = self._keyring.signers()
        if not signers and await self._is_untouched():
            self._keyring.make()
            signers = self._keyring.signers()
        return signers[0].vkey if signers else None

    async def _is_untouched(self) -> bool:
        async with reading(self._ledger.pool) as conn:
            sealed = await last_sealed(conn, self._ledger.ledger_id)
        try:
            return sealed is None and await self._guard.read() is None
        except GuardUnreachable:
            return False

    async def round(self) -> bool:
        """Seal what has come since the last round, one batch at most; say whether that was all.

        Raises:
            SealingHalted: it must not.
            LedgerError: it cannot, now.
        """
        head, self._head = self._head, None
        if not await self._lead():
            return True
        if head is None:
            head = await self._begin()
        async with reading(self._ledger.pool) as conn:
            entries = await read_entries(
                conn, self._ledger.ledger_id, after=head.edge.size, limit=self._batch
            )
            if not entries and not await self._is_where(conn, head):
                return False
        if entries:
            head = await self._seal(head, entries)
        self._head = head
        return len(entries) < self._batch

    async def _is_where(self, conn: Connection, head: _Head) -> bool:
        """Say whether the database stands where this process believes: it may have been restored beneath it."""
        last = await last_sealed(conn, self._ledger.ledger_id)
        return head.edge.size == 0 if last is None else head.guarded == last.note

    async def _lead(self) -> bool:
        async with self._ledger.pool.acquire() as conn, conn.transaction():
            await conn.execute("set local synchronous_commit = off")
            return await standing.claim(conn, self._ledger.ledger_id, self.owner, self._keyring.origin)

    async def _begin(self) -> _Head:
        """Find out where it stands, do what a crash may have left undone, and go on from there."""
        ledger_id = self._ledger.ledger_id
        async with reading(self._ledger.pool) as conn:
            ground = await examine(conn, ledger_id, self._guard, self._keyring)
        if ground.guarded is None:
            ground = await self._found(ground)
        guarded, sealed = ground.guarded, ground.sealed
        if guarded is None:
            raise LeadLost
        if sealed is not None:
            if sealed.note != guarded:
                await self._guard_it(guarded, sealed.note)
            await self._publish(sealed.size, sealed.note)
            guarded = sealed.note
        await asyncio.to_thread(self._keyring.forget_before, ground.signed_by[0])
        await self._report(ground.signed_by[0].vkey, None)
        return _Head(ground.edge, guarded, ground.signed_by)

    async def _found(self, ground: Ground) -> Ground:
        """Begin a log: with a key, and the empty tree in the hands of the guard."""
        if not self._keyring.signers():
            self._keyring.make()
        signers = self._keyring.signers()
        empty = Checkpoint(origin=self._keyring.origin, size=0, root=NO_LEAVES).signed_by(signers[:1])
        await self._guard_it(None, empty)
        log.info("notary.founded", origin=self._keyring.origin, guard=self._guard.place)
        return Ground(sealed=None, edge=ground.edge, guarded=empty, signed_by=signers[:1])

    async def _seal(self, head: _Head, entries: list[Entry]) -> _Head:
        grown = await asyncio.to_thread(_grow, head.edge, entries)
        signers = self._signers(head)
        checkpoint = Checkpoint(origin=self._keyring.origin, size=head.edge.size, root=head.edge.root())
        sealed = Sealed(
            size=checkpoint.size,
            root=checkpoint.root,
            note=checkpoint.signed_by(signers),
            sealed_at=self._clock(),
        )
        await self._commit(checkpoint.size - len(entries), grown, sealed)
        await self._guard_it(head.guarded, sealed.note)
        await self._publish(sealed.size, sealed.note)
        if signers != head.signed_by:
            await self._report(signers[0].vkey, None)
        if len(signers) > 1:
            await asyncio.to_thread(self._keyring.forget_before, signers[0])
        return _Head(head.edge, sealed.note, signers)

    def _signers(self, head: _Head) -> tuple[Signer, ...]:
        """Take the current key, and those before it until a checkpoint of the current one is known."""
        signers = self._keyring.signers()
        known = {signer.vkey for signer in head.signed_by}
        if not any(signer.vkey in known for signer in signers):
            raise key_lost(signers)
        return signers[:1] if signers[0].vkey in known else signers

    async def _commit(self, after: int, grown: Grown, sealed: Sealed) -> None:
        """Write tiles and checkpoint, if this process still leads and nobody has sealed meanwhile."""
        ledger_id = self._ledger.ledger_id
        async with self._ledger.pool.acquire() as conn, conn.transaction():
            if not await standing.hold(conn, ledger_id, self.owner):
                raise LeadLost
            last = await last_sealed(conn, ledger_id)
            if (0 if last is None else last.size) != after:
                raise LeadLost
            await write_tiles(conn, ledger_id, grown)
            await write_checkpoint(conn, ledger_id, sealed)

    async def _guard_it(self, expected: str | None, note: str) -> None:
        if not await self._guard.swap(expected, note):
            raise LeadLost

    async def _publish(self, size: int, note: str) -> None:
        async with reading(self._ledger.pool) as conn:
            await publish(conn, self._ledger.ledger_id, size, note)

    async def _report(self, vkey: str | None, halted: SealingHalted | None) -> None:
        async with reading(self._ledger.pool) as conn:
            await standing.report(conn, self._ledger.ledger_id, self.owner, vkey=vkey, halted=halted)
        code = None if halted is None else halted.code
        if code != self._halted:
            self._halted = code
            if halted is None:
                log.warning("notary.goes_on")
            else:
                log.error("notary.halted", code=code, because=str(halted), **halted.context)

    async def _halt(self, halted: SealingHalted) -> None:
        """Say why nothing is sealed, to whoever can be told."""
        with suppress(*LOST, asyncpg.PostgresError, LedgerError):
            signers = self._keyring.signers()
            await self._report(signers[0].vkey if signers else None, halted)
            async with reading(self._ledger.pool) as conn:  # another process may have the key, or the guard
                await standing.release(conn, self._ledger.ledger_id, self.owner)

    async def release(self) -> None:
        """Let another process seal at once, and close what is open."""
        with suppress(*LOST, asyncpg.PostgresError, LedgerError):
            async with asyncio.timeout(RELEASE_SECONDS), reading(self._ledger.pool) as conn:
                await standing.release(conn, self._ledger.ledger_id, self.owner)
        await self._guard.close()


def _grow(edge: Edge, entries: list[Entry]) -> Grown:
    return edge.grow(leaves_of(entries, after=edge.size))

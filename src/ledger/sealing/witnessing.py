"""Rounds of asking witnesses: the newest checkpoint is offered to all of them side by side (ADR 0027).

Nobody waits for anybody here: sealing not for a round, no witness for another, and no round for a slow witness, which
joins a later one. A witness is asked by the process that has the errand; were it two, the witness would give both the
same.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from ledger.domain.errors import LedgerError
from ledger.identity.identity import writing
from ledger.sealing import partners
from ledger.sealing.asking import OK, Outbound, PartnerFailed
from ledger.sealing.notes import Note
from ledger.sealing.offering import LONGEST_REST, HistoryForked, begins_at, rest_after
from ledger.sealing.rows import Sealed, last_checkpoint, read_tiles
from ledger.sealing.tree import consistency_proof, consistency_tiles
from ledger.sealing.witnesses import Cosignature, Watch, Witness, keep, last_cosigned, verified
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.store.signals import Bell

log = structlog.get_logger()

ERRAND: Final = "witnesses"
LEASE_SECONDS: Final = 15.0
LOOK_EVERY: Final = 5.0
"""Seconds after which a round begins though nothing was sealed: for those who failed, and to keep the errand."""
REFRESH: Final = timedelta(minutes=10)
"""A quiet log is cosigned anew after so long: that nothing was added is a statement, too."""
TRIES: Final = 3


class _Contact(msgspec.Struct):
    """What this process knows of a witness; ``size`` is ``None`` until it has been asked once."""

    size: int | None = None
    cosigned_at: datetime | None = None
    failures: int = 0
    problem: str | None = None
    not_before: float = 0.0
    task: asyncio.Task[None] | None = None


class Rounds:
    """One process's part in asking."""

    def __init__(
        self,
        ledger: Ledger,
        watch: Watch,
        sealed: Bell,
        clock: Callable[[], datetime],
        *,
        interval: float,
        outbound: Callable[[], Outbound] = Outbound,
    ) -> None:
        """Prepare to ask the witnesses of ``watch`` at most every ``interval`` seconds, whenever ``sealed`` rings."""
        self._ledger, self._watch, self._sealed, self._clock = ledger, watch, sealed, clock
        self._interval, self._outbound = interval, outbound
        self._owner: UUID = uuid7()
        self._contacts = {witness.partner: _Contact() for witness in watch.witnesses}
        self._is_named = False

    async def run_forever(self) -> None:
        """Hold rounds until cancelled; one that fails is logged, and the next one tries again."""
        now = asyncio.get_running_loop().time
        async with self._outbound() as outbound:
            try:
                while True:
                    rings, began = self._sealed.rings(), now()
                    try:
                        await self.round(outbound)
                    except LedgerError as failed:
                        log.warning("witnesses.round.failed", code=failed.code)
                    await asyncio.sleep(max(0.0, began + self._interval - now()))
                    await self._sealed.wait_past(rings, LOOK_EVERY)
            finally:
                await self._stop()

    async def round(self, outbound: Outbound) -> None:
        """Offer the newest checkpoint to everybody who is neither busy nor resting, without waiting for them.

        Raises:
            DatabaseUnreachable: nothing is known without the database.
        """
        ledger_id = self._ledger.ledger_id
        if not await partners.claim(self._ledger.pool, ledger_id, ERRAND, self._owner, seconds=LEASE_SECONDS):
            return
        async with reading(self._ledger.pool) as conn:
            newest = await last_checkpoint(conn, ledger_id)
        if newest is None:
            return
        self._check_named(newest)
        for witness in self._watch.witnesses:
            contact = self._contacts[witness.partner]
            if witness.url is not None and contact.task is None and self._is_due(contact, newest):
                self._begin(outbound, witness, contact, newest)

    async def settle(self) -> None:
        """Wait for everybody who was asked."""
        while tasks := [contact.task for contact in self._contacts.values() if contact.task is not None]:
            await asyncio.wait(tasks)

    def _is_due(self, contact: _Contact, newest: Sealed) -> bool:
        if asyncio.get_running_loop().time() < contact.not_before:
            return False
        if contact.size is None or contact.size < newest.size or contact.failures:
            return True
        return contact.cosigned_at is None or self._clock() - contact.cosigned_at > REFRESH

    def _begin(self, outbound: Outbound, witness: Witness, contact: _Contact, newest: Sealed) -> None:
        task = asyncio.create_task(
            self._ask(outbound, witness, contact, newest), name=f"witness-{witness.name}"
        )
        contact.task = task
        task.add_done_callback(lambda done: _ended(witness, contact, done))

    async def _ask(self, outbound: Outbound, witness: Witness, contact: _Contact, newest: Sealed) -> None:
        """Ask one witness and write down what came of it."""
        try:
            found = await self._cosigned(outbound, witness, contact, newest)
            await self._keep(witness, newest, found)
        except PartnerFailed as failed:
            await self._failed(witness, contact, failed)
        except LedgerError as lost:  # of the database: the witness is asked again, and gives the same
            contact.not_before = asyncio.get_running_loop().time() + LOOK_EVERY
            log.warning("witness.not_written", witness=witness.name, code=lost.code)
        else:
            if contact.failures:
                log.info("witness.recovered", witness=witness.name, failures=contact.failures)
            contact.size, contact.cosigned_at = newest.size, found.cosigned_at
            contact.failures, contact.problem = 0, None

    async def _cosigned(
        self, outbound: Outbound, witness: Witness, contact: _Contact, newest: Sealed
    ) -> Cosignature:
        """Have a checkpoint cosigned, beginning where the witness says; it is asked three times at most.

        Raises:
            HistoryForked: it has seen another history.
            PartnerFailed: it did not cosign for another reason.
        """
        text = Note.parse(newest.note).text
        old = contact.size if contact.size is not None else await self._stored(witness)
        for _ in range(TRIES):
            if old > newest.size:
                await self._check_ahead(old)
            answer = await outbound.post(
                f"{str(witness.url).rstrip('/')}/add-checkpoint",
                "text/plain; charset=utf-8",
                await self._request(old, newest),
            )
            if answer.status == OK:
                found = verified(witness, text, answer.body.decode(errors="replace"), now=self._clock())
                if found is None:
                    raise PartnerFailed("no-valid-cosignature")
                return found
            old = begins_at(answer, old, newest)
        raise PartnerFailed("conflict")

    async def _stored(self, witness: Witness) -> int:
        async with reading(self._ledger.pool) as conn:
            last = await last_cosigned(conn, self._ledger.ledger_id, [witness])
        return last[witness.partner].size if last else 0

    async def _check_ahead(self, told: int) -> None:
        """Find out whether the witness has seen more than there is, or only more than was the newest a moment ago.

        Raises:
            HistoryForked: it has seen more than there is.
            PartnerFailed: another process has offered it a newer one meanwhile.
        """
        async with reading(self._ledger.pool) as conn:
            last = await last_checkpoint(conn, self._ledger.ledger_id)
        if last is None or last.size < told:
            raise HistoryForked(told)
        raise PartnerFailed("overtaken")

    async def _request(self, old: int, newest: Sealed) -> bytes:
        """Write what a witness is asked with: where the proof begins, the proof, the checkpoint."""
        hashes: tuple[bytes, ...] = ()
        if 0 < old < newest.size:
            async with reading(self._ledger.pool) as conn:
                asked = consistency_tiles(old, newest.size)
                tiles = await read_tiles(conn, self._ledger.ledger_id, asked)
            hashes = consistency_proof(old, newest.size, tiles)
        return "\n".join(
            [f"old {old}", *(b64encode(one).decode() for one in hashes), "", newest.note]
        ).encode()

    async def _keep(self, witness: Witness, newest: Sealed, found: Cosignature) -> None:
        ledger_id = self._ledger.ledger_id
        async with writing(self._ledger.pool) as conn:
            await keep(conn, ledger_id, newest.size, witness.key, found)
            await partners.succeeded(conn, ledger_id, witness.partner, self._clock())

    async def _failed(self, witness: Witness, contact: _Contact, failed: PartnerFailed) -> None:
        """Leave a witness alone for a while, each time twice as long, and say so when the reason is a new one."""
        forked_size = failed.size if isinstance(failed, HistoryForked) else None
        if failed.problem != contact.problem:
            if forked_size is not None:
                log.error("witness.forked", witness=witness.name, size=forked_size)
            else:
                log.warning("witness.failed", witness=witness.name, problem=failed.problem)
        contact.failures, contact.problem, contact.size = contact.failures + 1, failed.problem, None
        rest = rest_after(contact.failures, self._interval, failed.retry_after)
        contact.not_before = asyncio.get_running_loop().time() + rest
        with suppress(LedgerError):  # of the database: it is said in the log, and tried again
            await partners.failed(
                self._ledger.pool,
                self._ledger.ledger_id,
                witness.partner,
                self._clock(),
                problem=failed.problem,
                forked_size=forked_size,
            )

    def _check_named(self, newest: Sealed) -> None:
        """Say once if auditors who follow the policy would not accept what this log signs."""
        if self._is_named or not self._watch.logs:
            return
        self._is_named = True
        signed = {f"{one.name}+{one.key_id.hex()}" for one in Note.parse(newest.note).signatures}
        if not any(vkey.startswith(f"{key}+") for vkey in self._watch.logs for key in signed):
            log.warning("witnesses.policy.names_another_log", signed_by=sorted(signed))

    async def _stop(self) -> None:
        """Break off what is under way, and let another process have the errand at once."""
        tasks = [contact.task for contact in self._contacts.values() if contact.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(LedgerError):
            await partners.give_back(self._ledger.pool, self._ledger.ledger_id, ERRAND, self._owner)


def _ended(witness: Witness, contact: _Contact, task: asyncio.Task[None]) -> None:
    contact.task = None
    if not task.cancelled() and (fault := task.exception()) is not None:
        contact.not_before = asyncio.get_running_loop().time() + LONGEST_REST
        log.error("witness.broken", witness=witness.name, exc_info=fault)

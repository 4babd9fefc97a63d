"""Waiting for a seal: by the bell, within bounds, and not where it is in vain."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from ledger.domain.ids import Position
from ledger.sealing.notary import Notary, default_origin
from ledger.sealing.receipts import Receipts
from ledger.sealing.standing import Halt
from ledger.store.ledger import Ledger
from tests.support.databases import Database
from tests.support.sealing import append_some, sealed_in
from tests.support.tlog_proof import Proof

T = TypeVar("T")
FOR_EVER = 3600.0
HANG_GUARD = 60.0


@pytest.fixture
async def opened(database: Database) -> Ledger:
    """A ledger that has not begun to listen: whoever hears of seals has to be made first."""
    return await Ledger.open(database.service_url)


def notary_of(ledger: Ledger) -> Notary:
    return Notary(ledger, origin=default_origin(ledger))


async def soon(waiting: Awaitable[T]) -> T:
    """Fail rather than hang."""
    async with asyncio.timeout(HANG_GUARD):
        return await waiting


async def test_everybody_who_waits_is_woken_by_the_seal(opened: Ledger, tmp_path: Path) -> None:
    receipts = Receipts(opened, notary_of(opened))
    async with opened as ledger:
        await append_some(ledger, 4)
        waiting = [
            asyncio.create_task(receipts.proof_within(Position(position), FOR_EVER))
            for position in range(1, 5)
        ]
        await asyncio.sleep(0)

        await sealed_in(ledger, tmp_path)

        proofs = await soon(asyncio.gather(*waiting))
        assert [Proof.parse(proof or "").index for proof in proofs] == [0, 1, 2, 3]


async def test_what_is_sealed_already_is_not_waited_for(opened: Ledger, tmp_path: Path) -> None:
    receipts = Receipts(opened, notary_of(opened))
    async with opened as ledger:
        await append_some(ledger, 2)
        await sealed_in(ledger, tmp_path)

        assert await soon(receipts.proof_within(Position(2), 0)) is not None


async def test_a_seal_that_does_not_reach_far_enough_is_not_enough(opened: Ledger, tmp_path: Path) -> None:
    receipts = Receipts(opened, notary_of(opened))
    async with opened as ledger:
        await append_some(ledger, 2)
        waiting = asyncio.create_task(receipts.proof_within(Position(3), FOR_EVER))
        await sealed_in(ledger, tmp_path)
        assert await soon(receipts.proof_within(Position(2), FOR_EVER)) is not None
        assert not waiting.done()

        await append_some(ledger, 1)
        await sealed_in(ledger, tmp_path)

        assert Proof.parse(await soon(waiting) or "").index == 2


async def test_nobody_waits_while_sealing_stands_still(opened: Ledger) -> None:
    notary = notary_of(opened)
    receipts = Receipts(opened, notary)
    async with opened as ledger:
        await append_some(ledger, 1)
        notary.halt = Halt(code="guard-ahead", because="a test says so", since=datetime.now(UTC))

        assert await soon(receipts.proof_within(Position(1), FOR_EVER)) is None


async def test_who_waits_is_told_when_sealing_comes_to_stand_still(opened: Ledger) -> None:
    notary = notary_of(opened)
    receipts = Receipts(opened, notary)
    async with opened as ledger:
        await append_some(ledger, 1)
        waiting = asyncio.create_task(receipts.proof_within(Position(1), FOR_EVER))
        while not notary.sealed.rings():  # it listens
            await asyncio.sleep(0.01)

        notary.halt = Halt(code="guard-ahead", because="a test says so", since=datetime.now(UTC))
        notary.sealed.ring()

        assert await soon(waiting) is None


async def test_only_so_many_wait_at_once(opened: Ledger, tmp_path: Path) -> None:
    receipts = Receipts(opened, notary_of(opened), most_waiting=0)
    async with opened as ledger:
        await append_some(ledger, 1)
        assert await soon(receipts.proof_within(Position(1), FOR_EVER)) is None

        await sealed_in(ledger, tmp_path)
        assert await soon(receipts.proof_within(Position(1), FOR_EVER)) is not None


async def test_a_ring_that_is_not_heard_delays_a_receipt_and_nothing_else(
    ledger: Ledger, tmp_path: Path
) -> None:
    deaf = Receipts(ledger, notary_of(ledger))  # made too late to hear of anything
    await append_some(ledger, 1)
    assert await soon(deaf.proof_within(Position(1), 0)) is None
    await sealed_in(ledger, tmp_path)

    assert await soon(deaf.proof_within(Position(1), 0.02)) is not None


async def test_waiting_has_an_end(opened: Ledger) -> None:
    receipts = Receipts(opened, notary_of(opened))
    async with opened as ledger:
        await append_some(ledger, 1)

        assert await soon(receipts.proof_within(Position(1), 0.02)) is None

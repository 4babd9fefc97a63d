"""Proofs and entry bundles, read from the rows as they lie."""

from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import metamorphic_log as referee
import pytest

from ledger.domain.ids import Position
from ledger.sealing.entries import EntryTooLong, EventsMissing, bundle, read_bundle
from ledger.sealing.notes import COSIGNATURE, Signer, checkpoint_in
from ledger.sealing.proofs import checkpoint_over_all, proof_of
from ledger.sealing.rows import Sealed
from ledger.sealing.tree import Tile, TileMissing
from ledger.sealing.witnesses import Cosignature, keep
from ledger.store.ledger import Ledger
from tests.api.answers import as_owner
from tests.support.databases import Database
from tests.support.sealing import append_some, sealed_in
from tests.support.tlog_proof import Proof, vkeys_in

NORTH = Signer("witness.test/north", bytes(32), COSIGNATURE).verifier
SOUTH = Signer("witness.test/south", bytes(range(32)), COSIGNATURE).verifier


async def cosigned(ledger: Ledger, sealed: Sealed, *names: str) -> None:
    """Let rows say that witnesses cosigned; what they are worth, others test."""
    async with ledger.pool.acquire() as conn:
        for key in (NORTH, SOUTH):
            if key.name.endswith(names):
                line = f"— {key.name} AAAA{sealed.size}"
                found = Cosignature(line=line, cosigned_at=datetime.now(UTC))
                await keep(conn, ledger.ledger_id, sealed.size, key, found)


async def proof(ledger: Ledger, position: int) -> Proof:
    found = await proof_of(ledger, Position(position))
    assert found is not None
    return Proof.parse(found)


async def test_a_proof_is_by_the_last_checkpoint_and_a_referee_accepts_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    await append_some(ledger, 5)
    await sealed_in(ledger, tmp_path)
    await append_some(ledger, 2)
    last = await sealed_in(ledger, tmp_path)

    found = await proof(ledger, 3)

    assert checkpoint_in(found.note).size == last.size == 7
    leaf = await ledger.pool.fetchval("select leaf_hash from ledger.events where position = 3")
    referee.checkpoint_verify_inclusion(found.note, vkeys_in(ledger, tmp_path), 2, leaf, list(found.path))


async def test_a_log_of_one_event_is_proved_by_its_root_alone(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 1)
    sealed = await sealed_in(ledger, tmp_path)

    found = await proof(ledger, 1)

    assert found.path == ()
    assert checkpoint_in(found.note).root == sealed.root


@pytest.mark.parametrize("position", [0, -1, 4, 2**62])
async def test_there_is_no_proof_of_what_is_not_sealed(ledger: Ledger, tmp_path: Path, position: int) -> None:
    assert await proof_of(ledger, Position(1)) is None
    await append_some(ledger, 3)
    await sealed_in(ledger, tmp_path)
    await append_some(ledger, 1)

    assert await proof_of(ledger, Position(position)) is None


async def test_of_the_checkpoints_over_an_event_the_one_that_most_witnesses_cosigned_proves_it(
    ledger: Ledger, tmp_path: Path
) -> None:
    sealed = []
    for _ in range(4):
        await append_some(ledger, 2)
        sealed.append(await sealed_in(ledger, tmp_path))
    await cosigned(ledger, sealed[0], "north", "south")
    await cosigned(ledger, sealed[1], "north", "south")
    await cosigned(ledger, sealed[2], "north")

    early, between, late = await proof(ledger, 1), await proof(ledger, 5), await proof(ledger, 7)

    assert early.note == sealed[1].note + "— witness.test/north AAAA4\n— witness.test/south AAAA4\n"
    assert between.note == sealed[2].note + "— witness.test/north AAAA6\n"
    assert late.note == sealed[3].note


@pytest.mark.parametrize(("minutes", "size"), [(9, 2), (11, 4)])
async def test_who_wants_all_there_is_does_not_wait_for_witnesses_that_are_away(
    ledger: Ledger, tmp_path: Path, minutes: int, size: int
) -> None:
    for _ in range(2):
        await append_some(ledger, 2)
        sealed = await sealed_in(ledger, tmp_path)
        if sealed.size == 2:
            await cosigned(ledger, sealed, "north", "south")
    await ledger.pool.execute(
        "update work.notary_checkpoints set sealed_at = sealed_at - make_interval(mins => $1) where size = 2",
        minutes,
    )

    async with ledger.pool.acquire() as conn:
        found = await checkpoint_over_all(conn, ledger.ledger_id, Position(1))

    assert found is not None
    assert found.size == size


async def test_a_tile_that_is_gone_is_missed(ledger: Ledger, database: Database, tmp_path: Path) -> None:
    await append_some(ledger, 3)
    await sealed_in(ledger, tmp_path)
    await as_owner(database, "delete from work.notary_tiles")

    with pytest.raises(TileMissing) as refused:
        await proof_of(ledger, Position(1))

    assert refused.value.context == {"tile": "tile/0/000.p/3"}


async def test_a_bundle_holds_each_entry_behind_its_length(ledger: Ledger, database: Database) -> None:
    await append_some(ledger, 3)
    envelopes = await ledger.pool.fetch("select envelope from ledger.events order by position")
    expected = b"".join(len(row[0]).to_bytes(2, "big") + row[0] for row in envelopes)

    async with ledger.pool.acquire() as conn:
        assert await read_bundle(conn, ledger.ledger_id, Tile(0, 0, 3)) == expected


async def test_events_that_are_gone_are_missed(database: Database, ledger: Ledger) -> None:
    await append_some(ledger, 4)
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("alter table ledger.events disable trigger all")
        await owner.execute("delete from ledger.events where position = 2")
    finally:
        await owner.close()

    async with ledger.pool.acquire() as conn:
        with pytest.raises(EventsMissing) as refused:
            await read_bundle(conn, ledger.ledger_id, Tile(0, 0, 4))

    assert refused.value.context == {"missing": 2, "first": 1, "last": 4, "found": 3}


def test_an_entry_that_no_two_bytes_can_measure_is_refused() -> None:
    assert bundle([b"x" * 65_535])[:2] == b"\xff\xff"
    with pytest.raises(EntryTooLong) as refused:
        bundle([b"x" * 65_536])

    assert refused.value.context == {"bytes": 65_536}

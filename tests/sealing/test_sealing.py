"""What the notary makes of a log, round by round."""

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.sealing.guard import GuardUnreachable
from ledger.sealing.notary import Notary, default_origin
from ledger.sealing.notes import Note, Verifier, checkpoint_in
from ledger.sealing.rows import (
    checkpoint_of,
    checkpoints_from,
    last_checkpoint,
    read_tiles,
)
from ledger.sealing.tree import Tile, TileMissing
from ledger.store.ledger import Ledger
from tests.support.databases import Database
from tests.support.sealing import append_some, guard_in, keyring_in, seal, sealed_in, sealer_in

HANG = 60.0


async def leaves_of(ledger: Ledger) -> list[bytes]:
    rows = await ledger.pool.fetch("select envelope from ledger.events order by position")
    return [sha256(b"\x00" + row["envelope"]).digest() for row in rows]


async def test_a_checkpoint_is_signed_over_all_that_was_appended(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 3)
    sealed = await sealed_in(ledger, tmp_path)

    one, two, three = await leaves_of(ledger)
    root = sha256(b"\x01" + sha256(b"\x01" + one + two).digest() + three).digest()
    assert (sealed.size, sealed.root) == (3, root)
    found = checkpoint_in(sealed.note)
    assert (found.origin, found.size, found.root) == (default_origin(ledger), 3, root)
    (signer,) = keyring_in(ledger, tmp_path).signers()
    assert Verifier.parse(signer.vkey).signed(Note.parse(sealed.note))


async def test_the_guard_holds_the_last_checkpoint(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 2)
    sealed = await sealed_in(ledger, tmp_path)
    assert await guard_in(tmp_path).read() == sealed.note


async def test_before_the_first_event_the_guard_holds_the_empty_tree(ledger: Ledger, tmp_path: Path) -> None:
    await seal(sealer_in(ledger, tmp_path))
    note = await guard_in(tmp_path).read()
    assert note is not None
    assert checkpoint_in(note).size == 0
    assert checkpoint_in(note).root == sha256(b"").digest()


async def test_the_name_of_the_log_does_not_give_its_namespace_away(ledger: Ledger) -> None:
    namespace = await ledger.pool.fetchval("select namespace from ledger.ledger_identity")
    assert str(namespace) not in default_origin(ledger)


async def test_checkpoints_are_found_by_size_and_by_what_they_cover(ledger: Ledger, tmp_path: Path) -> None:
    sealer = sealer_in(ledger, tmp_path)
    for count in (2, 3, 1):
        await append_some(ledger, count)
        await seal(sealer)
    async with ledger.pool.acquire() as conn:
        last = await last_checkpoint(conn, 1)
        exact = await checkpoint_of(conn, 1, 5)
        assert await checkpoint_of(conn, 1, 4) is None
        covering = [await checkpoints_from(conn, 1, at, 1) for at in range(1, 8)]
        from_three = await checkpoints_from(conn, 1, 3, 10)
        one = await checkpoints_from(conn, 1, 1, 1)
    assert last is not None
    assert exact is not None
    assert (last.size, exact.size) == (6, 5)
    assert [[found.size for found in first] for first in covering] == [[2], [2], [5], [5], [5], [6], []]
    assert [found.size for found in from_three] == [5, 6]
    assert [found.size for found in one] == [2]


async def test_a_tile_is_read_as_wide_as_it_is_asked_for(ledger: Ledger, tmp_path: Path) -> None:
    await append_some(ledger, 5)
    await sealed_in(ledger, tmp_path)
    leaves = await leaves_of(ledger)
    async with ledger.pool.acquire() as conn:
        found = await read_tiles(conn, 1, [Tile(0, 0, 2), Tile(0, 0, 5)])
        assert found == {Tile(0, 0, 2): b"".join(leaves[:2]), Tile(0, 0, 5): b"".join(leaves)}
        with pytest.raises(TileMissing):
            await read_tiles(conn, 1, [Tile(0, 0, 6)])
        with pytest.raises(TileMissing):
            await read_tiles(conn, 1, [Tile(1, 0, 1)])


async def test_nothing_is_published_before_the_guard_has_it(ledger: Ledger, tmp_path: Path) -> None:
    sealer = sealer_in(ledger, tmp_path)
    await append_some(ledger, 1)
    await seal(sealer)

    async def unreachable(expected: str | None, note: str) -> bool:
        raise GuardUnreachable(place="nowhere", reason="a test")

    sealer._guard.swap = unreachable
    await append_some(ledger, 1)
    with pytest.raises(GuardUnreachable):
        await seal(sealer)
    async with ledger.pool.acquire() as conn:
        last = await last_checkpoint(conn, 1)
    assert last is not None
    assert last.size == 1


async def test_the_loop_seals_what_is_appended_and_rings_in_every_process(
    database: Database, tmp_path: Path
) -> None:
    async with asyncio.timeout(HANG):
        ledger, elsewhere = await Ledger.open(database.service_url), await Ledger.open(database.service_url)
        notary = Notary(elsewhere, origin=default_origin(elsewhere))
        async with ledger, elsewhere:
            going = asyncio.create_task(sealer_in(ledger, tmp_path).run_forever())
            for count in (1, 2):
                await append_some(elsewhere, count)
                while (await notary.status()).lag:
                    rings = notary.sealed.rings()
                    if (await notary.status()).lag:
                        assert await notary.sealed.wait_past(rings, HANG)
            status = await notary.status()
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)
    assert status.sealed is not None
    assert (status.sealed.size, status.halt, status.is_held) == (3, None, True)
    assert status.vkey == keyring_in(ledger, tmp_path).signers()[0].vkey

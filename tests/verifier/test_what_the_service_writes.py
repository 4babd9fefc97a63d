"""Proofs, notes and tiles of the service are read as what they are by the verifier, which shares no code with it."""

from pathlib import Path

import pytest

from ledger.domain.ids import Position
from ledger.sealing.notes import Signer
from ledger.sealing.proofs import proof_of
from ledger.sealing.tree import entries_path as written_entries_path
from ledger.sealing.tree import tile_path, tiles_of
from ledger.store.ledger import Ledger
from ledger.verifier import tiles
from ledger.verifier.merkle import ProofWrong
from ledger.verifier.notes import COSIGNATURE, SIGNATURE, parse_key
from ledger.verifier.policy import parse_policy
from ledger.verifier.proofs import check_proof, parse_proof
from tests.support.sealing import append_some, keyring_in, sealed_in

EVENTS = 300


async def test_proofs_of_the_service_hold_for_their_entries_alone(ledger: Ledger, tmp_path: Path):
    await append_some(ledger, EVENTS)
    await sealed_in(ledger, tmp_path)
    (signer,) = keyring_in(ledger, tmp_path).signers()
    policy = parse_policy(f"log {signer.vkey}\nquorum none\n".encode())
    entries = [
        row["envelope"]
        for row in await ledger.pool.fetch("select envelope from ledger.events order by position")
    ]

    for position in (1, 2, 255, 256, 257, EVENTS):
        text = await proof_of(ledger, Position(position))
        assert text is not None
        proof = parse_proof(text.encode())
        assert check_proof(proof, entries[position - 1], policy).checkpoint.size == EVENTS
        with pytest.raises(ProofWrong):
            check_proof(proof, entries[position % EVENTS], policy)


def test_keys_are_read_as_they_are_written():
    for kind in (SIGNATURE, COSIGNATURE):
        key = parse_key(Signer("ledger.example/log", b"s" * 32, kind).vkey)
        assert (key.name, key.kind) == ("ledger.example/log", kind)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_536, 70_000, 256_300])
def test_both_name_the_same_tiles(size: int):
    assert [tile_path(tile) for tile in tiles_of(size)] == [tile.path() for tile in tiles.tiles_of(size)]


@pytest.mark.parametrize(("index", "width"), [(0, 1), (67, 256), (999, 255), (1_234_067, 256), (12_000, 3)])
def test_both_name_the_same_files_of_entries(index: int, width: int):
    assert tiles.entries_path(index, width) == written_entries_path(index, width)

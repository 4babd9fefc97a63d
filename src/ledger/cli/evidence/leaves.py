"""Events as they are stored, with all that proves them: what opens the hash, and the way to a signed root."""

from collections.abc import Sequence
from datetime import UTC
from typing import Final

import msgspec

from ledger.domain.ids import Position
from ledger.sealing.proofs import checkpoint_over, written
from ledger.sealing.rows import Sealed, read_tiles
from ledger.sealing.tree import inclusion_proof, inclusion_tiles
from ledger.sealing.witnesses import cosigned_note
from ledger.store.ledger import Ledger
from ledger.store.openings import openings
from ledger.store.pool import Connection, reading
from ledger.store.streams import Stored
from ledger.verifier.envelope import parse_envelope
from ledger.verifier.leaves import EntryDiffers, claimed
from ledger.verifier.merkle import ProofWrong, check_inclusion, leaf_hash
from ledger.verifier.payloads import check_payload
from ledger.verifier.proofs import parse_proof
from ledger.verifier.rows import ColumnDiffers

RECORDED_AT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
REPEATED: Final = ("stream", "version", "type", "schema_version", "actor")


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is stored, and what opens it; ``proof`` is ``None`` while it is not sealed."""

    stored: Stored
    salt: str
    payload: str
    proof: str | None

    @property
    def position(self) -> Position:
        """Say where it lies."""
        return self.stored.position

    @property
    def envelope(self) -> bytes:
        """Give the entry of the log, byte for byte."""
        return self.stored.envelope or b""


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoint that everything here is proven by, as it is handed out."""

    sealed: Sealed
    note: str

    @property
    def origin(self) -> str:
        """Give the name of the log."""
        return self.note.partition("\n")[0]


async def seal_over(conn: Connection, ledger_id: int, position: Position) -> Seal | None:
    """Choose the checkpoint to prove everything by, over ``position`` if there is one; ``None``: nothing is sealed."""
    sealed = await checkpoint_over(conn, ledger_id, position)
    if sealed is None:
        return None
    return Seal(sealed=sealed, note=await cosigned_note(conn, ledger_id, sealed))


async def leaves_of(ledger: Ledger, stored: Sequence[Stored], seal: Seal | None) -> tuple[Leaf, ...]:
    """Prove events, in order, each once, all by one checkpoint.

    Raises:
        Tampered: one of them is not what was sealed, or what lies beside its envelope is not what that says.
    """
    events = {one.position: one for one in stored}
    found = list[Leaf]()
    async with reading(ledger.pool) as conn:
        proofs = await _proofs(conn, ledger.ledger_id, seal, sorted(events))
    for position in sorted(events):
        async for page in openings(ledger.pool, ledger.ledger_id, first=position, last=position):
            found += (
                Leaf(
                    stored=events[position],
                    salt=one.salt,
                    payload=one.payload,
                    proof=proofs.get(position),
                )
                for one in page
            )
    for leaf in found:
        _check(leaf)
    return tuple(found)


def _check(leaf: Leaf) -> None:
    """Check that what people will be told of an event is what the log commits to: a proof alone is of the envelope."""
    position, stored = leaf.position, leaf.stored
    envelope = parse_envelope(leaf.envelope, position)
    if leaf.proof is not None:
        _check_sealed(leaf, leaf.proof)
    told = {
        **{column: getattr(stored, column) for column in REPEATED},
        "event_id": str(stored.event_id),
        "recorded_at": stored.recorded_at.astimezone(UTC).strftime(RECORDED_AT),
    }
    for column, value in told.items():
        sealed = getattr(envelope, column)
        if value != sealed:
            raise ColumnDiffers(
                position=position, stream=envelope.stream, column=column, stored=value, sealed=sealed
            )
    for payload in (leaf.payload.encode(), stored.payload):
        if payload is not None:
            check_payload(position, envelope, bytes.fromhex(leaf.salt), payload)


def _check_sealed(leaf: Leaf, text: str) -> None:
    proof = parse_proof(text.encode())
    try:
        check_inclusion(
            index=proof.index,
            size=proof.checkpoint.size,
            leaf=leaf_hash(leaf.envelope),
            proof=proof.hashes,
            root=proof.checkpoint.root,
        )
    except ProofWrong as wrong:
        raise EntryDiffers(position=leaf.position, **claimed(leaf.envelope)) from wrong


async def _proofs(
    conn: Connection, ledger_id: int, seal: Seal | None, positions: Sequence[Position]
) -> dict[Position, str]:
    if seal is None:
        return {}
    size = seal.sealed.size
    proven = [position for position in positions if position <= size]
    needed = dict.fromkeys(tile for one in proven for tile in inclusion_tiles(one - 1, size))
    tiles = await read_tiles(conn, ledger_id, list(needed))
    return {one: written(one - 1, inclusion_proof(one - 1, size, tiles), seal.note) for one in proven}

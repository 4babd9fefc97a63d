"""Events as they are stored, with all that proves them: what opens the hash, and the way to a signed root."""

from collections.abc import Sequence

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
    """Prove events, in order, each once, all by one checkpoint."""
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
    return tuple(found)


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

"""Proofs that events are in the log, as text that one keeps and checks without us (C2SP tlog-proof)."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from ledger.domain.ids import Position
from ledger.sealing.rows import last_checkpoint, read_tiles
from ledger.sealing.tree import inclusion_proof, inclusion_tiles
from ledger.store.ledger import Ledger
from ledger.store.pool import reading

FORMAT: Final = "c2sp.org/tlog-proof@v1"


async def proof_of(ledger: Ledger, position: Position) -> str | None:
    """Prove that the event at ``position`` is in the log, by the last checkpoint; ``None``: it is not sealed yet.

    Raises:
        TileMissing: the log's tree is not whole.
    """
    index = position - 1
    async with reading(ledger.pool) as conn:
        sealed = await last_checkpoint(conn, ledger.ledger_id)
        if sealed is None or not 0 <= index < sealed.size:
            return None
        tiles = await read_tiles(conn, ledger.ledger_id, inclusion_tiles(index, sealed.size))
        note = sealed.note
    return written(index, inclusion_proof(index, sealed.size, tiles), note)


def written(index: int, path: Sequence[bytes], note: str) -> str:
    """Write a proof down: the leaf's index, the hashes from its sibling up to below the root, the signed checkpoint."""
    hashes = "".join(f"{b64encode(one).decode()}\n" for one in path)
    return f"{FORMAT}\nindex {index}\n{hashes}\n{note}"

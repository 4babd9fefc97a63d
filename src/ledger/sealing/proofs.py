"""Proofs that events are in the log, as text that one keeps and checks without us (C2SP tlog-proof)."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from ledger.domain.ids import Position
from ledger.sealing.rows import Sealed, checkpoint_of, last_checkpoint, read_tiles
from ledger.sealing.tree import inclusion_proof, inclusion_tiles
from ledger.sealing.witnesses import cosigned_note
from ledger.store.ledger import Ledger
from ledger.store.pool import Connection, reading

FORMAT: Final = "c2sp.org/tlog-proof@v1"
LATELY: Final = timedelta(minutes=10)

# $1 ledger, $2 position; the newest only, or an old event would have all cosignatures counted
MOST_COSIGNED: Final = """
select newest.size from (
    select size from work.notary_cosignatures
    where ledger_id = $1 and size >= $2 order by size desc limit 256
) newest
group by newest.size order by count(*) desc, newest.size desc limit 1
"""


async def proof_of(ledger: Ledger, position: Position) -> str | None:
    """Prove that the event at ``position`` is in the log; ``None``: it is not sealed yet.

    By the checkpoint that, of those over the event, most witnesses cosigned lately, or by the last one: what is kept
    for years should convince whoever asks for witnesses.

    Raises:
        TileMissing: the log's tree is not whole.
    """
    index = position - 1
    async with reading(ledger.pool) as conn:
        sealed = await checkpoint_over(conn, ledger.ledger_id, position)
        if sealed is None or not 0 <= index < sealed.size:
            return None
        tiles = await read_tiles(conn, ledger.ledger_id, inclusion_tiles(index, sealed.size))
        note = await cosigned_note(conn, ledger.ledger_id, sealed)
    return written(index, inclusion_proof(index, sealed.size, tiles), note)


async def checkpoint_over(conn: Connection, ledger_id: int, position: Position) -> Sealed | None:
    """Choose a checkpoint to hand out: of those over ``position`` the one that most witnesses cosigned lately.

    Where none is cosigned, the last one, be it over ``position`` or not; ``None``: nothing is sealed yet.
    """
    cosigned = await conn.fetchval(MOST_COSIGNED, ledger_id, position)
    found = None if cosigned is None else await checkpoint_of(conn, ledger_id, cosigned)
    return found or await last_checkpoint(conn, ledger_id)


async def checkpoint_over_all(conn: Connection, ledger_id: int, position: Position) -> Sealed | None:
    """As ``checkpoint_over``, for whoever wants all there is: the last one, where it is much newer.

    Witnesses that are away, or are asked no more, must not keep out what came since.
    """
    found, last = await checkpoint_over(conn, ledger_id, position), await last_checkpoint(conn, ledger_id)
    if found is None or last is None or last.sealed_at - found.sealed_at <= LATELY:
        return found
    return last


def written(index: int, path: Sequence[bytes], note: str) -> str:
    """Write a proof down: the leaf's index, the hashes from its sibling up to below the root, the signed checkpoint."""
    hashes = "".join(f"{b64encode(one).decode()}\n" for one in path)
    return f"{FORMAT}\nindex {index}\n{hashes}\n{note}"

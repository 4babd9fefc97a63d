"""Whether the notary may go on from what the database holds: it must be what the guard knows, or begin with it."""

from collections.abc import Sequence

import msgspec

from ledger.domain.errors import Invalid
from ledger.sealing.consistency import is_consistent
from ledger.sealing.edge import Edge, edge_tiles
from ledger.sealing.guard import Guard
from ledger.sealing.halting import (
    CheckpointForged,
    GuardAhead,
    GuardMissing,
    GuardUnreadable,
    HistoryDiffers,
    KeyLost,
    OtherOrigin,
    TilesDiffer,
)
from ledger.sealing.keyring import Keyring
from ledger.sealing.notes import Checkpoint, Note, Signer, checkpoint_in
from ledger.sealing.rows import Sealed, last_sealed, read_tiles
from ledger.sealing.tree import NO_LEAVES, TileMissing, consistency_proof, consistency_tiles
from ledger.store.pool import Connection


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What the notary goes on from.

    ``sealed`` is the last checkpoint in the database (``None``: there is none), ``edge`` that of its tree; ``guarded`` is
    what the guard holds (``None``: it is new), which may be older; ``signed_by`` are the keys of the later of both.
    """

    sealed: Sealed | None
    edge: Edge
    guarded: str | None
    signed_by: tuple[Signer, ...]


async def examine(conn: Connection, ledger_id: int, guard: Guard, keyring: Keyring) -> Ground:
    """Compare database and guard; nothing is changed.

    Raises:
        SealingHalted: they do not agree, or the key is missing.
        GuardUnreachable, NotaryKeyUnusable: nobody can tell now.
    """
    sealed = await last_sealed(conn, ledger_id)
    guarded = await guard.read()
    signers = keyring.signers()
    if guarded is None:
        if sealed is not None:
            raise GuardMissing(place=guard.place, database=sealed.size)
        return Ground(sealed=None, edge=Edge(), guarded=None, signed_by=())
    known = _known(guarded, guard, keyring.origin)
    edge = await edge_of(conn, ledger_id, sealed)
    await _agree(conn, ledger_id, known, sealed, edge)
    signed_by = who_signed(guarded, signers)
    if not signed_by:
        raise key_lost(signers)
    if sealed is not None:
        signed_by = who_signed(sealed.note, signers)
        if not signed_by or not _says(sealed, keyring.origin):
            raise CheckpointForged(size=sealed.size)
    return Ground(sealed=sealed, edge=edge, guarded=guarded, signed_by=signed_by)


async def edge_of(conn: Connection, ledger_id: int, sealed: Sealed | None) -> Edge:
    """Read the edge of the tree that was sealed last.

    Raises:
        TilesDiffer: the tiles do not have the root that was signed.
    """
    if sealed is None:
        return Edge()
    try:
        edge = Edge.of(sealed.size, await read_tiles(conn, ledger_id, edge_tiles(sealed.size)))
    except TileMissing as missing:
        raise TilesDiffer(size=sealed.size, tile=missing.context["tile"]) from missing
    if edge.root() != sealed.root:
        raise TilesDiffer(size=sealed.size)
    return edge


async def _agree(
    conn: Connection, ledger_id: int, known: Checkpoint, sealed: Sealed | None, edge: Edge
) -> None:
    """Make sure that the tree in the database begins with the one that the guard knows."""
    if edge.size < known.size:
        raise GuardAhead(guard=known.size, database=edge.size)
    root = NO_LEAVES if sealed is None else sealed.root
    proof: tuple[bytes, ...] = ()
    if 0 < known.size < edge.size:
        try:
            tiles = await read_tiles(conn, ledger_id, consistency_tiles(known.size, edge.size))
        except TileMissing as missing:
            raise TilesDiffer(size=edge.size, tile=missing.context["tile"]) from missing
        proof = consistency_proof(known.size, edge.size, tiles)
    if not is_consistent(proof, old=known.size, old_root=known.root, new=edge.size, new_root=root):
        raise HistoryDiffers(guard=known.size, database=edge.size)


def key_lost(signers: Sequence[Signer]) -> KeyLost:
    """Say that nothing of ``signers`` has signed the last checkpoint; keys are named by what their signatures name them."""
    keys = [signer.verifier.key_id.hex() for signer in signers]
    return KeyLost(keys=keys) if keys else KeyLost()


def _known(guarded: str, guard: Guard, origin: str) -> Checkpoint:
    try:
        known = checkpoint_in(guarded)
    except Invalid as odd:
        raise GuardUnreadable(place=guard.place) from odd
    if known.origin != origin:
        raise OtherOrigin(guard=known.origin, set=origin)
    return known


def who_signed(note: str, signers: tuple[Signer, ...]) -> tuple[Signer, ...]:
    """Choose the keys whose signatures are below a note; none: it may be no note at all."""
    try:
        parsed = Note.parse(note)
    except Invalid:
        return ()
    return tuple(signer for signer in signers if signer.verifier.signed(parsed))


def _says(sealed: Sealed, origin: str) -> bool:
    text = Checkpoint(origin=origin, size=sealed.size, root=sealed.root).text()
    return Note.parse(sealed.note).text == text

"""``ledger audit prove``: one event, and the proof that it is in the log, in two small files."""

import asyncio
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import msgspec
from cyclopts import Parameter

from ledger.cli.exporting.export import service_at
from ledger.cli.exporting.folder import CannotWrite
from ledger.cli.exporting.service import Service
from ledger.cli.operating import overseeing
from ledger.domain.errors import Invalid, LedgerError, NotFound
from ledger.sealing.entries import read_bundle
from ledger.sealing.notes import checkpoint_in
from ledger.sealing.proofs import proof_of
from ledger.sealing.tree import FULL_WIDTH, Tile, entries_path
from ledger.store.excerpts import locate
from ledger.store.ledger import Ledger
from ledger.store.pool import reading
from ledger.verifier.entries import split_entries
from ledger.verifier.proofs import parse_proof
from ledger.verifier.verdict import Unverified

ENTRY: Final = ".json"


class NoEventId(Invalid):
    """An event is named by its id."""

    code = "no-event-id"
    advice = "GET /api/audit/events lists them; a command's answer links to the proof of its event."


class NoSuchEvent(NotFound):
    """There is no such event here: it was not found."""

    code = "no-such-event"


class NotSealedYet(LedgerError):
    """The event is not sealed yet.

    Context: its ``position``.
    """

    code = "not-sealed-yet"
    advice = "It is within a second while the notary seals; 'ledger notary status' says what keeps it."


class ProofUnusable(LedgerError):
    """What the service gave is no proof.

    Context: the ``reason``.
    """

    code = "proof-unusable"
    advice = "Make sure that --url leads to a decision ledger."


class FileTaken(LedgerError):
    """There is such a file already.

    Context: the ``file``.
    """

    code = "file-taken"
    advice = "Name another one, or remove it."


class Proven(msgspec.Struct, frozen=True):
    """The entry of an event, byte for byte, and its proof."""

    entry: bytes
    proof: str
    position: int


def prove(
    event: Annotated[str, Parameter(help="The id of the event.")],
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="The proof, e.tlog-proof.")],
    url: Annotated[
        str | None, Parameter(help="A running service; else LEDGER_URL, else the database itself.")
    ] = None,
) -> int:
    """Write the proof that EVENT is in the log, and beside it the entry that is proven, as e.json.

    'ledger audit check e.tlog-proof --entry e.json --policy policy.txt' checks it, anywhere and at any time.
    """
    entry = output.with_suffix(ENTRY)
    if entry == output:
        raise FileTaken(file=str(entry))
    for file in (output, entry):
        if file.exists():
            raise FileTaken(file=str(file))
    proven = asyncio.run(_prove(_event_id(event), url))
    try:
        entry.write_bytes(proven.entry)
        output.write_text(proven.proof, encoding="utf-8", newline="")
    except OSError as broken:
        raise CannotWrite(folder=str(output.parent), reason=broken.strerror or str(broken)) from broken
    print(f"{output}, {entry}: position {proven.position}")
    return 0


def _event_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as none:
        raise NoEventId(event=text) from none


async def _prove(event: UUID, url: str | None) -> Proven:
    async with service_at(url) as service:
        if service is not None:
            return await from_the_service(service, event)
    async with overseeing() as ledger:
        return await from_database(ledger, event)


async def from_database(ledger: Ledger, event: UUID) -> Proven:
    """Prove an event from the rows of the database.

    Raises:
        NoSuchEvent: there is none of this id.
        NotSealedYet: it has no proof yet.
    """
    async with reading(ledger.pool) as conn:
        found = await locate(conn, ledger.ledger_id, event)
    if found is None:
        raise NoSuchEvent(event=event)
    proof = await proof_of(ledger, found.position)
    if proof is None:
        raise NotSealedYet(position=found.position)
    tile = _tile(found.position - 1, checkpoint_size(proof))
    async with reading(ledger.pool) as conn:
        entries = await read_bundle(conn, ledger.ledger_id, tile)
    return _proven(found.position, entries, tile, proof)


async def from_the_service(service: Service, event: UUID) -> Proven:
    """Prove an event by what a running service gives out; nothing of it is believed here.

    Raises:
        ServiceRefused: it knows no such event, or it is not sealed yet.
        ProofUnusable: what it gave is no proof.
    """
    proof = await service.get(f"/api/audit/events/{event}/proof")
    try:
        claim = parse_proof(proof)
        tile = _tile(claim.index, claim.checkpoint.size)
        entries = await service.get(f"/tlog/{entries_path(tile.index, tile.width)}")
        return _proven(claim.index + 1, entries, tile, proof.decode())
    except Unverified as wrong:
        raise ProofUnusable(reason=wrong.title()) from wrong


def checkpoint_size(proof: str) -> int:
    """Say how large the tree is that a proof leads to."""
    return checkpoint_in(proof.partition("\n\n")[2]).size


def _tile(index: int, size: int) -> Tile:
    tile = index // FULL_WIDTH
    return Tile(0, tile, min(FULL_WIDTH, size - tile * FULL_WIDTH))


def _proven(position: int, entries: bytes, tile: Tile, proof: str) -> Proven:
    first = tile.index * FULL_WIDTH + 1
    entry = split_entries(entries, first=first, width=tile.width)[position - first]
    return Proven(entry=entry, proof=proof, position=position)

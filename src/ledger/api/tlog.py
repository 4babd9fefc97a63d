"""The log for whoever does not trust us: checkpoint, tiles and entries as C2SP tlog-tiles lays them down, and proofs.

Everything but the checkpoint never changes, so it may be kept for ever. What is not under the last published checkpoint
is not there. Hash tiles tell nothing but hashes; entries say who did what kind of thing when, and are for auditors
unless the installation has opened them (``permissions.OPEN_WHERE_PUBLIC``).
"""

import gzip
import re
from asyncio import to_thread
from base64 import b64encode
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Controller, Response, get
from litestar.params import FromPath, QueryParameter

from ledger.api.caching import FOR_EVER, kept, takes_gzip
from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.permissions import OVERSEERS
from ledger.api.problems import FieldError, InvalidRequest
from ledger.api.types import HttpRequest
from ledger.domain.decision.decide import DECISION
from ledger.domain.errors import NotFound
from ledger.domain.ids import Position
from ledger.domain.reading.events import Extent, Query
from ledger.history import readings
from ledger.sealing import rows
from ledger.sealing.entries import read_bundle
from ledger.sealing.proofs import proof_of
from ledger.sealing.rows import Sealed
from ledger.sealing.tree import FULL_WIDTH, TILE_BITS, Tile, parse_entries_path, parse_tile_path
from ledger.sealing.witnesses import cosigned_note, cosigned_notes
from ledger.store.excerpts import Located, locate
from ledger.store.pool import Connection, reading

TEXT: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"
PREFIX: Final = "/tlog/"
ENTRIES: Final = Query(call="tlog-entries")
FOR_A_MOMENT: Final = "public, max-age=1"
NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
SOON: Final = 1
"""Seconds until an event that was just written should be sealed."""
KEPT: Final = {304: "The caller has it: it never changes"}


class NothingSealed(NotFound):
    """No checkpoint was found: nothing has been sealed yet."""

    code = "nothing-sealed"
    advice = "Come again when something has happened and 'ledger notary status' says that it seals."


class NoSuchTile(NotFound):
    """The log's tree has no such part: tile not found."""

    code = "no-such-tile"
    advice = "The checkpoint says how large the tree is; C2SP tlog-tiles, which parts such a tree has."


class NotSealed(NotFound):
    """No sealed event was found there: there is none, or it is not sealed yet."""

    code = "not-sealed"
    advice = "What was just written is sealed within a second while the notary seals; ask again then."


class NoSuchEvent(NotFound):
    """Event not found: there is none of this id, or it is none of yours."""

    code = "no-such-event"


class CheckpointTold(msgspec.Struct, frozen=True, kw_only=True):
    """How large the log was when it was sealed; ``root`` in base64, ``note`` as it was signed and cosigned."""

    size: int
    root: str
    sealed_at: datetime
    note: str


class CheckpointPage(msgspec.Struct, frozen=True, kw_only=True):
    """Checkpoints, the smallest first; ``next`` is what to ask for in 'from' (``null``: these are the last)."""

    checkpoints: tuple[CheckpointTold, ...]
    next: int | None


class TlogController(Controller):
    """The log as a stranger sees it."""

    path = "/tlog"
    tags = ("Log",)

    @get(
        "/checkpoint",
        opt={"media": "text/plain", "tells": ("ETag",), "also": {**KEPT, 404: "Nothing was sealed yet"}},
    )
    async def log_checkpoint(self, request: HttpRequest) -> Response[bytes]:
        """Give the last checkpoint: a signed note of the log's origin, size and root (C2SP tlog-checkpoint)."""
        ledger = Call(request).services.ledger
        async with reading(ledger.pool) as conn:
            note = await cosigned_note(conn, ledger.ledger_id, await _last(conn, ledger.ledger_id))
        return kept(request, note.encode(), control=FOR_A_MOMENT, headers={"Content-Type": TEXT})

    @get("/checkpoints", opt={"answer": CheckpointPage})
    async def log_checkpoints(
        self,
        request: HttpRequest,
        first: Annotated[
            str | None, QueryParameter(name="from", max_length=18, description="a size of the log")
        ] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
    ) -> Response[bytes]:
        """List the checkpoints over at least as many events as 'from' says, the smallest first."""
        ledger, size = Call(request).services.ledger, _size(first)
        async with reading(ledger.pool) as conn:
            found = await rows.checkpoints_from(conn, ledger.ledger_id, size, limit + 1)
            page, more = found[:limit], found[limit:]
            notes = await cosigned_notes(conn, ledger.ledger_id, page)
        body = CheckpointPage(
            checkpoints=tuple(_told(sealed, note) for sealed, note in zip(page, notes, strict=True)),
            next=more[0].size if more else None,
        )
        return json_response(body)

    @get("/tile/{path:path}", opt={"media": BYTES, "tells": ("ETag",), "also": KEPT})
    async def log_tile(self, request: HttpRequest, path: FromPath[Path]) -> Response[bytes]:
        """Give a tile: up to 256 hashes of the log's tree, at <level>/<index>, or .p/<width> of them."""
        del path  # the framework has tidied it
        ledger, tile = Call(request).services.ledger, parse_tile_path(_path(request))
        async with reading(ledger.pool) as conn:
            sealed = await _under_seal(conn, ledger.ledger_id, tile)
            hashes = await rows.read_tiles(conn, ledger.ledger_id, [sealed])
        return kept(request, hashes[sealed], control=f"public, {FOR_EVER}", headers={"Content-Type": BYTES})

    @get("/tile/entries/{path:path}", opt={"media": BYTES, "tells": ("ETag",), "also": KEPT})
    async def log_entries(self, request: HttpRequest, path: FromPath[Path]) -> Response[bytes]:
        """Give up to 256 entries of the log, at <index> or .p/<width> of them: two bytes of length, then the entry."""
        del path  # as above
        call, tile = Call(request), parse_entries_path(_path(request))
        services, ledger = call.services, call.services.ledger
        async with reading(ledger.pool) as conn:
            sealed = await _under_seal(conn, ledger.ledger_id, tile)
            content = await read_bundle(conn, ledger.ledger_id, sealed)
        if not services.tlog_public:
            await _record(call, sealed)
        headers, variant = {"Content-Type": BYTES, "Vary": "Accept-Encoding, Authorization"}, ""
        if takes_gzip(request):
            content = await to_thread(gzip.compress, content, mtime=0)
            headers["Content-Encoding"], variant = "gzip", "-gzip"
        # What needs a token must not lie in a cache that gives it to others.
        who = "public" if services.tlog_public else "private"
        return kept(request, content, control=f"{who}, {FOR_EVER}", headers=headers, variant=variant)

    @get("/proof/{leaf_index:str}", opt={"media": "text/plain", "delays": (404,)})
    async def log_proof(self, request: HttpRequest, leaf_index: FromPath[str]) -> Response[bytes]:
        """Prove that an event, by its number from 0 on, is under the last checkpoint (C2SP tlog-proof)."""
        if not NUMBER.fullmatch(leaf_index):
            raise NoSuchTile
        return await _proof(Call(request), Position(int(leaf_index) + 1))


@get("/api/audit/events/{event_id:str}/proof", tags=["Log"], opt={"media": "text/plain", "delays": (404,)})
async def event_proof(request: HttpRequest, event_id: FromPath[str]) -> Response[bytes]:
    """Prove that an event is in the log (C2SP tlog-proof): any to auditors, to others what they did or asked for."""
    call = Call(request)
    event = _uuid(event_id)
    if event is None:
        raise NoSuchEvent
    ledger, principal = call.services.ledger, call.principal
    async with reading(ledger.pool) as conn:
        found = await locate(conn, ledger.ledger_id, event)
    if found is None or not (principal.role in OVERSEERS or await _is_theirs(call, found)):
        raise NoSuchEvent
    return await _proof(call, found.position)


async def _is_theirs(call: Call, found: Located) -> bool:
    """Say whether the caller did it, or it became of a decision that the caller asked for: a proof tells hashes alone."""
    person = call.principal.person
    if found.actor == str(person):
        return True
    if not found.stream.startswith(f"{DECISION.category}-"):
        return False
    row = await call.services.lookups.decision(found.stream)
    return row is not None and row.submitted_by == person


async def _proof(call: Call, position: Position) -> Response[bytes]:
    found = await proof_of(call.services.ledger, position)
    if found is None:
        raise NotSealed(retry_after=SOON)
    return Response(found.encode(), headers={"Content-Type": TEXT})


async def _record(call: Call, tile: Tile) -> None:
    """Record that somebody reads entries, before they are given out (ADR 0030)."""
    services, first = call.services, tile.index * FULL_WIDTH + 1
    extent = Extent(reads=1, events=tile.width, first=Position(first), last=Position(first + tile.width - 1))
    await readings.record(
        services.identity, services.readings, call.principal, ENTRIES, extent, trace=call.trace_id()
    )


async def _last(conn: Connection, ledger_id: int) -> Sealed:
    sealed = await rows.last_checkpoint(conn, ledger_id)
    if sealed is None:
        raise NothingSealed
    return sealed


async def _under_seal(conn: Connection, ledger_id: int, tile: Tile | None) -> Tile:
    """Refuse what the tree of the last checkpoint has not."""
    if tile is None:
        raise NoSuchTile
    sealed = await _last(conn, ledger_id)
    if tile.index * FULL_WIDTH + tile.width > sealed.size >> TILE_BITS * tile.level:
        raise NoSuchTile
    return tile


def _path(request: HttpRequest) -> str:
    """Take the path as it was sent: whatever is written otherwise leads nowhere."""
    return request.scope["raw_path"].decode("ascii", "replace").removeprefix(PREFIX)


def _size(text: str | None) -> int:
    if text is not None and not NUMBER.fullmatch(text):
        raise InvalidRequest(FieldError("from", "is a size of the log, a whole number"))
    return int(text or 0)


def _told(sealed: Sealed, note: str) -> CheckpointTold:
    return CheckpointTold(
        size=sealed.size,
        root=b64encode(sealed.root).decode(),
        sealed_at=sealed.sealed_at,
        note=note,
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

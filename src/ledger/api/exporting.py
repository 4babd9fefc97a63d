"""Taking the ledger out over HTTP: asked for first, which is an event; then fetched, as lines of JSON.

Checkpoint, tiles and entries come from ``/tlog``; here is what opens them, and who the people in them are.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Final

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter
from litestar.types import ASGIApp

from ledger.api import export_wire as wire
from ledger.api.call import Call
from ledger.api.export_lines import MEDIA, Lines
from ledger.api.path_ids import id_in
from ledger.api.types import HttpRequest
from ledger.command_handling.facts import Facts, state_of
from ledger.domain.export.commands import ExportLedger
from ledger.domain.export.decide import EXPORT, ExportNotFound, NotInExport, require_export
from ledger.domain.export.events import LedgerExported, Tier
from ledger.domain.export.state import LedgerLeft
from ledger.domain.ids import CommandId, Position
from ledger.history.disclosing import keys_named, people_named
from ledger.identity.sessions import authority
from ledger.personal.keys import count_unreadable_with
from ledger.sealing.proofs import checkpoint_over, checkpoint_over_all
from ledger.sealing.rows import checkpoint_of, keep_for_good
from ledger.sealing.witnesses import cosigned_note
from ledger.store.ledger import Ledger, export_stream
from ledger.store.openings import Opening, lines_of, opening_page
from ledger.store.pool import reading
from ledger.store.streams import read_stream

TOO_MUCH: Final = {409: "Less was asked for, or longer than a day ago"}


class ExportController(Controller):
    """The ledger, to be taken away and verified elsewhere."""

    path = "/api/audit/exports"
    tags = ("Audit",)

    @post("/", status_code=200, opt={"body": wire.NewExport, "answer": wire.Export, "keyed": True})
    async def begin(self, request: HttpRequest) -> Response[bytes]:
        """Ask for positions; that is an event before anything goes. Names and keys need a fresh second factor."""
        call = Call(request)
        given, provenance = await call.json(wire.NewExport), await call.provenance()
        size = await _chosen(call, given)

        def build(facts: Facts) -> ExportLedger:
            return ExportLedger(
                now=facts.now,
                by=authority(facts, call.principal),
                tier=given.tier,
                first=Position(given.from_),
                last=Position(given.to or size),
                size=size,
            )

        handled = await call.handle(
            EXPORT, export_stream(provenance.command_id), build, provenance=provenance
        )
        event = handled.events[0].event
        if not isinstance(event, LedgerExported):
            raise ExportNotFound
        note = await _note(call, event.size)
        return await call.answer(wire.export_told(provenance.command_id, event, note), handled=handled)

    @get("/{export_id:str}/payloads", opt={"answer": Opening, "media": MEDIA, "also": TOO_MUCH})
    async def payloads(
        self,
        request: HttpRequest,
        export_id: FromPath[str],
        from_: Annotated[int | None, QueryParameter(name="from", ge=1, le=wire.BIGGEST)] = None,
        to: Annotated[int | None, QueryParameter(ge=1, le=wire.BIGGEST)] = None,
    ) -> ASGIApp:
        """Give salts and payloads, one line a position: all that were asked for, or a part of them."""
        call = Call(request)
        left = await _left(call, export_id, Tier.PAYLOAD)
        first, last = Position(from_ or left.first), Position(to or left.last)
        if not left.first <= first <= last <= left.last:
            raise NotInExport(tier=left.tier.value, first=left.first, last=left.last)
        return Lines(call, _payloads(call, first, last))

    @get("/{export_id:str}/people", opt={"answer": wire.ExportedPerson, "media": MEDIA, "also": TOO_MUCH})
    async def people(self, request: HttpRequest, export_id: FromPath[str]) -> ASGIApp:
        """Give who the people are whom the events that were asked for name, a line each; whoever was erased is missing."""
        call = Call(request)
        left = await _left(call, export_id, Tier.DISCLOSED)
        return Lines(call, _people(call, left))

    @get("/{export_id:str}/keys", opt={"answer": wire.ExportedKey, "media": MEDIA, "also": TOO_MUCH})
    async def exported_keys(self, request: HttpRequest, export_id: FromPath[str]) -> ASGIApp:
        """Give the keys under which something in the events that were asked for is sealed; what was erased has none."""
        call = Call(request)
        left = await _left(call, export_id, Tier.DISCLOSED)
        await _must_unwrap(call, left)
        return Lines(call, _keys(call, left))


async def _chosen(call: Call, given: wire.NewExport) -> int:
    """Choose a checkpoint that is over what is wanted: its size; 0: nothing is sealed yet."""
    ledger, over = call.services.ledger, Position(max(given.covering, given.to or 1))
    choose = checkpoint_over_all if given.to is None else checkpoint_over
    async with reading(ledger.pool) as conn:
        sealed = await choose(conn, ledger.ledger_id, over)
    return 0 if sealed is None else sealed.size


async def _note(call: Call, size: int) -> str:
    """Write the checkpoint of a size with the cosignatures of by now; who asks again is answered, however late."""
    ledger = call.services.ledger
    async with reading(ledger.pool) as conn:
        await keep_for_good(conn, ledger.ledger_id, size)
        sealed = await checkpoint_of(conn, ledger.ledger_id, size)
        if sealed is None:
            raise ExportNotFound
        return await cosigned_note(conn, ledger.ledger_id, sealed)


async def _left(call: Call, export: str, tier: Tier) -> LedgerLeft:
    """Find what this caller asked for, before it is sent.

    Raises:
        ExportNotFound, ExportOver, NotInExport: it is not theirs to fetch, or not any more.
        TooManyFiles: too much is being sent already.
    """
    call.services.file_places.check()
    asked = CommandId(id_in(export, ExportNotFound()))
    stream = await read_stream(call.services.ledger, export_stream(asked))
    state = state_of(EXPORT, stream)
    return require_export(state, by=call.principal.person, now=call.services.clock(), tier=tier)


async def _payloads(call: Call, first: Position, last: Position) -> AsyncIterator[bytes]:
    begin = first
    while page := await _opening_page(call, begin, last):
        yield lines_of(page)
        begin = Position(page[-1].position + 1)


async def _opening_page(call: Call, first: Position, last: Position) -> tuple[Opening, ...]:
    async def look(ledger: Ledger) -> tuple[Opening, ...]:
        return await opening_page(ledger.source, ledger.ledger_id, first=first, last=last)

    return await call.services.read((), look)


async def _people(call: Call, left: LedgerLeft) -> AsyncIterator[bytes]:
    async for page in people_named(call.services.ledger, first=left.first, last=left.last):
        yield lines_of(tuple(map(wire.person_told, page)))


async def _must_unwrap(call: Call, left: LedgerLeft) -> None:
    """Make sure, before anything is sent, that what is needed of keys can be read; others are nobody's business here.

    Raises:
        KeysUnreadable: no secret key of this service unwraps some of them.
    """
    ledger, keyring = call.services.ledger, call.services.identity.subject_keys
    async with reading(ledger.pool) as conn:
        if not await count_unreadable_with(conn, ledger.ledger_id, keyring):
            return  # as ever: the events need not be read twice
    unreadable = 0
    async for page in keys_named(ledger, keyring, first=left.first, last=left.last):
        unreadable += sum(kept.key is None for kept in page)
    if unreadable:
        raise wire.KeysUnreadable(keys=unreadable)


async def _keys(call: Call, left: LedgerLeft) -> AsyncIterator[bytes]:
    keyring = call.services.identity.subject_keys
    async for page in keys_named(call.services.ledger, keyring, first=left.first, last=left.last):
        yield lines_of(wire.keys_told(page))

"""A bundle from the database, for the operator beside the service."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from ledger.api.export_wire import keys_told, person_told
from ledger.cli.exporting.source import NothingSealed, Stamp, Wanted, Wish, telling
from ledger.cli.operating import by_operator
from ledger.command_handling.context import CommandContext
from ledger.command_handling.facts import Facts
from ledger.command_handling.handler import handle
from ledger.domain.export.commands import ExportLedger
from ledger.domain.export.decide import EXPORT
from ledger.domain.ids import Position
from ledger.history.disclosing import keys_named, people_named
from ledger.identity.identity import utc_now
from ledger.identity.keys import Keyring
from ledger.sealing.entries import read_bundle
from ledger.sealing.proofs import checkpoint_over, checkpoint_over_all
from ledger.sealing.rows import keep_for_good, last_checkpoint, read_tiles
from ledger.sealing.standing import read_standing
from ledger.sealing.timestamps import timestamps_upto
from ledger.sealing.tree import Tile
from ledger.sealing.witnesses import cosigned_note
from ledger.store.ledger import Ledger, export_stream
from ledger.store.openings import lines_of, openings
from ledger.store.pool import reading

TILES_AT_ONCE: Final = 64


class FromDatabase:
    """Reads what a bundle holds, page by page; no connection is held while a page is written."""

    def __init__(self, ledger: Ledger, keyring: Keyring) -> None:
        """Read from an open ledger that appends; ``keyring`` unwraps the keys of data subjects."""
        self._ledger, self._keyring = ledger, keyring

    async def head(self) -> int:
        """Say the last position there is."""
        return await self._ledger.head()

    async def sealed(self) -> int:
        """Say how far the ledger is sealed."""
        async with reading(self._ledger.pool) as conn:
            sealed = await last_checkpoint(conn, self._ledger.ledger_id)
        return 0 if sealed is None else sealed.size

    async def halted(self) -> str | None:
        """Say why sealing is halted."""
        async with reading(self._ledger.pool) as conn:
            standing = await read_standing(conn, self._ledger.ledger_id)
        return None if standing is None or standing.halt is None else standing.halt.code

    async def begin(self, wanted: Wanted) -> Wish:
        """Append the event, as the operator of the machine."""
        wish, provenance = await self._wish(wanted), by_operator()

        def build(facts: Facts) -> ExportLedger:
            return _command(wish, facts.now)

        await handle(
            self._ledger,
            CommandContext(
                decider=EXPORT,
                target=export_stream(provenance.command_id),
                clock=utc_now,
                provenance=provenance,
            ),
            build,
        )
        return wish

    async def _wish(self, wanted: Wanted) -> Wish:
        over = Position(max(wanted.covering, wanted.last or 1))
        choose = checkpoint_over_all if wanted.last is None else checkpoint_over
        async with reading(self._ledger.pool) as conn:
            sealed = await choose(conn, self._ledger.ledger_id, over)
            if sealed is None:
                raise NothingSealed
            await keep_for_good(conn, self._ledger.ledger_id, sealed.size)
            note = await cosigned_note(conn, self._ledger.ledger_id, sealed)
        return Wish(
            tier=wanted.tier,
            first=wanted.first,
            last=sealed.size if wanted.last is None else wanted.last,
            size=sealed.size,
            note=note,
        )

    async def tiles(self, tiles: Sequence[Tile]) -> AsyncIterator[tuple[Tile, bytes]]:
        """Read tiles."""
        for begin in range(0, len(tiles), TILES_AT_ONCE):
            page = tiles[begin : begin + TILES_AT_ONCE]
            async with reading(self._ledger.pool) as conn:
                found = await read_tiles(conn, self._ledger.ledger_id, page)
            for tile in page:
                yield tile, found[tile]

    async def bundles(self, tiles: Sequence[Tile]) -> AsyncIterator[tuple[Tile, bytes]]:
        """Read bundles of entries."""
        for tile in tiles:
            async with reading(self._ledger.pool) as conn:
                entries = await read_bundle(conn, self._ledger.ledger_id, tile)
            yield tile, entries

    async def payloads(self, wish: Wish) -> AsyncIterator[bytes]:
        """Read salts and payloads."""
        first, last = Position(wish.first), Position(wish.last)
        async for page in openings(self._ledger.pool, self._ledger.ledger_id, first=first, last=last):
            yield lines_of(page)

    async def people(self, wish: Wish) -> AsyncIterator[bytes]:
        """Read who the people are."""
        first, last = Position(wish.first), Position(wish.last)
        async for page in people_named(self._ledger, first=first, last=last):
            yield lines_of(tuple(map(person_told, page)))

    async def keys(self, wish: Wish) -> AsyncIterator[bytes]:
        """Read the keys of data subjects."""
        first, last = Position(wish.first), Position(wish.last)
        async for page in keys_named(self._ledger, self._keyring, first=first, last=last):
            yield lines_of(keys_told(page))

    async def stamps(self, wish: Wish) -> Sequence[Stamp]:
        """Read time stamps."""
        found: list[Stamp] = []
        async with reading(self._ledger.pool) as conn:
            after = wish.first - 1
            while page := await timestamps_upto(conn, self._ledger.ledger_id, wish.size, after=after):
                found += (Stamp(stamp.size, stamp.note, stamp.token) for stamp in page)
                after = page[-1].size
        return list(telling(found, wish))


def _command(wish: Wish, now: datetime) -> ExportLedger:
    return ExportLedger(
        now=now,
        by=None,
        tier=wish.tier,
        first=Position(wish.first),
        last=Position(wish.last),
        size=wish.size,
    )

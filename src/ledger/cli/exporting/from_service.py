"""A bundle from a running service, for auditors elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from ledger.api.export_wire import Export, NewExport
from ledger.api.timestamps import TimestampPage
from ledger.cli.exporting.service import Service, ServiceAway
from ledger.cli.exporting.source import Stamp, Wanted, Wish, telling
from ledger.sealing.notes import checkpoint_in
from ledger.sealing.tree import Tile, entries_path, tile_path

AT_ONCE: Final = 8
TRIES: Final = 5
"""How often a long answer that breaks off is taken up again without a line more."""


class _Head(msgspec.Struct):
    head: int


class _Halt(msgspec.Struct):
    code: str


class _Notary(msgspec.Struct):
    halted: _Halt | None


class FromService:
    """Asks for what a bundle holds: the static files from ``/tlog``, what opens them from ``/api/audit/exports``."""

    def __init__(self, service: Service) -> None:
        """Ask this service."""
        self._service = service
        self._export = ""

    async def head(self) -> int:
        """Say the last position there is, as the read models see it."""
        told = await self._service.get("/health/projections")
        return max((one.head for one in msgspec.json.decode(told, type=list[_Head])), default=0)

    async def sealed(self) -> int:
        """Say how far the ledger is sealed."""
        note = await self._service.get_if_any("/tlog/checkpoint")
        return 0 if note is None else checkpoint_in(note.decode()).size

    async def halted(self) -> str | None:
        """Say why sealing is halted."""
        told = msgspec.json.decode(await self._service.get("/admin/notary/status"), type=_Notary)
        return None if told.halted is None else told.halted.code

    async def begin(self, wanted: Wanted) -> Wish:
        """Ask for it; the service writes that down."""
        asked = NewExport(tier=wanted.tier, from_=wanted.first, to=wanted.last, covering=wanted.covering)
        told = msgspec.json.decode(await self._service.post("/api/audit/exports", asked), type=Export)
        self._export = f"/api/audit/exports/{told.export_id}"
        return Wish(tier=told.tier, first=told.from_, last=told.to, size=told.size, note=told.checkpoint)

    async def tiles(self, tiles: Sequence[Tile]) -> AsyncIterator[tuple[Tile, bytes]]:
        """Fetch tiles."""
        async for index, content in self._fetch([tile_path(tile) for tile in tiles]):
            yield tiles[index], content

    async def bundles(self, tiles: Sequence[Tile]) -> AsyncIterator[tuple[Tile, bytes]]:
        """Fetch bundles of entries."""
        async for index, content in self._fetch([entries_path(tile.index, tile.width) for tile in tiles]):
            yield tiles[index], content

    async def payloads(self, wish: Wish) -> AsyncIterator[bytes]:
        """Fetch salts and payloads; an answer that breaks off is taken up where it ended."""
        first, tries = wish.first, 0
        while first <= wish.last:
            path = f"{self._export}/payloads?from={first}&to={wish.last}"
            began = first
            try:
                async for piece in self._service.lines(path):
                    first += piece.count(b"\n")
                    yield piece
            except ServiceAway:
                tries = tries + 1 if first == began else 0
                if tries == TRIES:
                    raise
                await asyncio.sleep(tries)
            else:
                return

    async def people(self, wish: Wish) -> AsyncIterator[bytes]:
        """Fetch who the people are; the service knows what was asked for."""
        del wish
        async for piece in self._service.lines(f"{self._export}/people"):
            yield piece

    async def keys(self, wish: Wish) -> AsyncIterator[bytes]:
        """Fetch the keys of data subjects, as above."""
        del wish
        async for piece in self._service.lines(f"{self._export}/keys"):
            yield piece

    async def stamps(self, wish: Wish) -> Sequence[Stamp]:
        """Fetch time stamps."""
        found: list[Stamp] = []
        first: int | None = wish.first
        while first is not None and first <= wish.size:
            told = await self._service.get(f"/tlog/timestamps?from={first}&limit=100")
            page = msgspec.json.decode(told, type=TimestampPage)
            found += (Stamp(stamp.size, stamp.note, stamp.token) for stamp in page.timestamps)
            first = page.next
        return list(telling(found, wish))

    async def _fetch(self, paths: Sequence[str]) -> AsyncIterator[tuple[int, bytes]]:
        """Fetch static files, a few at the same time."""
        for begin in range(0, len(paths), AT_ONCE):
            some = paths[begin : begin + AT_ONCE]
            found = await asyncio.gather(*(self._service.get(f"/tlog/{path}") for path in some))
            for number, content in enumerate(found, begin):
                yield number, content

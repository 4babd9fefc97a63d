"""Writing a bundle: everything a stranger needs to verify the ledger, as plain files (format 1)."""

from collections.abc import AsyncIterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from ledger.cli.exporting.folder import Folder, new_folder
from ledger.cli.exporting.guide import guide
from ledger.cli.exporting.source import ExportCutShort, Source, Wanted, Wish, bundles_of
from ledger.cli.progress import Bar
from ledger.domain.export.events import Tier
from ledger.sealing.notes import checkpoint_in
from ledger.sealing.tree import entries_path, tile_path, tiles_of
from ledger.store.envelope import timestamp

FORMAT: Final = 1
LINES_A_FILE: Final = 65_536
NEWLINE: Final = b"\n"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says it is."""

    format: int
    origin: str
    size: int
    from_: int = msgspec.field(name="from")
    to: int
    tier: Tier
    exported_at: str
    ledger_version: str


async def write_bundle(source: Source, wanted: Wanted, target: Path, *, now: datetime) -> Wish:
    """Write what is wanted into a new folder; what that came to.

    Raises:
        NothingSealed: there is nothing to write.
        FolderTaken, CannotWrite: the folder cannot be made.
        ExportCutShort: the source gave less than it said.
    """
    with new_folder(target) as folder:
        wish = await source.begin(wanted)
        folder.write("manifest.json", _manifest(wish, now))
        folder.write("checkpoint", wish.note.encode())
        folder.write("VERIFY.md", guide(wish).encode())
        with Bar("Exporting") as bar:
            await _Writing(source, wish, folder, bar).all()
    return wish


class _Writing:
    """One bundle on its way from a source into a folder."""

    def __init__(self, source: Source, wish: Wish, folder: Folder, bar: Bar) -> None:
        self._source, self._wish, self._folder, self._bar = source, wish, folder, bar
        self._tiles, self._bundles = list(tiles_of(wish.size)), bundles_of(wish)
        self._events = wish.last - wish.first + 1 if wish.tier is not Tier.ENVELOPE else 0
        self._total = len(self._tiles) + len(self._bundles) + self._events
        self._done = 0

    async def all(self) -> None:
        async for tile, hashes in self._source.tiles(self._tiles):
            self._folder.write(tile_path(tile), hashes)
            self._advance(1)
        async for tile, entries in self._source.bundles(self._bundles):
            self._folder.write(entries_path(tile.index, tile.width), entries)
            self._advance(1)
        if self._wish.tier is not Tier.ENVELOPE:
            await self._payloads()
        if self._wish.tier is Tier.DISCLOSED:
            await self._lines("disclosed/people.ndjson.gz", self._source.people(self._wish))
            await self._lines("disclosed/keys.ndjson.gz", self._source.keys(self._wish))
        for stamp in await self._source.stamps(self._wish):
            self._folder.write(f"timestamps/{stamp.size}.tsr", stamp.token)
            self._folder.write(f"timestamps/{stamp.size}.checkpoint", stamp.note.encode())

    async def _payloads(self) -> None:
        """Begin another file behind every 65,536 lines, wherever the pieces that come are cut."""
        first, lines = self._wish.first, _by_lines(self._source.payloads(self._wish), LINES_A_FILE)
        while first <= self._wish.last:
            wanted = min(LINES_A_FILE, self._wish.last - first + 1)
            with self._folder.zipped(f"payloads/{first:012}.ndjson.gz") as out:
                found = 0
                while found < wanted and (piece := await anext(lines, b"")):
                    out.write(piece)
                    found += piece.count(NEWLINE)
                    self._advance(piece.count(NEWLINE))
            if found != wanted:
                raise ExportCutShort(expected=self._events, found=first - self._wish.first + found)
            first += wanted

    async def _lines(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        with self._folder.zipped(path) as out:
            async for piece in pieces:
                out.write(piece)

    def _advance(self, parts: int) -> None:
        self._done += parts
        self._bar.to(self._done, self._total)


async def _by_lines(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Cut pieces of whole lines so that none goes beyond a multiple of ``most`` lines."""
    seen = 0
    async for piece in pieces:
        rest = piece
        while rest:
            room = most - seen % most
            lines = rest.split(NEWLINE, room)
            cut = len(rest) - len(lines[-1]) if len(lines) > room else len(rest)
            part, rest = rest[:cut], rest[cut:]
            seen += part.count(NEWLINE)
            yield part


def _manifest(wish: Wish, now: datetime) -> bytes:
    manifest = Manifest(
        format=FORMAT,
        origin=checkpoint_in(wish.note).origin,
        size=wish.size,
        from_=wish.first,
        to=wish.last,
        tier=wish.tier,
        exported_at=timestamp(now),
        ledger_version=version("decision-ledger"),
    )
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + NEWLINE

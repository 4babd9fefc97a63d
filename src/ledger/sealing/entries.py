"""The log's entries in bundles, as C2SP tlog-tiles lays them down: each with its length in two bytes before it."""

from collections.abc import Iterable
from typing import Final

from ledger.domain.errors import Corrupt
from ledger.sealing.leaves import read_entries
from ledger.sealing.tree import FULL_WIDTH, Tile
from ledger.store.pool import Connection

LENGTH_BYTES: Final = 2
MOST_BYTES: Final = 2 ** (8 * LENGTH_BYTES) - 1


class EventsMissing(Corrupt):
    """Events that were sealed are not in the log any more.

    Context: the first position that is ``missing``, the ``first`` and ``last`` of those that were asked for, and how
    many were ``found``.
    """

    code = "events-missing"
    advice = "An operator has to look at it: 'ledger audit verify --database' names what else is wrong."


class EntryTooLong(Corrupt):
    """An entry of the log is longer than a bundle can say.

    Context: its ``bytes``.
    """

    code = "entry-too-long"


def bundle(entries: Iterable[bytes]) -> bytes:
    """Put entries one after the other, each behind its length.

    Raises:
        EntryTooLong: one has more than 65,535 bytes.
    """
    pieces = list[bytes]()
    for entry in entries:
        if len(entry) > MOST_BYTES:
            raise EntryTooLong(bytes=len(entry))
        pieces += (len(entry).to_bytes(LENGTH_BYTES, "big"), entry)
    return b"".join(pieces)


async def read_bundle(conn: Connection, ledger_id: int, tile: Tile) -> bytes:
    """Bundle the entries that a tile of level 0 is over.

    Raises:
        EventsMissing: the log has not all of them.
    """
    before = tile.index * FULL_WIDTH
    entries = await read_entries(conn, ledger_id, after=before, limit=tile.width)
    if [entry.position for entry in entries] != list(range(before + 1, before + 1 + tile.width)):
        there = {entry.position for entry in entries}
        missing = next(one for one in range(before + 1, before + 1 + tile.width) if one not in there)
        raise EventsMissing(missing=missing, first=before + 1, last=before + tile.width, found=len(entries))
    return bundle(entry.envelope for entry in entries)

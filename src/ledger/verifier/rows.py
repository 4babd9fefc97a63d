"""Rows of a live database, given as plain values: what is stored beside an envelope agrees with what it says."""

import msgspec

from ledger.verifier.chain import Chain
from ledger.verifier.checkpoint import Checkpoint
from ledger.verifier.envelope import Envelope
from ledger.verifier.leaves import EntryDiffers, claimed
from ledger.verifier.merkle import HASH_BYTES, leaf_hash
from ledger.verifier.payloads import check_payload
from ledger.verifier.tiles import WIDTH, Tile, width_of
from ledger.verifier.tree import Upper, check_root
from ledger.verifier.verdict import Tampered


class RowsMissing(Tampered):
    """Events are gone from the table.

    Context: ``position`` of the first, and how many ``events`` are missing there. Nothing that is left says
    of which streams they were.
    """

    code = "rows-missing"


class RowsAdded(Tampered):
    """There are more rows than positions: whoever reads the stream of such a row reads an event that nobody recorded.

    Context: the first ``position`` that has too many, below 1 where no event can be; the ``streams`` of all its rows; and
    how many ``rows`` are too many in all, where that is known.
    """

    code = "rows-added"


class ColumnDiffers(Tampered):
    """A column says something else than the envelope beside it.

    Context: ``position``, ``stream``, ``column``, the value ``stored`` and the one ``sealed``.
    """

    code = "column-differs"


class RewrittenBetween(Tampered):
    """Events were rewritten with all that depends on them; checkpoints of before and after them tell where.

    Context: the first of them is between the positions ``first`` and ``last``.
    """

    code = "rewritten-between"


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of the table of events; ids and the moment as an envelope writes them, empty where there is none."""

    position: int
    stream: str
    version: int
    type: str
    schema_version: int
    event_id: str
    recorded_at: str
    actor: str
    command_id: str
    causation_id: str
    correlation_id: str
    envelope: bytes
    leaf_hash: bytes
    salt: bytes
    payload: bytes


REPEATED = (
    "stream",
    "version",
    "type",
    "schema_version",
    "event_id",
    "recorded_at",
    "actor",
    "command_id",
    "causation_id",
    "correlation_id",
)
"""Columns that repeat the envelope, as it writes them."""


class Rows:
    """Takes all rows of a ledger in their order, and the tiles of level 0 that stand for them.

    ``checkpoint`` is ``None`` where nothing was sealed yet.
    """

    def __init__(self, checkpoint: Checkpoint | None, upper: Upper, *, ledger: int) -> None:
        """Begin with position 1."""
        self.chain = Chain(first=1)
        self.payloads = 0
        self._size = 0 if checkpoint is None else checkpoint.size
        self._checkpoint = checkpoint
        self._upper = upper
        self._ledger = ledger
        self._edge: tuple[Tile, bytes] | None = None
        self._hashes = b""

    def next_tile(self) -> Tile | None:
        """Name the tile of level 0 that has to be given before the next row; ``None``: no tile does."""
        index, slot = divmod(self.chain.next - 1, WIDTH)
        width = width_of(self._size, 0, index)
        return Tile(level=0, index=index, width=width) if slot == 0 and width else None

    def tile(self, tile: Tile, hashes: bytes) -> None:
        """Take the tile that ``next_tile`` named.

        Raises:
            TileBroken, TilesDisagree: it does not fit into the tree.
        """
        self._upper.check(tile, hashes)
        self._hashes, self._edge = hashes, (tile, hashes)

    def take(self, row: Row) -> Envelope:
        """Check the next row against its leaf, its columns, its payload and its stream.

        Raises:
            Tampered: which event, and what about it.
        """
        position = self.chain.next
        if row.position < position:
            raise RowsAdded(position=row.position, streams=[row.stream])
        if row.position != position:
            raise RowsMissing(position=position, events=row.position - position)
        leaf = leaf_hash(row.envelope)
        self._check_leaf(row, leaf)
        envelope = self.chain.take(row.envelope, leaf)
        _check_columns(row, envelope, ledger=self._ledger)
        check_payload(position, envelope, row.salt, row.payload)
        self.payloads += 1
        return envelope

    def finish(self) -> None:
        """Check that every sealed event was there, and that they lead to the root that was signed.

        Raises:
            RowsMissing: the last ones are gone.
            RootDiffers: rows and tiles were changed to fit each other.
        """
        if self._checkpoint is None:
            return
        if self.chain.next <= self._size:
            raise RowsMissing(position=self.chain.next, events=self._size - self.chain.next + 1)
        check_root(self._checkpoint, self._upper.root(self._size, self._level_0))

    def _check_leaf(self, row: Row, leaf: bytes) -> None:
        slot = (row.position - 1) % WIDTH
        sealed = self._hashes[slot * HASH_BYTES : (slot + 1) * HASH_BYTES]
        if row.position <= self._size and leaf != sealed:
            raise EntryDiffers(position=row.position, row_of=row.stream, **claimed(row.envelope))
        if leaf != row.leaf_hash:
            raise ColumnDiffers(
                position=row.position,
                stream=row.stream,
                column="leaf_hash",
                stored=row.leaf_hash.hex(),
                sealed=leaf.hex(),
            )

    def _level_0(self, tile: Tile) -> bytes:
        if self._edge is None or self._edge[0] != tile:  # only the last tile is ever asked for
            raise KeyError(tile)
        return self._edge[1]


def _check_columns(row: Row, envelope: Envelope, *, ledger: int) -> None:
    for column in REPEATED:
        stored, sealed = getattr(row, column), getattr(envelope, column)
        if stored != sealed:
            raise ColumnDiffers(
                position=row.position, stream=envelope.stream, column=column, stored=stored, sealed=sealed
            )
    if envelope.ledger != ledger:
        raise ColumnDiffers(
            position=row.position,
            stream=envelope.stream,
            column="ledger_id",
            stored=ledger,
            sealed=envelope.ledger,
        )

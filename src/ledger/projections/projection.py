"""The shape of every read model: which events it wants and what they do to its rows (ADR 0005).

A projection is a value, like a ``Decider``; both are plain functions and where they begin.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import NoneType
from typing import Generic, Protocol, TypeAlias, TypeVar

import asyncpg
import msgspec
from msgspec.structs import replace

from ledger.domain.errors import Corrupt
from ledger.domain.event import Event, type_name
from ledger.domain.ids import FIRST_VERSION, StreamName
from ledger.store.codec import check_version
from ledger.store.pool import Connection
from ledger.store.streams import Recorded, Stored, recorded

E = TypeVar("E", bound=Event)
R = TypeVar("R")


Apply: TypeAlias = Callable[[Connection, int, Sequence[Recorded[E]]], Awaitable[None]]
"""Brings a ledger's rows up to date with the next events, in a constant number of statements."""


class RowMissing(Corrupt):
    """A read model lacks the row that an event belongs to."""

    code = "view-row-missing"


class Feed(Protocol):
    """A projection as the runner sees it: fed with the log as it is stored."""

    @property
    def name(self) -> str:
        """Say what people call it."""

    @property
    def version(self) -> int:
        """Number its shape; another shape has other tables and a checkpoint of its own."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Name its tables, without their schema."""

    @property
    def schema(self) -> str:
        """Name the schema they are in."""

    @property
    def is_keyed_by_stream(self) -> bool:
        """Say whether each row has the ``stream`` it is folded from, and nothing else, in it."""

    @property
    def is_awaited(self) -> bool:
        """Say whether answers wait until it shows what they tell; otherwise its events may gather for a moment."""

    def wanted(self) -> tuple[str, ...]:
        """Name the event types it wants, as they are stored."""

    def sequence(self, stored: Stored) -> str:
        """Name the key by which order matters to it, and by which it parks."""

    def check(self, stored: Stored) -> None:
        """Refuse, with ``UnknownSchemaVersion``, a wanted event that a newer release wrote."""

    def under(self, name: str, schema: str) -> "Feed":
        """Give the same projection as it works on other tables of the same names, and accounts for them."""

    async def feed(self, conn: Connection, ledger_id: int, log: Sequence[Stored]) -> int:
        """Apply what it wants of ``log``; return how many events that was."""


def by_stream(stored: Stored) -> str:
    """Take each stream as a sequence of its own."""
    return stored.stream


class Projection(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """One read model.

    ``apply`` names its tables without a schema: the runner sets the search path, so that a rebuild can run
    the same statements on tables of its own. ``sequence_of`` names the key by which order matters: it looks at
    the place of an event, never at its payload, which may be what is broken.
    """

    name: str
    version: int
    event_types: tuple[type[E], ...]
    tables: tuple[str, ...]
    apply: Apply[E]
    sequence_of: Callable[[Stored], str] = by_stream
    is_keyed_by_stream: bool = True
    is_awaited: bool = True
    schema: str = "views"

    def sequence(self, stored: Stored) -> str:
        """Name the key by which order matters to it, and by which it parks."""
        return self.sequence_of(stored)

    def check(self, stored: Stored) -> None:
        """Refuse a wanted event that a newer release wrote.

        Raises:
            UnknownSchemaVersion: it did.
        """
        check_version(self.event_types, stored.type, stored.schema_version)

    def wanted(self) -> tuple[str, ...]:
        """Name the event types it wants, as they are stored."""
        return tuple(type_name(event_type) for event_type in self.event_types)

    def under(self, name: str, schema: str) -> "Projection[E]":
        """Give the same projection as it works on other tables of the same names, and accounts for them."""
        return replace(self, name=name, schema=schema)

    async def feed(self, conn: Connection, ledger_id: int, log: Sequence[Stored]) -> int:
        """Apply what it wants of ``log``; return how many events that was.

        Other types are passed by name, before decoding.

        Raises:
            UnknownSchemaVersion: a wanted event was written by a newer release.
            UnreadableEvent: a wanted event does not have its shape.
            RowMissing: an event belongs to a row that is not there.
        """
        wanted = frozenset(self.wanted())
        batch = [recorded(stored, self.event_types) for stored in log if stored.type in wanted]
        if batch:
            await self.apply(conn, ledger_id, batch)
        return len(batch)


def _streams_of(batch: Iterable[Recorded[E]]) -> list[StreamName]:
    """Name the streams that a batch touches, in the order of every statement that writes."""
    return sorted({item.stream for item in batch})


async def load_rows(
    conn: Connection, statement: str, ledger_id: int, batch: Sequence[Recorded[E]]
) -> Sequence[asyncpg.Record]:
    """Load the rows of those of a batch's streams that began before it; nobody looks for what is only made now."""
    begun = {item.stream for item in batch if item.version == FIRST_VERSION}
    before = [name for name in _streams_of(batch) if name not in begun]
    return await conn.fetch(statement, ledger_id, before) if before else ()


def fold_rows(
    rows: Mapping[StreamName, R],
    batch: Sequence[Recorded[E]],
    evolve: Callable[[R | None, Recorded[E]], R | None],
) -> dict[StreamName, R | None]:
    """Fold a batch onto the ``rows`` it touches, a stream a row; ``None`` is no row, before or after."""
    folded: dict[StreamName, R | None] = {name: rows.get(name) for name in _streams_of(batch)}
    for item in batch:
        folded[item.stream] = evolve(folded[item.stream], item)
    return folded


async def add_rows(conn: Connection, table: str, columns: str, records: Sequence[tuple[object, ...]]) -> None:
    """Add rows that are not there, each with its values in the order of ``columns``.

    They are copied: driver and server together need about a quarter less for it than for an insert from arrays.
    """
    names = columns.replace(",", " ").split()
    await conn.copy_records_to_table(table, records=records, columns=names)


def columns_of(records: Iterable[tuple[object, ...]]) -> list[Sequence[object] | None]:
    """Turn rows into columns, as a statement takes them; what is an array in a row goes between commas.

    A column in which nothing stands is ``None``: ``unnest`` makes nulls of it, and nobody has to send them.
    """
    return [_column(values) for values in zip(*records, strict=True)]


def _column(values: tuple[object, ...]) -> Sequence[object] | None:
    types = set(map(type, values))
    if types == {NoneType}:
        return None
    if tuple not in types:
        return values
    return [",".join(map(str, value)) if isinstance(value, tuple) else value for value in values]


def must_exist(row: R | None, item: Recorded[E]) -> R:
    """Return the row of an event that is not its stream's first.

    Raises:
        RowMissing: there is none.
    """
    if row is None:
        raise RowMissing(stream=item.stream, position=item.position)
    return row


def must_hit(status: str, rows: int) -> None:
    """Check a statement's ``status``, for example ``UPDATE 3``: it must have hit all of the ``rows`` it named.

    Raises:
        RowMissing: it hit fewer.
    """
    hit = int(status.rpartition(" ")[2])
    if hit != rows:
        raise RowMissing(expected=rows, hit=hit)

"""Tables and JSON for the terminal."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ledger.cli.refusals import printable
from ledger.projections.rehearsal import RowChange

LONGEST_CELL: Final = 120
WIDE: Final = 400


def print_json(answer: object) -> None:
    """Print an answer for programs."""
    print(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people; text of others cannot do harm in it."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    is_terminal = Console().is_terminal
    # What is not read on a terminal must not be cut to the width of one.
    console = Console(width=None if is_terminal else WIDE)
    first, *rest = columns
    table = Table(
        Column(first, no_wrap=True),  # what one goes on to type must be whole
        *(Column(name, overflow="fold") for name in rest),
        box=None,
        pad_edge=False,
    )
    for row in rows:
        table.add_row(
            *(Text(printable(str(cell))) for cell in row)
        )  # Text: a name in [brackets] is no markup
    console.print(table)


def age(seconds: float | None) -> str:
    """Write a duration as people say it; ``None``: there is none."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def print_changes(rows_changed: int | None, changes: Sequence[RowChange] | None) -> None:
    """Print what a dry run would change, column by column; ``None``: it was no dry run."""
    if rows_changed is None or changes is None:
        return
    print(f"{rows_changed} rows would change{f'; the first {len(changes)}:' if changes else '.'}")
    for change in changes:
        print(f"  {change.table} {printable(change.stream)}: {_kind(change)}")
        before, after = change.before or {}, change.after or {}
        for column in sorted(before.keys() | after.keys()):
            if before.get(column) != after.get(column):
                print(f"    {column}: {_cell(before.get(column))} → {_cell(after.get(column))}")


def _kind(change: RowChange) -> str:
    if change.before is None:
        return "a new row"
    return "no row any more" if change.after is None else "other values"


def _cell(value: object) -> str:
    text = printable(str(value))
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "…"

"""Tables and JSON for the terminal."""

from collections.abc import Sequence

import msgspec

from ledger.cli.refusals import printable


def print_json(answer: object) -> None:
    """Print an answer for programs."""
    print(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table for people; text of others cannot do harm in it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            *(Text(printable(str(cell))) for cell in row)
        )  # Text: a name in [brackets] is no markup
    console = Console()
    # What is not read on a terminal must not be cut to the width of one.
    console.print(table, width=None if console.is_terminal else 400)


def age(seconds: float | None) -> str:
    """Write a duration as people say it; ``None``: there is none."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"

"""The same report for the terminal and for the documentation."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.result import Report, Table

BARS: Final = ("what", "bar", "reached", "")
TITLES: Final = {
    "throughput": "Throughput",
    "processes": "Several processes",
    "latency": "Latency",
    "growth": "Growth",
    "reading": "Reading",
    "upcasting": "Reading older versions",
    "projecting": "Projecting",
    "batching": "Batches",
    "folding": "Whole decisions",
    "visibility": "From commit to visible",
    "pulling": "Pulling the next item",
    "rebuilding": "Rebuilding",
    "sealing": "Sealing",
    "auditing": "Exporting and verifying",
    "http": "Over HTTP",
    "speed": "How fast over HTTP",
    "telemetry": "What telemetry costs",
    "flood": "A flood of logins",
    "waiting": "Waiting for an answer",
}
INTRODUCTION: Final = """# Performance

<!-- Written by `make bench`; run it to measure your own machine. -->

Absolute numbers belong to one machine and one moment; ratios within a run are what to compare. Everything ran on
one throw-away PostgreSQL with the service's own settings: `fsync` and `synchronous_commit` on for us and for every
peer. Only acknowledged appends count, and after every single measurement the tables were held against what
had been acknowledged: nothing lost, nothing doubled, our positions without holes and in order. What is compared took
turns, round by round; medians are shown. The load comes from the same process that appends, as in the service.
Whether a service keeps such a load up for long, and what grows meanwhile, is in [Soak](soak.md).
"""


def show(console: Console, report: Report) -> None:
    """Print a report for whoever started it."""
    console.print("  ".join(f"{name}: {value}" for name, value in report.machine.items()), highlight=False)
    for part in report.parts:
        for table in part.tables:
            _print(console, table)
        for note in part.notes:
            console.print(f"  {note}", highlight=False, style="dim")
        if part.broken:
            console.print(f"  {part.name} broke: {part.broken}", highlight=False, style="bold red")
    if report.bars():
        _print(console, _bars(report))
    console.print(f"Took {report.seconds:.0f} seconds ({report.mode}).", highlight=False)


def markdown(report: Report, chart: str | None) -> str:
    """Write a report as a page."""
    pieces = [INTRODUCTION]
    if chart is not None:
        pieces.append(f"![Appends a second by how many are in flight, ours and those of peers]({chart})\n")
    pieces += ["## Machine\n", _lines(("", ""), list(report.machine.items()))]
    if report.bars():
        pieces += ["## Bars\n", _lines(BARS, [bar.row() for bar in report.bars()])]
    for part in report.parts:
        pieces.append(f"## {TITLES[part.name]}\n")
        for table in part.tables:
            pieces += [f"{table.title}.\n", _lines(table.columns, table.rows)]
        if part.notes:
            pieces.append("\n".join(f"- {note}" for note in part.notes) + "\n")
        if part.broken:
            pieces.append("**Not measured: this scenario broke.** The run that wrote this page says why.\n")
    return "\n".join(pieces)


def _bars(report: Report) -> Table:
    return Table(title="Bars", columns=BARS, rows=tuple(bar.row() for bar in report.bars()))


def _print(console: Console, table: Table) -> None:
    console.print(f"\n{table.title}", style="bold", highlight=False)
    shown = RichTable(box=box.SIMPLE_HEAD)
    for number, column in enumerate(table.columns):
        shown.add_column(column, justify="left" if number == 0 else "right", no_wrap=number > 0)
    for row in table.rows:
        shown.add_row(*row, style="bold red" if row[-1] == "MISSED" else None)
    console.print(shown)


def _lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = f"| {' | '.join(columns)} |\n|{' --- |' + ' ---: |' * (len(columns) - 1)}\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)

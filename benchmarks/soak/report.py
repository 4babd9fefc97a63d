"""A soak as a page of the documentation, and on the terminal."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.result import Table, per_second
from benchmarks.soak.verdict import SHARE, TITLES, Soak, bars
from benchmarks.soak.watching import Figure

MISSED: Final = "MISSED"
PAGE: Final = """# Soak

<!-- Written by `make soak`; run it to soak your own machine (`make soak MINUTES=60`: for longer). -->

**{verdict}** {desks} desks, each of an engine (an API key), an analyst and an auditor, worked for {minutes:g} minutes at
{share:.0%} of the peak that they had reached just before, on one `ledger serve` with a PostgreSQL of its own, sealing on, in
production settings but for the limits on requests and registrations. Engines submit (some twice, as after a lost answer), read and fetch answers, analysts pull, claim, decide, list and
count, auditors look back; they log in, refresh and log out. Two followers hung on the event stream, and hung up now
and then to go on where they were; a webhook was told of every resolution; `/metrics` was read every second or so. All of
that, [locust](https://locust.io) included, ran on the same cores as the service and its database: the peak is that of
the whole machine. What counts as intended beside 2xx: 404 for an answer that nobody has been told of, 409 for an item that
somebody else claimed first.

"""


def tables(soak: Soak) -> Iterator[Table]:
    """Lay out what was found."""
    yield Table(
        title="Bars", columns=("what", "bar", "reached", ""), rows=tuple(bar.row() for bar in bars(soak))
    )
    yield Table(title="Load", columns=("what", "at the peak", "in the soak"), rows=tuple(_load(soak)))
    calls = sorted(soak.load.calls, key=lambda call: -call.count)
    yield Table(
        title="Milliseconds by kind of call",
        columns=("call", "calls", "p50", "p95", "p99", "longest"),
        rows=tuple(
            (
                f"`{call.name}`",
                f"{call.count:,}",
                *(f"{one:,.0f}" for one in (*call.milliseconds, call.longest)),
            )
            for call in calls
        ),
    )
    yield Table(
        title=f"What must not grow, over {soak.watched / 60:.1f} minutes after the warm-up",
        columns=("what", "median", "most", "growth a minute"),
        rows=tuple((TITLES[name], *_figure(figure)) for name, figure in soak.figures.items()),
    )
    yield Table(title="Machine", columns=("", ""), rows=tuple(soak.machine.items()))


def notes(soak: Soak) -> Iterator[str]:
    """Say what no table holds."""
    yield f"The ledger held {soak.account.events:,} events in the end; everything took {soak.seconds / 60:.1f} minutes."
    yield "Growth is the median slope between any two samples (Theil and Sen), so that a few odd moments do not count."
    yield "locust keeps times in milliseconds, from 100 on in tens and from 1,000 on in hundreds."
    for event, count in soak.account.warnings.items():
        yield f"Warning in the service's log: `{event}`, {count:,} times."
    for error in (*soak.peak.errors, *soak.load.errors):
        yield f"Not intended: `{error.call}`: {error.why}, {error.times:,} times."


def verdict(soak: Soak) -> str:
    """Say how it ended."""
    missed = [bar.what for bar in bars(soak) if not bar.is_met()]
    return f"BROKEN: {'; '.join(missed)}." if missed else "Passed."


def page(soak: Soak) -> str:
    """Write the page."""
    pieces = [PAGE.format(verdict=verdict(soak), desks=soak.desks, minutes=soak.minutes, share=SHARE)]
    pieces += [f"## {table.title}\n\n{_lines(table.columns, table.rows)}\n" for table in tables(soak)]
    pieces.append("## Notes\n\n" + "".join(f"- {note}\n" for note in notes(soak)))
    return "".join(pieces)


def show(console: Console, soak: Soak) -> None:
    """Print it for whoever started it."""
    for table in tables(soak):
        console.print(f"\n{table.title}", style="bold", highlight=False)
        shown = RichTable(box=box.SIMPLE_HEAD)
        for number, column in enumerate(table.columns):
            shown.add_column(column, justify="left" if number == 0 else "right", no_wrap=number == 0)
        for row in table.rows:
            shown.add_row(*row, style="bold red" if row[-1] == MISSED else None)
        console.print(shown)
    for note in notes(soak):
        console.print(f"  {note}", highlight=False)


def _load(soak: Soak) -> Iterator[tuple[str, str, str]]:
    both = ((soak.peak, soak.peak_rounds()), (soak.load, soak.load_rounds()))
    yield ("rounds a second", *(per_second(rate) for _, rate in both))
    yield (
        "calls a second",
        *(per_second(rate * one.count() / max(1, sum(one.rounds))) for one, rate in both),
    )
    yield ("submissions", *(f"{len(one.submitted):,}" for one, _ in both))
    yield ("resolutions", *(f"{len(one.resolved):,}" for one, _ in both))
    yield ("answers that were not intended", *(f"{one.failures():,}" for one, _ in both))


def _figure(figure: Figure) -> tuple[str, str, str]:
    return f"{figure.median:,.1f}", f"{figure.most:,.1f}", f"{figure.growth:+.3f}"


def _lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = f"| {' | '.join(columns)} |\n|{' --- |' + ' ---: |' * (len(columns) - 1)}\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)

"""What a measurement gives: tables for people, figures for machines, bars that say how good is good enough."""

from collections.abc import Sequence
from statistics import median
from typing import Literal

import msgspec

Direction = Literal["at least", "at most"]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A bar and what was reached; ``aim`` is what we would rather see."""

    what: str
    reached: float
    direction: Direction
    bar: float
    unit: str = "×"
    aim: float | None = None

    def is_met(self) -> bool:
        return self.reached >= self.bar if self.direction == "at least" else self.reached <= self.bar

    def row(self) -> tuple[str, ...]:
        sign = "≥" if self.direction == "at least" else "≤"
        aim = "" if self.aim is None else f" (aim {self.aim:g})"
        verdict = "met" if self.is_met() else "MISSED"
        return (
            self.what,
            f"{sign} {self.bar:g} {self.unit}{aim}",
            f"{self.reached:.2f} {self.unit}",
            verdict,
        )


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table; the first column names its row, the others hold what was measured."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one scenario; ``figures`` have dotted names and plain numbers.

    ``broken`` says what stopped it before it had measured; None means that it ended.
    """

    name: str
    tables: tuple[Table, ...]
    figures: dict[str, float]
    bars: tuple[Bar, ...] = ()
    notes: tuple[str, ...] = ()
    broken: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one run."""

    mode: str
    machine: dict[str, str]
    parts: tuple[Part, ...]
    seconds: float

    def bars(self) -> tuple[Bar, ...]:
        return tuple(bar for part in self.parts for bar in part.bars)

    def figures(self) -> dict[str, float]:
        return {name: value for part in self.parts for name, value in part.figures.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value that ``share`` (0 … 1) of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Compare round by round, so that a slow moment of the machine counts for both; the median."""
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))


def per_second(value: float) -> str:
    return f"{value:,.0f}"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"

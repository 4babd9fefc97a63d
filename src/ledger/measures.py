"""Counters and times of what happens often, read when somebody asks for metrics.

An instrument of OpenTelemetry takes some fifteen microseconds to count one thing, which is more than what is counted may
take; these take one. Everything else is measured by instruments, and both are told by the same page (ADR 0031).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

Labels = tuple[str, ...]


class _Switch:
    """Whether anything is counted in this process."""

    is_on = True


def switch(*, on: bool) -> None:
    """Count, or do not."""
    _Switch.is_on = on


class Counter(Collector):
    """Counts by labels; told as ``name`` with ``_total`` behind it."""

    def __init__(self, name: str, description: str, labels: Sequence[str]) -> None:
        """Begin to count for everybody who reads this process's metrics."""
        self._name, self._description, self._labels = name, description, tuple(labels)
        self._counts: dict[Labels, int] = {}
        REGISTRY.register(self)

    def add(self, labels: Labels) -> None:
        """Count one more, under the values of the labels in their order."""
        if _Switch.is_on:
            self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Tell the counts."""
        family = CounterMetricFamily(self._name, self._description, labels=self._labels)
        for labels, count in tuple(self._counts.items()):
            family.add_metric(labels, count)
        yield family

    def describe(self) -> Iterator[Metric]:
        """Name what is told, without asking for it."""
        yield CounterMetricFamily(self._name, self._description, labels=self._labels)


class _Distribution:
    """How many values lie between two bounds, and what they come to."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total = 0.0


class Histogram(Collector):
    """Values by labels and by ``bounds``, each of which holds what is up to it."""

    def __init__(
        self,
        name: str,
        description: str,
        bounds: Sequence[float],
        *,
        labels: Sequence[str] = (),
        unit: str = "",
    ) -> None:
        """Begin to take values for everybody who reads this process's metrics; ``unit`` ends the name."""
        self._name, self._description, self._labels, self._unit = name, description, tuple(labels), unit
        self._bounds = tuple(bounds)
        self._shown: Final = [*(f"{bound:g}" for bound in bounds), "+Inf"]
        self._found: dict[Labels, _Distribution] = {}
        REGISTRY.register(self)

    def record(self, value: float, labels: Labels = ()) -> None:
        """Take one value, under the values of the labels in their order."""
        if not _Switch.is_on:
            return
        found = self._found.get(labels)
        if found is None:
            found = self._found[labels] = _Distribution(len(self._bounds))
        found.counts[bisect_left(self._bounds, value)] += 1
        found.total += value

    def collect(self) -> Iterator[Metric]:
        """Tell how many values there were up to each bound."""
        family = self._family()
        for labels, found in tuple(self._found.items()):
            family.add_metric(labels, self._buckets(found.counts), found.total)
        yield family

    def describe(self) -> Iterator[Metric]:
        """Name what is told, without asking for it."""
        yield self._family()

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._description, labels=self._labels, unit=self._unit)

    def _buckets(self, counts: Sequence[int]) -> list[tuple[str, float]]:
        upto, buckets = 0, []
        for shown, count in zip(self._shown, counts, strict=True):
            upto += count
            buckets.append((shown, float(upto)))
        return buckets

"""What is counted by hand is told as instruments tell it."""

from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest
from prometheus_client.registry import REGISTRY

from ledger import measures
from ledger.measures import Counter, Histogram


@pytest.fixture
def counter() -> Iterator[Counter]:
    made = Counter("ledger_test_things", "Things, by kind", ["kind"])
    yield made
    REGISTRY.unregister(made)


@pytest.fixture
def histogram() -> Iterator[Histogram]:
    made = Histogram("ledger_test_time", "Time, by kind", [0.005, 0.5, 1], labels=["kind"], unit="seconds")
    yield made
    REGISTRY.unregister(made)


def told(name: str) -> list[str]:
    """The samples of one metric, as Prometheus reads them."""
    return [line for line in generate_latest().decode().splitlines() if line.startswith(name)]


def test_a_counter_counts_by_labels(counter: Counter) -> None:
    for kind in ("one", "other", "one"):
        counter.add((kind,))

    assert told("ledger_test_things") == [
        'ledger_test_things_total{kind="one"} 2.0',
        'ledger_test_things_total{kind="other"} 1.0',
    ]


def test_a_label_holds_whatever_it_is(counter: Counter) -> None:
    counter.add(('a "route"\n',))

    assert told("ledger_test_things") == [r'ledger_test_things_total{kind="a \"route\"\n"} 1.0']


def test_a_value_lies_in_every_bucket_that_reaches_up_to_it(histogram: Histogram) -> None:
    for value in (0.005, 0.4, 7.0):
        histogram.record(value, ("one",))

    assert told("ledger_test_time") == [
        'ledger_test_time_seconds_bucket{kind="one",le="0.005"} 1.0',
        'ledger_test_time_seconds_bucket{kind="one",le="0.5"} 2.0',
        'ledger_test_time_seconds_bucket{kind="one",le="1"} 2.0',
        'ledger_test_time_seconds_bucket{kind="one",le="+Inf"} 3.0',
        'ledger_test_time_seconds_count{kind="one"} 3.0',
        'ledger_test_time_seconds_sum{kind="one"} 7.405',
    ]


def test_what_was_never_counted_is_not_told(counter: Counter, histogram: Histogram) -> None:
    assert told("ledger_test") == []


def test_nothing_is_counted_where_that_is_switched_off(counter: Counter, histogram: Histogram) -> None:
    measures.switch(on=False)
    try:
        counter.add(("one",))
        histogram.record(1, ("one",))
    finally:
        measures.switch(on=True)

    assert told("ledger_test") == []

"""Every event type and every aggregate of the domain, found by where they stand: nobody has to list them again."""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from ledger.domain.decider import Decider
from ledger.domain.event import Event, type_name

ROOT: Final = Path(__file__).resolve().parent.parent
DOMAIN: Final = ROOT / "src" / "ledger" / "domain"

AnyDecider: TypeAlias = Decider[object, object, Event]


def event_types() -> dict[str, type[Event]]:
    """Give every event type by the name it is stored under, aggregate by aggregate, in the order of the source."""
    return {type_name(event): event for aggregate in _rooms("events.py") for event in _events_of(aggregate)}


def aggregate_of(event: type[Event]) -> str:
    """Name the room an event lives in."""
    return event.__module__.split(".")[-2]


def deciders() -> dict[str, AnyDecider]:
    """Give every aggregate by its category."""
    found = [
        value
        for aggregate in _rooms("decide.py")
        for value in vars(importlib.import_module(f"ledger.domain.{aggregate}.decide")).values()
        if isinstance(value, Decider)
    ]
    return {decider.category: decider for decider in found}


def _rooms(file: str) -> Iterator[str]:
    first = ("decision", "session", "account", "operations")
    rooms = {path.parent.name for path in DOMAIN.glob(f"*/{file}")}
    yield from (room for room in first if room in rooms)
    yield from sorted(rooms.difference(first))


def _events_of(aggregate: str) -> Iterator[type[Event]]:
    module = importlib.import_module(f"ledger.domain.{aggregate}.events")
    for value in vars(module).values():
        is_event = inspect.isclass(value) and issubclass(value, Event)
        if is_event and value.__module__ == module.__name__ and _is_stored(value):
            yield value


def _is_stored(event: type[Event]) -> bool:
    """Tell a type from a class that only gives others its fields: that one has no tag of its own."""
    return type_name(event) != event.__name__
